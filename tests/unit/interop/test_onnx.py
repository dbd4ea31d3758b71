from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
import torch

import alexnet
from alexnet.cli.main import main
from alexnet.data.classes import Class
from alexnet.data.config import DataConfig
from alexnet.data.crops import center
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.interop import onnx as interop_onnx
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.config import ALEXNET_VARIANTS, ModelConfig
from alexnet.models.registry import build

SIDE, CROP = 96, 83
UNNORMALIZED = ("modern", "one-weird-trick")
"""Variants whose activations grow with the gray levels of the input."""
SQUARES = np.random.default_rng(4).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)


def random_net(variant: str, channels: str = "RGB", crop: int = CROP, **data: str) -> ModelBundle:
    """A narrow model whose predictions differ between photos, with different statistics per color."""
    settings = DataConfig(image_size=SIDE, input_size=crop, **data)
    named = ALEXNET_VARIANTS[variant]
    widths = (16,) * (len(named.widths) - 2) + (32, 32)
    config = replace(tiny.config(), data=settings)
    config = replace(config, model=ModelConfig(variant=variant, architecture=replace(named, widths=widths)))
    torch.manual_seed(8)
    classes = [Class(f"class{i}", f"class {i}") for i in range(7)]
    model = build(config.model, len(classes), crop).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            spread = max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 1
            parameter.copy_(torch.randn_like(parameter) / spread)
    mean = torch.rand(SIDE, SIDE, 3) * 60 + torch.tensor([50.0, 100.0, 150.0])
    preprocessing = Preprocessing(
        data=settings,
        mean=mean if settings.normalization == "mean-image" else mean.mean((0, 1)),
        std=torch.tensor([40.0, 60.0, 80.0]),
        eigenvalues=torch.zeros(3),
        eigenvectors=torch.eye(3),
        resized={"shape": "square", "resize": "crop", "resampling": "bicubic, antialiased"},
        channels=channels,
    )
    return ModelBundle(model, config, classes, preprocessing, {"weights_license": "CC0-1.0"})


def outputs(path: Path, crops: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)
    (logits,) = session.run(["logits"], {"images": images})
    return torch.from_numpy(logits).softmax(1).numpy()


def wanted_of(net: ModelBundle, squares: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        images = net.preprocessing.test_input(
            torch.from_numpy(squares), center(SIDE, net.config.data.input_size)
        )
        return net.model(images).softmax(1).numpy()


def central(squares: np.ndarray, crop: int = CROP) -> np.ndarray:
    start = (SIDE - crop) // 2
    return squares[:, start : start + crop, start : start + crop]


@pytest.mark.slow
@pytest.mark.parametrize("variant", list(ALEXNET_VARIANTS))
def test_every_variant_predicts_as_torch_does_at_any_batch_size(variant: str, tmp_path: Path) -> None:
    net = random_net(variant, normalization="mean-and-std" if variant in UNNORMALIZED else "mean-image")
    interop_onnx.write_onnx(tmp_path / "net.onnx", net)
    wanted = wanted_of(net, SQUARES)
    assert wanted.std(axis=0).max() > 1e-3
    for count in (1, 2, 5):
        found = outputs(tmp_path / "net.onnx", central(SQUARES[:count]))
        np.testing.assert_allclose(found, wanted[:count], atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize(
    ("channels", "data"),
    [
        ("BGR", {"normalization": "mean-image", "mean_position": "crop"}),
        ("BGR", {"normalization": "channel-mean"}),
        ("RGB", {"normalization": "mean-and-std"}),
    ],
    ids=["caffe", "caffe without mean image", "torchvision"],
)
def test_the_graph_accepts_rgb_and_includes_the_preprocessing(
    tmp_path: Path, channels: str, data: dict[str, str]
) -> None:
    net = random_net("caffe", channels, **data)
    interop_onnx.write_onnx(tmp_path / "net.onnx", net)
    wanted = wanted_of(net, SQUARES)
    np.testing.assert_allclose(outputs(tmp_path / "net.onnx", central(SQUARES)), wanted, atol=1e-4)
    turned = outputs(tmp_path / "net.onnx", central(SQUARES)[..., ::-1])
    assert np.abs(turned - wanted).max() > 1e-3


@pytest.mark.parametrize("crop", [64, 96])
def test_torchvisions_adaptive_pooling_is_exported_where_it_is_not_the_identity(
    tmp_path: Path, crop: int
) -> None:
    net = random_net("one-weird-trick", crop=crop)
    interop_onnx.write_onnx(tmp_path / "net.onnx", net)
    found = outputs(tmp_path / "net.onnx", central(SQUARES, crop))
    np.testing.assert_allclose(found, wanted_of(net, SQUARES), atol=1e-4)


def test_a_file_with_different_output_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    net = random_net("caffe", "BGR")
    monkeypatch.setattr(interop_onnx._Graph, "forward", lambda self, images: self.net(images - self.mean))
    with pytest.raises(WorkError, match=r"output differs.*no file was written"):
        interop_onnx.write_onnx(tmp_path / "net.onnx", net)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named_in_one_line(make_run, tmp_path, monkeypatch, capsys) -> None:
    run = make_run()
    monkeypatch.setattr(interop_onnx, "ONNX_PACKAGES", ("onnx", "absent_one", "absent_two"))
    assert main(["export", str(run.path), str(tmp_path / "net.onnx")]) == 2
    error = capsys.readouterr().err
    assert "needs absent_one, absent_two: type pip install 'alexnet[onnx]'" in error
    assert error.count("\n") == 1
    with pytest.raises(CommandError):
        interop_onnx.write_onnx(tmp_path / "net.onnx", random_net("caffe"))
    assert not (tmp_path / "net.onnx").exists()


def test_a_run_becomes_a_self_contained_file(make_run, tmp_path, capsys) -> None:
    run, file = make_run(), tmp_path / "net.onnx"
    assert main(["export", str(run.path), str(tmp_path / "net.safetensors")]) == 0
    capsys.readouterr()
    assert main(["export", str(run.path), str(file), "--license", "CC0-1.0"]) == 0
    shown = capsys.readouterr()
    assert "CC0-1.0" in shown.out
    assert shown.err == ""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    texts = session.get_modelmeta().custom_metadata_map
    classifier = alexnet.load(tmp_path / "net.safetensors", "cpu")
    assert json.loads(texts["classes"])[0]["wnid"] == classifier.classes[0].wnid
    assert json.loads(texts["terms"]) == {**classifier.terms, "weights_license": "CC0-1.0"}
    assert json.loads(texts["provenance"]) == classifier.provenance.to_dict()
    for part in ("shorter side to 72", "central 64 x 64", "4 from the top", "RGB", "0 to 255", "deviations"):
        assert part in texts["preprocessing_in_words"]
    assert session.get_inputs()[0].shape == ["batch", 3, 64, 64]
    onnx.checker.check_model(onnx.load(file), full_check=True)


def test_an_onnx_file_predicts_as_its_run_does(make_run, store, tmp_path, capsys) -> None:
    run, file = make_run(), tmp_path / "net.onnx"
    assert main(["export", str(run.path), str(file)]) == 0
    assert f"next: alexnet predict PHOTO --model {file}" in capsys.readouterr().out
    photos = list(SQUARES)
    classifier = alexnet.load(file)
    wanted = alexnet.load(run.path, "cpu").probabilities(photos, views="ten")
    np.testing.assert_allclose(classifier.probabilities(photos, views="ten"), wanted, atol=1e-4)
    assert classifier.features(photos, "logits").shape == (len(photos), len(store.classes))
    with pytest.raises(CommandError, match="no layer 'fc7'; choose from: logits"):
        classifier.features(photos, "fc7")
    capsys.readouterr()
    photo = str(next((store.path.parent / "photos" / "val").rglob("*.png")))
    assert main(["similar", photo, "--model", str(file), "--store", str(store.path), "--device", "cpu"]) == 2
    assert "gives only probabilities, as ONNX files do" in capsys.readouterr().err
    words = ["--store", str(store.path), "--json", "--device", "cpu"]
    errors: list[list[float]] = []
    for each in (run.path, file):
        assert main(["evaluate", str(each), *words]) == 0
        found = json.loads(capsys.readouterr().out)
        errors.append([found["top1_error"], found["nll"]])
    np.testing.assert_allclose(*errors, rtol=1e-4)
    assert main(["export", str(file), str(tmp_path / "again.safetensors")]) == 3
    assert "can only be run" in capsys.readouterr().err


def _in_an_initializer(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.initializer.append(tensor)


def _in_an_attribute(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))


def _in_a_list_of_tensors(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("values", [tensor]))


def _in_a_subgraph(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    branch = onnx.helper.make_graph([], "branch", [], [], [tensor])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("then_branch", branch))


def _in_a_sparse_initializer(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(tensor)


def _in_a_function(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    node = model.functions.add().node.add()
    node.attribute.append(onnx.helper.make_attribute("value", tensor))


@pytest.mark.parametrize(
    "place",
    [
        _in_an_initializer,
        _in_an_attribute,
        _in_a_list_of_tensors,
        _in_a_subgraph,
        _in_a_sparse_initializer,
        _in_a_function,
    ],
)
def test_tensors_in_other_files_are_refused_wherever_they_are(tmp_path: Path, place) -> None:
    model = onnx.ModelProto()
    model.graph.node.add(op_type="Constant")
    place(model, onnx.helper.make_tensor("inside", onnx.TensorProto.FLOAT, [1], [0.5]))
    outside = onnx.TensorProto(name="outside", data_type=onnx.TensorProto.FLOAT, dims=[1])
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../secret")
    file = tmp_path / "net.onnx"
    file.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="has weights but no"):
        bundle.load(file, "cpu")
    place(model, outside)
    file.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="has tensors in other files"):
        bundle.load(file, "cpu")


@pytest.mark.parametrize("contents", [b"garbage", b""])
def test_a_foreign_onnx_file_is_one_line(tmp_path: Path, contents: bytes, capsys) -> None:
    (tmp_path / "net.onnx").write_bytes(contents)
    (tmp_path / "photo.png").touch()
    assert main(["predict", str(tmp_path / "photo.png"), "--model", str(tmp_path / "net.onnx")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_nothing_of_this_machine_is_in_the_file(tmp_path: Path) -> None:
    interop_onnx.write_onnx(tmp_path / "net.onnx", random_net("2012"))
    contents = (tmp_path / "net.onnx").read_bytes()
    assert b".py" not in contents
    assert str(Path(alexnet.__file__).parent).encode() not in contents


def test_a_damaged_graph_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    interop_onnx.write_onnx(path, random_net("modern"))
    whole, wanted = path.read_bytes(), alexnet.load(path, device="cpu").probabilities(list(SQUARES))
    weights = onnx.load(path).graph.initializer[0].raw_data
    for place in (whole.index(weights) + 5, whole.index(b"CC0-1.0")):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError, match=r"net\.onnx is damaged"):
            alexnet.load(path, device="cpu")
    path.write_bytes(whole)
    assert bundle.verify(path)
    for removed in (("file_xxh3_128",), ("checksum", "tensors_sha256")):  # as in files of earlier versions
        bare = onnx.load(path)
        for each in [each for each in bare.metadata_props if each.key in removed]:
            bare.metadata_props.remove(each)
        onnx.save(bare, path)
        found = alexnet.load(path, device="cpu").probabilities(list(SQUARES))
        np.testing.assert_array_equal(found, wanted)
        changed = bytearray(path.read_bytes())
        changed[changed.index(weights) + 5] ^= 1
        (tmp_path / "changed.onnx").write_bytes(changed)
        if "checksum" not in removed:
            with pytest.raises(DataError, match=r"changed\.onnx is damaged: its graph"):
                alexnet.load(tmp_path / "changed.onnx", device="cpu")
    assert not bundle.verify(path)


def test_metadata_of_another_program_leave_the_graph_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made, original = tmp_path / "net.onnx", [], bundle.onnx_digest
    interop_onnx.write_onnx(path, random_net("modern"))
    monkeypatch.setattr(bundle, "onnx_digest", lambda model: made.append(1) or original(model))
    alexnet.load(path, device="cpu")
    assert not made  # the digest of the file is enough
    model = onnx.load(path)
    model.metadata_props.add(key="theirs", value="1")
    onnx.save(model, path)
    for _ in range(2):
        alexnet.load(path, device="cpu")
    assert len(made) == 1

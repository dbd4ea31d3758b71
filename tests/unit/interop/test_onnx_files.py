"""ONNX files that take photos, have int8 weights, or average several models."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
import torch
from evaluations import calibration
from PIL import Image

import alexnet
from alexnet.cli.main import main
from alexnet.data.crops import cut
from alexnet.data.image_reader import read_photo
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.data.synthetic_images import draw_photo
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.evaluation.views import positions_of
from alexnet.interop import onnx as interop_onnx
from alexnet.interop import quantization
from alexnet.interop.export import export
from alexnet.interop.onnx import OnnxOptions
from alexnet.interop.quantization import _in_gray_levels
from alexnet.models import bundle
from alexnet.runs.calibration import write_calibration
from alexnet.runs.run_dir import EnsembleDir, EnsembleMember, RunDir

PHOTO = np.array(draw_photo("ring", "zigzag", np.random.default_rng(5)))
SQUARES = list(np.random.default_rng(2).integers(0, 256, (3, 72, 72, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def average(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of two models that need the same crops, calibrated for the central one."""
    folder = tmp_path_factory.mktemp("ensembles") / "average"
    for name, seed in (("first", 5), ("second", 6)):
        tiny.run(folder / name, store, seed=seed)
    names = [EnsembleMember(name=name, pretraining=False) for name in ("first", "second")]
    EnsembleDir(folder).write("average", names)
    write_calibration(RunDir(folder), calibration(temperature=2.0, updates=36))
    return folder


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def metadata(path: Path) -> dict[str, str]:
    return session(path).get_modelmeta().custom_metadata_map


@pytest.mark.parametrize("views", ["", "ten"])
def test_a_graph_takes_a_photo_and_predicts_as_the_run_does(make_run, tmp_path, capsys, views) -> None:
    run, file = make_run(), tmp_path / "photo.onnx"
    write_calibration(run, calibration(temperature=3.0, updates=18))
    words = ["--input", "photo", *(["--views", views] if views else [])]
    assert main(["export", str(run.path), str(file), *words]) == 0
    printed = capsys.readouterr().out
    assert "in ONNX Runtime, probabilities differ by at most" in printed
    assert "predict PHOTO" not in printed
    note = "probabilities are not calibrated: the calibration is for the views center, type --views center"
    assert (note in printed) == (views == "ten")
    loaded = alexnet.load(run.path, "cpu")
    for photo in (PHOTO, PHOTO[:200, :60], SQUARES[0]):
        (found,) = session(file).run(["probabilities"], {"photo": np.ascontiguousarray(photo)})
        wanted = loaded.probabilities(photo, views or "center")[0]
        np.testing.assert_allclose(found, wanted, atol=5e-3)
    # The calibration is for the center crop.
    assert ("calibrated" in metadata(file)["preprocessing_in_words"]) == (views == "")
    onnx.checker.check_model(onnx.load(file), full_check=True)
    with pytest.raises(DataError, match="takes whole photos"):
        alexnet.load(file)


def test_a_graph_that_resizes_otherwise_is_not_kept(make_run, tmp_path, monkeypatch) -> None:
    original = interop_onnx.photo_graph

    def other_filter(preprocessing: Any, *rest: Any) -> Any:
        return original(
            replace(preprocessing, resized={**preprocessing.resized, "resampling": "bilinear"}), *rest
        )

    monkeypatch.setattr(interop_onnx, "photo_graph", other_filter)
    with pytest.raises(WorkError, match="no file was written"):
        export(make_run().path, tmp_path / "photo.onnx", graph=OnnxOptions("photo"))
    assert not (tmp_path / "photo.onnx").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.onnx", "--input", "square"], "no input 'square'; it must be crops or photo"),
        (["net.onnx", "--views", "ten"], "only a graph that takes photos has views: add --input photo"),
        (["net.onnx", "--input", "photo", "--views", "dense"], "they must be center or ten"),
        (["net.safetensors", "--input", "photo"], "--input and --views apply only to .onnx"),
        (["net.onnx", "--precision", "int8"], "add --store STORE"),
        (["net.onnx", "--store", "STORE"], "--store applies only to --precision int8"),
        (["net.onnx", "--web", "page"], "type exactly one of OUT (a .safetensors or .onnx file), --hub DIR"),
        ([], "type exactly one of OUT (a .safetensors or .onnx file), --hub DIR"),
        (["net.onnx", "--runtime", "here"], "--runtime is for a web page"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    make_run, store, tmp_path, capsys, monkeypatch, words, message
) -> None:
    run = make_run()
    monkeypatch.chdir(tmp_path)
    words = [str(store.path) if each == "STORE" else each for each in words]
    assert main(["export", str(run.path), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# int8.


def test_int8_is_smaller_and_its_errors_are_printed(make_run, store, tmp_path, capsys) -> None:
    run, file = make_run("model.architecture.widths=[16,16,16,16,16,256,256]"), tmp_path / "int8.onnx"
    assert main(["export", str(run.path), str(file), "--precision", "int8", "--store", str(store.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("int8: ")
    assert lines[1].startswith("top-1 error on 21 photos of store val, views center: ")
    assert "before" in lines[1] and "the same class for" in lines[1]
    main(["export", str(run.path), str(tmp_path / "float.onnx")])
    assert file.stat().st_size < 0.4 * (tmp_path / "float.onnx").stat().st_size
    split = store.split("val")
    photos = [read_photo(split, number) for number in range(len(split))]
    wanted = alexnet.load(run.path, "cpu").probabilities(photos, "center")
    found = alexnet.load(file).probabilities(photos, "center")
    assert 0 < np.abs(found - wanted).max() < 0.1
    graph = onnx.load(file)
    assert {each.domain for each in graph.opset_import} == {""}
    (first, *others) = [node for node in graph.graph.node if node.op_type in ("Conv", "Gemm")]
    made = {name: node.op_type for node in graph.graph.node for name in node.output}
    assert first.input[1] not in made  # weights in float32
    assert {made[node.input[1]] for node in others} == {"DequantizeLinear"}


def test_a_mean_image_at_the_positions_of_crops_is_kept_in_int8(make_run, store, tmp_path) -> None:
    """As in float32: the graph for photos subtracts what the central mean lacks."""
    run = make_run("data.normalization=mean-image", "data.mean_position=crop")
    loaded = alexnet.load(run.path, "cpu")
    loaded.preprocessing.mean[:] = torch.linspace(0, 250, 72)[:, None, None]  # from dark to light
    edited, file = tmp_path / "edited.safetensors", tmp_path / "int8.onnx"
    bundle.save(edited, loaded.bundle)
    export(edited, file, precision="int8", graph=OnnxOptions("photo", "ten", store))
    means = [each for each in onnx.load(file).graph.initializer if each.name.endswith("of_position")]
    wanted = loaded.preprocessing.means(positions_of("ten", loaded.preprocessing))
    np.testing.assert_allclose(
        onnx.numpy_helper.to_array(means[0]), wanted - loaded.preprocessing.central_mean(), atol=1e-3
    )


@pytest.mark.parametrize(("normalization", "channels"), [("mean-image", "RGB"), ("mean-and-std", "BGR")])
def test_the_inputs_of_a_graph_are_crops_with_the_central_mean(normalization: str, channels: Any) -> None:
    data = tiny.config(f"data.normalization={normalization}", "data.mean_position=crop").data
    generator, resized = torch.Generator().manual_seed(0), {"shape": "square", "resize": "crop"}
    mean = 100 * torch.rand((72, 72, 3) if normalization == "mean-image" else (3,), generator=generator)
    made = Preprocessing(
        data, mean, torch.tensor([40.0, 50, 60]), torch.ones(3), torch.eye(3), resized, channels
    )
    squares = torch.randint(0, 256, (2, 72, 72, 3), dtype=torch.uint8, generator=generator)
    positions = np.array([[0, 0, 0], [8, 3, 1]])
    found = _in_gray_levels(made.test_input(squares, positions), made)
    crops = cut(squares, 64, positions).flatten(0, 1).permute(0, 3, 1, 2).float()
    apart = (made.means(positions) - made.central_mean()).expand(2, -1, -1, -1).repeat(2, 1, 1, 1)
    torch.testing.assert_close(
        found, crops - (apart.flip(1) if channels == "BGR" else apart), atol=1e-3, rtol=0
    )


def test_int8_needs_photos_of_the_models_classes_in_both_splits(
    make_run, store, tmp_path, capsys, monkeypatch
) -> None:
    run = make_run()
    monkeypatch.setattr(quantization, "TEST_SPLIT", "test")
    words = ["export", str(run.path), str(tmp_path / "int8.onnx"), "--precision", "int8", "--store"]
    assert main([*words, str(store.path)]) == 2
    assert "has no split 'test', only train, val" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(tiny, "CLASSES", 2)
    assert main([*words, str(tiny.store(tmp_path / "other").path)]) == 3
    assert "class2" in capsys.readouterr().err
    assert not (tmp_path / "int8.onnx").exists()


def test_a_worse_model_comes_with_a_warning(make_run, store) -> None:
    net = alexnet.load(make_run().path, "cpu").bundle
    lines = quantization._compare([net], [net], store, store.split("train"), "center")
    assert len(lines) == 1 and lines[0].endswith("the same class for 100.0 %")
    right, wrong = _constant(net, store, right=True), _constant(net, store, right=False)
    (_, warning) = quantization._compare([right], [wrong], store, store.split("train"), "center")
    assert warning.startswith("warning: int8 is worse by ")


def test_ties_are_errors_as_in_evaluations(make_run, store) -> None:
    net = alexnet.load(make_run().path, "cpu").bundle
    at_chance = _constant(net, store, right=True)
    at_chance.model.levels[:] = 120.0
    (line,) = quantization._compare([at_chance], [at_chance], store, store.split("train"), "center")
    assert "100.0 % before, 100.0 % after" in line


def _constant(net: Any, store: Store, right: bool) -> Any:
    """A model that predicts the class by the brightness of the photo, or another one."""

    class ByBrightness(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("levels", torch.tensor([70.0, 120.0, 170.0]))

        def forward(self, images: Any) -> Any:
            levels = images.mean((1, 2, 3))[:, None]
            return -((levels - self.levels.roll(0 if right else 1)) ** 2) / 100

    preprocessing = bundle.outside_the_graph(net.preprocessing.state()[0])
    return replace(net, model=ByBrightness(), preprocessing=preprocessing)


# Averages.


def test_an_ensemble_becomes_one_graph(average, tmp_path, capsys) -> None:
    file = tmp_path / "average.onnx"
    assert main(["export", str(average), str(file)]) == 0
    printed = capsys.readouterr().out
    assert "the average of 2 models (first, second), 3 classes" in printed
    assert printed.count("origin: run ") == 2
    wanted, found = alexnet.load(average, "cpu"), alexnet.load(file)
    for views in ("center", "ten"):
        np.testing.assert_allclose(
            found.probabilities(SQUARES, views), wanted.probabilities(SQUARES, views), atol=1e-4
        )
    assert found.calibration == wanted.calibration is not None
    known = found.provenance
    assert [each.run for each in known.members] == ["first", "second"]
    assert (known.run, known.seed, known.epochs) == ("average", None, None)
    first, second = (
        alexnet.load(average / name, "cpu").probabilities(SQUARES) for name in ("first", "second")
    )
    assert np.abs(first - second).max() > 0.01


def test_members_with_other_crops_need_a_graph_that_takes_photos(store, tmp_path, capsys) -> None:
    folder = tmp_path / "mixed"
    tiny.run(folder / "wide", store)
    tiny.run(folder / "narrow", store, "data.input_size=67", seed=6)
    names = [EnsembleMember(name=name, pretraining=False) for name in ("wide", "narrow")]
    EnsembleDir(folder).write("mixed", names)
    assert main(["export", str(folder), str(tmp_path / "mixed.onnx")]) == 2
    assert "need different crops of a photo" in capsys.readouterr().err
    assert main(["export", str(folder), str(tmp_path / "mixed.onnx"), "--input", "photo"]) == 0
    (found,) = session(tmp_path / "mixed.onnx").run(["probabilities"], {"photo": PHOTO})
    wanted = alexnet.load(folder, "cpu").probabilities(PHOTO, "center")[0]
    np.testing.assert_allclose(found, wanted, atol=5e-3)


def test_weights_of_an_average_and_its_similar_images_are_refused_with_the_choices(
    average, store, tmp_path, capsys
) -> None:
    assert main(["export", str(average), str(tmp_path / "average.safetensors")]) == 2
    error = capsys.readouterr().err
    assert "the average of 2 models" in error and "type a name that ends in .onnx" in error
    assert f"{average / 'first'}, {average / 'second'}" in error
    words = ["similar", "photo.png", "--model", str(average), "--store", str(store.path)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert f"type --model {average / 'first'} or {average / 'second'}" in error


def test_an_ensemble_of_one_model_is_that_model(store, tmp_path) -> None:
    tiny.run(tmp_path / "fit" / "linear", store)
    EnsembleDir(tmp_path / "fit").write("fit", [EnsembleMember(name="linear", pretraining=False)])
    export(tmp_path / "fit", tmp_path / "one.safetensors")
    wanted = alexnet.load(tmp_path / "fit", "cpu").probabilities(SQUARES)
    np.testing.assert_array_equal(
        alexnet.load(tmp_path / "one.safetensors", "cpu").probabilities(SQUARES), wanted
    )


# OpenVINO.


@pytest.fixture(scope="module")
def openvino() -> Iterator[Any]:
    """OpenVINO, without the part that counts and reports how it is used."""
    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, "openvino_telemetry", None)
    yield importlib.import_module("openvino")
    patch.undo()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_openvino_computes_the_same_probabilities(
    make_run: Callable[..., RunDir], store: Store, tmp_path: Path, openvino: Any, precision: str
) -> None:
    run, file = make_run(), tmp_path / "net.onnx"
    graph = OnnxOptions(store=store if precision == "int8" else None)
    export(run.path, file, precision=precision, graph=graph)
    squares = np.stack([read_photo(store.split("val"), number) for number in range(21)])
    images = np.ascontiguousarray(squares[:, 4:68, 4:68].transpose(0, 3, 1, 2), np.float32)
    model = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits = model([images])[0]
    (wanted,) = session(file).run(["logits"], {"images": images})
    np.testing.assert_allclose(
        _softmax(logits), _softmax(wanted), atol=1e-5 if precision == "float32" else 0.02
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_metadata_of_an_average_are_read_by_any_reader_of_onnx(average, tmp_path) -> None:
    file = tmp_path / "photo.onnx"
    export(average, file, graph=OnnxOptions("photo"))
    texts = metadata(file)
    assert len(json.loads(texts["provenance"])["members"]) == 2
    assert "center crop, calibrated" in texts["preprocessing_in_words"]
    (found,) = session(file).run(["probabilities"], {"photo": PHOTO})
    np.testing.assert_allclose(
        found, alexnet.load(average, "cpu").probabilities(PHOTO, "center")[0], atol=5e-3
    )
    with pytest.raises(CommandError, match="only a graph that takes photos"):
        OnnxOptions(views="ten")


def test_the_python_lines_of_the_guide_run(make_run, tmp_path, capsys, monkeypatch, openvino) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "export.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    run = make_run()
    export(run.path, tmp_path / "photo.onnx", graph=OnnxOptions("photo"))
    export(run.path, tmp_path / "model.onnx")
    Image.fromarray(PHOTO).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    given: dict[str, Any] = {"crops": np.zeros((2, 3, 64, 64), np.float32)}
    for block in blocks:
        exec(compile(block, "docs/export.md", "exec"), given)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] in ("class0", "class1", "class2")
    assert given["logits"].shape == (2, 3)
    assert int(lines[-1]) > 20  # OpenVINO still ignores `antialias`; if not, change the guide

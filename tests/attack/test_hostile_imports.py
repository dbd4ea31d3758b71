"""Files of other frameworks with other contents: each is read, or refused in one line that names it."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from attack.onnx_files import mean_color
from changed_contents import changed_bytes
from onnx import TensorProto, helper
from reference import caffe_files as twin
from safetensors import safe_open

from alexnet.errors import AlexNetError, DataError
from alexnet.interop import caffe, torchvision
from alexnet.models import bundle

CHANGED = 100
CHECKSUMS = ("checksum", "tensors_sha256", "tensors_xxh3_128")
"""In the metadata; they would hide what comes after."""


def one_line(error: AlexNetError, path: Path) -> None:
    assert path.name in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 1500


def odd_tensors() -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
        quantized = torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)
        rows = torch.eye(3).to_sparse_csr()
    return {
        "sparse": torch.eye(3).to_sparse(),
        "sparse rows": rows,
        "meta": torch.zeros(3, device="meta"),
        "nested": nested,
        "quantized": quantized,
        "complex": torch.zeros(3, dtype=torch.complex64),
        "boolean": torch.zeros(3, dtype=torch.bool),
        "not finite": torch.full((64, 3, 11, 11), torch.nan),
        "without dimensions": torch.tensor(1.0),
        "without values": torch.zeros(0),
        "of many dimensions": torch.zeros([1] * 60),
        "a text": "text",
        "a list": [1, 2],
        "nothing": None,
    }


@pytest.mark.parametrize("read", [torchvision.read_torchvision, caffe.read_caffe])
def test_a_zip_archive_of_several_disks_is_refused(tmp_path: Path, read) -> None:
    path = tmp_path / "net.pth"
    torch.save({"features.0.weight": torch.zeros(4)}, path)
    changed = bytearray(path.read_bytes())
    changed[changed.rindex(b"PK\x06\x07") + 4] ^= 1
    path.write_bytes(changed)
    with pytest.raises(DataError) as refused:
        read(path)
    one_line(refused.value, path)


@pytest.mark.parametrize("name", odd_tensors())
def test_odd_tensors_of_torch_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"features.0.weight": odd_tensors()[name]}, path)
    with pytest.raises(AlexNetError) as refused:
        torchvision.read_torchvision(path)
    one_line(refused.value, path)


@pytest.mark.parametrize(
    "contents",
    [
        {},
        [],
        None,
        {1: torch.zeros(1)},
        {"": torch.zeros(1)},
        {".": torch.zeros(1)},
        {"model": {"model": {"model": {}}}},
        {"\x1b[31m\n": torch.zeros(1)},
        {f"layer{number}.weight": torch.zeros(1) for number in range(2000)},
    ],
    ids=lambda contents: str(contents)[:20],
)
def test_odd_names_of_torch_are_refused(tmp_path: Path, contents: object) -> None:
    path = tmp_path / "net.pth"
    torch.save(contents, path)
    with pytest.raises(AlexNetError) as refused:
        torchvision.read_torchvision(path)
    assert path.name in str(refused.value)
    assert len(str(refused.value)) < 1500


def test_changed_files_of_torch_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    for old in (False, True):
        torch.save({"features.0.weight": torch.zeros(4)}, path, _use_new_zipfile_serialization=not old)
        for made in changed_bytes(path.read_bytes(), CHANGED, seed=4):
            path.write_bytes(made)
            with pytest.raises(AlexNetError) as refused:
                torchvision.read_torchvision(path)
            assert path.name in str(refused.value)


def test_no_pickle_runs(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)

    for path, contents in (("a.pth", Attack()), ("b.pth", {"features.0.weight": Attack()})):
        (tmp_path / path).write_bytes(pickle.dumps(contents))
        with pytest.raises(AlexNetError):
            torchvision.read_torchvision(tmp_path / path)
        torch.save(contents, tmp_path / path)
        with pytest.raises(AlexNetError):
            torchvision.read_torchvision(tmp_path / path)
    assert not (tmp_path / "ran").exists()


BLOBS = {"conv1": [np.zeros((4, 3, 2, 2), np.float32), np.zeros(4, np.float32)]}


def caffe_or_refuse(path: Path) -> None:
    try:
        caffe.read_caffe(path)
    except AlexNetError as error:
        one_line(error, path)


@pytest.mark.parametrize("write", [twin.layer_of_2013, twin.layer_of_2014, twin.layer_of_later])
def test_changed_files_of_caffe_are_refused(tmp_path: Path, write) -> None:
    path = tmp_path / "net.caffemodel"
    whole = twin.caffemodel("AlexNet", twin.alexnet_layers(BLOBS), write)
    for made in changed_bytes(whole, CHANGED, seed=5):
        path.write_bytes(made)
        caffe_or_refuse(path)


@pytest.mark.parametrize("dims", [[1] * 200, [2**62, 2**62], [0], [2**63 - 1], []])
def test_arrays_of_caffe_with_odd_sizes_are_refused(tmp_path: Path, dims: list[int]) -> None:
    path = tmp_path / "mean.binaryproto"
    shape = twin.block(7, twin.block(1, b"".join(map(twin.varint, dims))))
    path.write_bytes(twin.block(5, np.zeros(1, np.float32).tobytes()) + shape)
    with pytest.raises(DataError, match=r"mean\.binaryproto is broken"):
        caffe.read_blob(path)


def test_many_layers_of_caffe_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    layers = b"".join(twin.block(100, twin.block(1, f"layer{number}")) for number in range(300_000))
    path.write_bytes(twin.block(1, "AlexNet") + layers)
    with pytest.raises(DataError, match="300,000 layers, more than"):
        caffe.read_caffe(path)


@pytest.fixture(scope="module")
def graph(run: Path) -> onnx.ModelProto:
    with safe_open(run / "checkpoints" / "last" / "weights.safetensors", framework="pt") as opened:
        texts = {name: text for name, text in opened.metadata().items() if name not in CHECKSUMS}
    return mean_color(texts)


def onnx_or_refuse(path: Path) -> bool:
    try:
        bundle.load(path).model(torch.zeros(2, 3, 64, 64))
    except DataError as error:
        one_line(error, path)
        return False
    return True


def test_the_graph_is_valid(graph: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(graph, tmp_path / "net.onnx")
    assert onnx_or_refuse(tmp_path / "net.onnx")


def test_changed_files_of_onnx_are_refused(graph: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    for made in changed_bytes(graph.SerializeToString(), CHANGED, seed=6):
        path.write_bytes(made)
        onnx_or_refuse(path)


def break_node(made: onnx.ModelProto) -> None:
    made.graph.node[0].op_type = "NoSuchOperator"


def break_ends(made: onnx.ModelProto) -> None:
    made.graph.output[0].name = "other"


def break_classes(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].CopyFrom(helper.make_tensor("axes", TensorProto.INT64, [2], [1, 3]))


def break_data(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL
    made.graph.initializer[0].external_data.add(key="location", value="../../etc/passwd")


def break_input(made: onnx.ModelProto) -> None:
    made.graph.node[0].input[0] = "absent"


@pytest.mark.parametrize("change", [break_node, break_ends, break_classes, break_data, break_input])
def test_broken_graphs_are_refused(graph: onnx.ModelProto, tmp_path: Path, change) -> None:
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    change(made)
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    assert not onnx_or_refuse(tmp_path / "net.onnx")

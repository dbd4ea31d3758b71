from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import caffe_files as twin

from alexnet.errors import CommandError, DataError
from alexnet.interop import caffe

RNG = np.random.default_rng(0)
BLOBS = {
    "conv1": [RNG.standard_normal((4, 3, 2, 2), np.float32), RNG.standard_normal(4, np.float32)],
    "fc6": [RNG.standard_normal((5, 200), np.float32), RNG.standard_normal(5, np.float32)],
}
LAYERS = twin.alexnet_layers(BLOBS)
WRITERS = [twin.layer_of_2013, twin.layer_of_2014, twin.layer_of_later]


def put(folder: Path, contents: bytes) -> Path:
    path = folder / "net.caffemodel"
    path.write_bytes(contents)
    return path


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_files_of_all_years_are_read_in_order(tmp_path: Path, write) -> None:
    net = caffe.read_caffemodel(put(tmp_path, twin.caffemodel("AlexNet", LAYERS, write)))
    assert net.name == "AlexNet"
    assert [layer.name for layer in net.layers] == [layer[0] for layer in LAYERS]
    found = {layer.name: layer.blobs for layer in net.layers if layer.blobs}
    for name, wanted in BLOBS.items():
        for blob, array in zip(found[name], wanted, strict=True):
            assert blob.dtype == np.float32
            np.testing.assert_array_equal(blob.reshape(array.shape), array)


def test_doubles_and_split_arrays_are_read(tmp_path: Path) -> None:
    double = twin.caffemodel("x", LAYERS, lambda layer: twin.layer_of_later(layer, twin.double_blob))
    net = caffe.read_caffemodel(put(tmp_path, double))
    np.testing.assert_array_equal(next(x for x in net.layers if x.name == "fc6").blobs[0], BLOBS["fc6"][0])
    halves = [twin.block(5, np.float32(part).tobytes()) for part in ([1, 2], [3])]
    pieces = put(tmp_path, b"".join(halves) + twin.number(1, 1) + twin.number(2, 1))
    pieces.write_bytes(pieces.read_bytes() + twin.number(3, 1) + twin.number(4, 3))
    np.testing.assert_array_equal(caffe.read_blob(pieces), [[[[1, 2, 3]]]])


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_or_lacks_whole_layers(tmp_path_factory, cut: float) -> None:
    whole = twin.caffemodel("AlexNet", LAYERS)
    path = put(tmp_path_factory.mktemp("cut"), whole[: int(cut * len(whole))])
    try:
        net = caffe.read_caffemodel(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        names = [layer[0] for layer in LAYERS]
        assert [layer.name for layer in net.layers] == names[: len(net.layers)]


@pytest.mark.parametrize(
    "contents",
    [b"", b"\xff\xd8\xff\xe0" + bytes(500), b"PK\x03\x04" + bytes(100), b"\x89PNG\r\n\x1a\n", bytes(64)],
    ids=["empty", "jpeg", "zip", "png", "zeros"],
)
def test_foreign_files_are_one_line(tmp_path: Path, contents: bytes) -> None:
    with pytest.raises(DataError, match=r"net\.caffemodel") as error:
        caffe.read_caffemodel(put(tmp_path, contents))
    assert "\n" not in str(error.value)


def test_an_array_that_does_not_match_its_shape_is_broken(tmp_path: Path) -> None:
    blob = twin.block(5, bytes(4 * 7)) + twin.block(7, twin.block(1, bytes([2, 4])))
    with pytest.raises(DataError, match=r"28 bytes for an array \(2, 4\)"):
        caffe.read_blob(put(tmp_path, blob))


def test_a_missing_file_is_a_command_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no file at"):
        caffe.read_caffemodel(tmp_path / "absent")

"""CIFAR's batches, byte for byte as Python 2 pickled them; anything else in a pickle is refused."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from unit.data import source_makers as make

from alexnet.cli.main import main
from alexnet.data.decode import decode
from alexnet.data.sources import SourceOptions, open_source
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError

ROWS = np.random.default_rng(0).integers(0, 256, (10, 3072), dtype=np.uint8)


def python_2(value: object) -> bytes:
    """A pickle of protocol 2 as Python 2 wrote it: texts are bytes, arrays are rebuilt by numpy."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: object) -> bytes:
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"K" + bytes([value])
    if isinstance(value, list):
        return b"](" + b"".join(map(_opcodes, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(part) for item in value.items() for part in item) + b"u"
    assert isinstance(value, np.ndarray)
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    shape = b"".join(b"M" + struct.pack("<H", side) for side in value.shape)
    return empty + b"(K\x01" + shape + b"\x86" + kind + b"\x89" + _opcodes(value.tobytes()) + b"tb"


def cifar_10(folder: Path) -> Path:
    names = ["airplane", "automobile", "bird"]
    files = {"batches.meta": python_2({"num_cases_per_batch": 4, "label_names": names, "num_vis": 200})}
    batches = {"data_batch_1": (0, 4), "data_batch_2": (4, 8), "test_batch": (8, 10)}
    for name, (start, stop) in batches.items():
        labels = [row % 3 for row in range(start, stop)]
        photo_names = [f"a_s_{row:06d}.png" for row in range(start, stop)]
        batch = {"batch_label": name, "labels": labels, "data": ROWS[start:stop], "filenames": photo_names}
        files[name] = python_2(batch)
    files["readme.html"] = b"<meta>"
    return make.write(folder, {f"cifar-10-batches-py/{name}": data for name, data in files.items()}).parent


def cifar_100(folder: Path) -> Path:
    meta = {"fine_label_names": ["apple", "bear", "cloud"], "coarse_label_names": ["animals", "others"]}
    parts = {"train": ROWS[:6], "test": ROWS[6:9]}
    files = {"meta": python_2(meta)}
    for name, rows in parts.items():
        fine = [row % 3 for row in range(len(rows))]
        coarse = [int(label != 1) for label in fine]
        files[name] = python_2({"fine_labels": fine, "coarse_labels": coarse, "data": rows})
    return make.write(folder, {f"cifar-100-python/{name}": data for name, data in files.items()})


@pytest.mark.parametrize("tar", [False, True])
def test_cifar_10(tar: bool, tmp_path: Path) -> None:
    cifar_10(tmp_path / "photos")
    path = tmp_path / "photos"
    if tar:
        files = {
            file.relative_to(path).as_posix(): file.read_bytes()
            for file in path.rglob("*.*")
            if file.is_file()
        }
        files |= {
            f"cifar-10-batches-py/{name}": (path / "cifar-10-batches-py" / name).read_bytes()
            for name in ("data_batch_1", "data_batch_2", "test_batch")
        }
        path = make.write(tmp_path, {"photos.tar": make.tar_bytes(files)}) / "photos.tar"
    source = open_source(path)
    assert [each.name for each in source.classes] == ["airplane", "automobile", "bird"]
    train, val = source.splits["train"], source.splits["val"]
    assert train.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert val.labels.tolist() == [2, 0]
    np.testing.assert_array_equal(decode(train[5].image), ROWS[5].reshape(3, 32, 32).transpose(1, 2, 0))
    np.testing.assert_array_equal(decode(val[1].image), ROWS[9].reshape(3, 32, 32).transpose(1, 2, 0))
    assert source.strays == ["cifar-10-batches-py/readme.html"]


def test_cifar_100_has_two_columns_of_labels(tmp_path: Path) -> None:
    cifar_100(tmp_path)
    fine = open_source(tmp_path)
    assert fine.splits["train"].labels.tolist() == [0, 1, 2, 0, 1, 2]
    coarse = open_source(tmp_path, options=SourceOptions(label_column="coarse_labels"))
    assert [each.name for each in coarse.classes] == ["animals", "others"]
    assert coarse.splits["val"].labels.tolist() == [1, 0, 1]
    with pytest.raises(CommandError, match="fine_labels, coarse_labels"):
        open_source(tmp_path, options=SourceOptions(label_column="labels"))


def test_a_store_of_cifar_keeps_every_pixel(tmp_path: Path) -> None:
    cifar_10(tmp_path / "photos")
    assert main(["prepare", str(tmp_path / "photos"), str(tmp_path / "store"), "--workers", "1"]) == 0
    store = Store.open(tmp_path / "store")
    assert (store.side, store.manifest.encoding) == (32, "raw")
    image = decode(open_source(tmp_path / "photos").splits["train"][3].image)
    np.testing.assert_array_equal(np.reshape(store.split("train")[3].image, image.shape), image)


class _Program:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("a program ran",)


def test_a_pickle_that_runs_a_program_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cifar_10(tmp_path)
    for protocol in (2, 4):
        harmful = pickle.dumps({"data": _Program()}, protocol)
        (tmp_path / "cifar-10-batches-py/data_batch_2").write_bytes(harmful)
        with pytest.raises(DataError, match=r"data_batch_2 is not a batch of CIFAR \(it asks for .*print"):
            open_source(tmp_path)
    assert "a program ran" not in capsys.readouterr().out


def refuses(folder: Path, file: str, data: bytes, message: str) -> None:
    """CIFAR-10 with other contents of a file is refused."""
    cifar_10(folder)
    (folder / "cifar-10-batches-py" / file).write_bytes(data)
    with pytest.raises(DataError, match=message):
        open_source(folder)


@pytest.mark.parametrize(
    "batch",
    [
        python_2({"labels": [0], "data": ROWS[:2]}),
        python_2({"labels": [0, 9], "data": ROWS[:2]}),
        python_2({"labels": [0, 1], "data": ROWS[:2, :48]}),
        python_2({"labels": [0, 1], "data": [1, 2]}),
        python_2({"labels": [0, 1], "data": ROWS[:2]})[:-400],
        python_2([1, 2]),
        b"<html>",
        b"",
    ],
)
def test_broken_batches_are_refused(batch: bytes, tmp_path: Path) -> None:
    refuses(tmp_path, "data_batch_2", batch, r"data_batch_2 .*: download it again")


@pytest.mark.parametrize(
    "meta",
    [
        pickle.dumps({"label_names": ["airplane", "automobile", "bird"]}, 2),
        pickle.dumps({b"label_names": ["airplane", "automobile", "bird"]}, 3),
        pickle.dumps({b"label_names": [b"\xff"]}, 3),
        python_2({"label_names": "airplane"}),
        python_2({"num_vis": 200}),
    ],
    ids=["pickled again", "names as texts", "not UTF-8", "no list", "no names"],
)
def test_class_names_of_another_form_are_refused(meta: bytes, tmp_path: Path) -> None:
    refuses(tmp_path, "batches.meta", meta, r"batches\.meta holds no list label_names as Python 2 wrote it")


@pytest.mark.parametrize(
    "batch",
    [
        b"\x80\x02K\x01r" + struct.pack("<I", 2**31) + b".",  # a memo of 2^31 entries
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",  # bytes of that length
        b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".",
        b"\x80\x02G\x00",
        python_2({"labels": [0, 1], "data": ROWS[:2]}).replace(struct.pack("<HB", 2, 0x4D), b"\xff\xffM"),
    ],
    ids=["memo", "bytes", "byte array", "float", "shape"],
)
def test_sizes_that_a_pickle_only_names_are_refused(batch: bytes, tmp_path: Path) -> None:
    refuses(tmp_path, "data_batch_2", batch, r"data_batch_2 .*: download it again")

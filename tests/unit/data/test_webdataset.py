"""WebDataset tars of other programs; those of `alexnet convert` are in test_convert.py."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.sources import open_source
from alexnet.errors import DataError

from .memory_source import png


def photo(value: int) -> bytes:
    return png(np.full((8, 8, 3), value, np.uint8))


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def sample(name: str, value: int, label: str, ending: str = "png") -> dict[str, bytes]:
    return {f"{name}.{ending}": photo(value), f"{name}.cls": label.encode()}


def test_splits_are_words_in_the_names_of_tars(tmp_path: Path) -> None:
    numbers = sample("a/0", 10, "10") | sample("a/1", 2, "2\n") | sample("b/2", 3, "2")
    write_tar(tmp_path / "pets-train-0000.tar", numbers)
    write_tar(tmp_path / "pets-train-0001.tar", sample("0", 4, "10"))
    write_tar(tmp_path / "pets-validation-0000.tar", sample("0", 5, "2"))
    source = open_source(tmp_path)
    assert source.form == "WebDataset tars"
    assert [each.wnid for each in source.classes] == ["2", "10"]
    train, val = source.splits["train"], source.splits["val"]
    assert train.labels.tolist() == [0, 0, 1, 1]
    assert [train.key(index) for index in range(4)] == [
        "pets-train-0000/a/1",
        "pets-train-0000/b/2",
        "pets-train-0000/a/0",
        "pets-train-0001/0",
    ]
    assert [train[index].image for index in range(4)] == [photo(2), photo(3), photo(10), photo(4)]
    assert (val.labels.tolist(), val[0].image) == ([0], photo(5))


def test_labels_may_be_names_and_other_files_are_named(tmp_path: Path) -> None:
    files = sample("1", 1, "dog") | sample("2", 2, "cat", "seg.png") | sample("3", 3, "cat")
    write_tar(tmp_path / "photos.tar", files)
    source = open_source(tmp_path / "photos.tar", val_fraction=0)
    assert [each.name for each in source.classes] == ["cat", "dog"]
    assert source.splits["train"].labels.tolist() == [0, 1]
    assert source.strays == ["photos.tar: 2 (no photo)"]


def described(name: str, value: int, label: str, wnid: str) -> dict[str, bytes]:
    return sample(name, value, label) | {f"{name}.json": f'{{"wnid": "{wnid}", "name": "{wnid}"}}'.encode()}


def test_descriptions_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "train-0.tar", described("1", 1, "0", "cat") | described("2", 2, "1", "dog"))
    write_tar(tmp_path / "val-0.tar", described("3", 3, "0", "dog"))
    with pytest.raises(DataError, match=r"class 0 is cat \(cat\) in one photo's description and dog"):
        open_source(tmp_path)
    write_tar(tmp_path / "val-0.tar", described("3", 3, "2", "dog"))
    with pytest.raises(DataError, match="labels 1 and 2 are both described as dog"):
        open_source(tmp_path)


def test_a_photo_without_a_label_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "train.tar", sample("1", 1, "0") | {"2.png": photo(2)})
    with pytest.raises(DataError, match=r"2\.png has no label beside it \(2\.cls\)"):
        open_source(tmp_path)


def test_labels_of_any_number_of_digits_are_sorted_by_value(tmp_path: Path) -> None:
    digits = 5000 * "9"
    write_tar(tmp_path / "train.tar", sample("1", 1, digits) | sample("2", 2, "10"))
    source = open_source(tmp_path, val_fraction=0)
    assert [each.wnid for each in source.classes] == ["10", digits]


def test_a_pipe_named_like_a_tar_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train-0.tar")
    write_tar(tmp_path / "train-1.tar", sample("1", 1, "0"))
    assert len(open_source(tmp_path, val_fraction=0).splits["train"]) == 1

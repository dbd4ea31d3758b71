"""Unlabeled test photos: a split whose labels are all -1, from the source to the loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from unit.data import source_makers as make

from alexnet.cli.main import main
from alexnet.data import inspect as inspect_module
from alexnet.data.classes import NO_LABEL, classes_from_wnids
from alexnet.data.inspect import inspect
from alexnet.data.loader import Batching, Loader
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.sources.devkit import OfficialName, official_name

Maker = Callable[[Path], Path]


def _in_folder(name: str, files: make.Photos) -> make.Photos:
    return {f"{name}/{path}": data for path, data in files.items()}


def _parquet_with_test(folder: Path) -> Path:
    photos = make.hidden_photos()
    test = make.parquet(folder) / "data/test-00000-of-00001.parquet"
    make.write_parquet(test, photos, [-1] * len(photos), None)
    return folder


def _tars_with_test(folder: Path, name: str, files: make.Photos) -> Path:
    kit = {"ILSVRC2012_devkit_t12.tar.gz": make.devkit_archive()}
    return make.write(make.ilsvrc_tars(folder), kit | {name: make.tar_bytes(files)})


FORMS: dict[str, Maker] = {
    "Kaggle": make.kaggle,
    "tars": lambda f: _tars_with_test(f, "ILSVRC2012_img_test.tar", make.hidden_photos()),
    "tars of 2019": lambda f: _tars_with_test(
        f, "ILSVRC2012_img_test_v10102019.tar", _in_folder("test", make.hidden_photos())
    ),
    "parquet": _parquet_with_test,
    "folders": lambda f: make.write(f, make.folder_files() | _in_folder("test", make.hidden_photos())),
}


@pytest.mark.parametrize("form", FORMS)
def test_ilsvrcs_test_photos_are_a_split_without_labels(form: str, tmp_path: Path) -> None:
    source = open_source(FORMS[form](tmp_path))
    assert list(source.splits) == ["train", "val", "test"]
    assert source.splits["test"].labels.dtype == np.int32
    test = [source.splits["test"][index] for index in range(len(source.splits["test"]))]
    assert {each.key: each.image for each in test} == make.hidden_photos()
    assert [each.label for each in test] == source.splits["test"].labels.tolist() == [NO_LABEL] * 5
    assert [source.splits["test"].key(index) for index in range(5)] == [each.key for each in test]
    assert source.strays == []


def test_unlabeled_photos_are_counted_in_no_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make.kaggle(tmp_path)
    monkeypatch.setattr(inspect_module, "imagenet_classes", lambda: classes_from_wnids(make.WNIDS))
    found = inspect(open_source(tmp_path))
    assert (found.splits["test"].photos, found.splits["test"].unlabeled) == (5, 5)
    assert found.splits["val"].unlabeled == 0
    assert found.missing_of_ilsvrc is not None
    assert found.missing_of_ilsvrc["test"] == 100_000 - 5
    assert main(["inspect", str(tmp_path)]) == 0
    assert "test: 5 photos; unlabeled" in capsys.readouterr().out


def test_they_are_stored_and_loaded_with_minus_one(tmp_path: Path) -> None:
    source = open_source(make.kaggle(tmp_path / "photos"))
    store = prepare(source, tmp_path / "store", PrepareSettings(side=16), workers=1)
    assert store.split("test").labels.tolist() == [NO_LABEL] * 5
    assert store.split("test").keys() == list(make.hidden_photos())
    (batch,) = Loader(store.split("test"), Batching(5, order="sequential")).batches()
    assert batch.labels.tolist() == [NO_LABEL] * 5
    assert store.manifest.statistics_split == "train"


def test_without_training_photos_the_statistics_are_not_those_of_the_test_photos(tmp_path: Path) -> None:
    folder = FORMS["parquet"](tmp_path / "photos")
    for file in folder.glob("data/train-*"):
        file.unlink()
    store = prepare(open_source(folder), tmp_path / "store", PrepareSettings(side=16), workers=1)
    assert store.splits == ["val", "test"]
    assert store.manifest.statistics_split == "val"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("ILSVRC2012_test_00000001.JPEG", (2012, "test", 1)),
        ("n01440764/ILSVRC2012_val_00050000.JPEG", (2012, "val", 50_000)),
        ("ILSVRC2012_val_00000293_n01440764.JPEG", (2012, "val", 293)),
        ("ILSVRC2010_test_00150000.JPEG", (2010, "test", 150_000)),
        ("ILSVRC2012_test_1.JPEG", None),
        ("ILSVRC2012_test_00000001 (copy).JPEG", None),
        ("n01440764_18.JPEG", None),
    ],
)
def test_official_names_are_parsed(path: str, wanted: tuple[int, str, int] | None) -> None:
    assert official_name(path) == wanted


def test_an_official_name_round_trips() -> None:
    assert official_name(str(OfficialName(2012, "test", 42))) == (2012, "test", 42)

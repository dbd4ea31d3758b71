"""Stores in the forms of other libraries: every image with its label, and readable as a source again."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from datasets import load_dataset
from PIL import Image

from alexnet.cli.main import main
from alexnet.data import convert
from alexnet.data.convert import FORMS, convert_store
from alexnet.data.image_reader import read_photo
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import AlreadyExists, CommandError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("tiny"))


def pictures(store: Store, split: str) -> list[tuple[bytes, str]]:
    """The pixels and the class of all images, sorted."""
    part = store.split(split)
    return sorted(
        (read_photo(part, index).tobytes(), store.classes[part.labels[index]].wnid)
        for index in range(len(part))
    )


@pytest.mark.parametrize("to", FORMS)
def test_what_is_converted_is_prepared_to_the_same_store(store: Store, tmp_path: Path, to) -> None:
    made = convert_store(store, tmp_path / "out", to)
    assert made.images == {"train": 48, "val": 21}
    settings = PrepareSettings(side=72, encoding="raw")
    again = prepare(open_source(tmp_path / "out"), tmp_path / "store", settings, workers=1)
    assert [each.wnid for each in again.classes] == [each.wnid for each in store.classes]
    for split in ("train", "val"):
        assert pictures(again, split) == pictures(store, split)


def test_jpeg_files_are_not_changed(tmp_path: Path) -> None:
    source = open_source(tiny.photos(tmp_path / "photos"))
    store = prepare(source, tmp_path / "store", PrepareSettings(side=32), workers=1)
    convert_store(store, tmp_path / "out", "imagefolder", ["val"])
    files = sorted((tmp_path / "out").rglob("*.jpg"))
    assert len(files) == 21
    part = store.split("val")
    assert sorted(each.read_bytes() for each in files) == sorted(bytes(part.buffer(n)) for n in range(21))
    assert {each.parent.name for each in files} == {"class0", "class1", "class2"}


def test_parquet_has_the_types_of_hugging_face(store: Store, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(convert, "IMAGES_PER_FILE", 20)
    assert convert_store(store, tmp_path / "out", "parquet", ["val"]).files == 2
    paths = sorted((tmp_path / "out" / "data").iterdir())
    assert [path.name for path in paths] == ["val-00000-of-00002.parquet", "val-00001-of-00002.parquet"]
    tables = [pq.read_table(path) for path in paths]
    assert [len(table) for table in tables] == [20, 1]
    features = json.loads(tables[0].schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"]["names"] == ["class0", "class1", "class2"]
    first = tables[0].to_pylist()[0]
    pixels = np.asarray(Image.open(io.BytesIO(first["image"]["bytes"])))
    np.testing.assert_array_equal(pixels, read_photo(store.split("val"), 0))


def test_tars_have_the_parts_of_each_sample_together(store: Store, tmp_path: Path) -> None:
    convert_store(store, tmp_path / "out", "webdataset")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "train-000000.tar",
        "val-000000.tar",
    ]
    with tarfile.open(tmp_path / "out" / "val-000000.tar") as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar}
    assert list(contents)[:3] == ["00000000.png", "00000000.cls", "00000000.json"]
    labels = [int(data) for name, data in contents.items() if name.endswith(".cls")]
    assert labels == store.split("val").labels.tolist()
    assert json.loads(contents["00000020.json"]) == {
        "key": store.split("val").key(20),
        "wnid": "class2",
        "name": "class2",
    }


@pytest.mark.filterwarnings("default")  # of datasets
@pytest.mark.parametrize("to", FORMS)
def test_the_library_datasets_opens_what_is_converted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_OFFLINE", True)
    convert_store(store, tmp_path / "out", to)
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    val = "val" if to == "parquet" else "validation"  # the library has names of its own for folders and tars
    assert set(loaded) == {"train", val}
    for split, name in (("train", "train"), ("val", val)):
        found = []
        for row in loaded[name]:
            if to == "webdataset":
                image, wnid = row["png"], store.classes[row["cls"]].wnid
                assert row["json"]["wnid"] == wnid
            else:
                image, wnid = row["image"], loaded[name].features["label"].int2str(row["label"])
            found.append((np.asarray(image).tobytes(), wnid))
        assert sorted(found) == pictures(store, split)


def test_what_cannot_be_converted_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(AlreadyExists, match="exists: choose another folder"):
        convert_store(store, tmp_path / "taken", "parquet")
    with pytest.raises(CommandError, match="unknown format 'zip'"):
        convert_store(store, tmp_path / "out", "zip")  # pyright: ignore[reportArgumentType]
    with pytest.raises(CommandError, match="no split 'test'"):
        convert_store(store, tmp_path / "out", "parquet", ["test"])
    assert not (tmp_path / "out").exists()


def test_the_command(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", str(store.path), "--to", "imagefolder", str(tmp_path / "out"), "--splits", "val"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: val 21 images in 21 files\n"

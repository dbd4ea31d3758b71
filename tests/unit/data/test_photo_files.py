"""The files that a store was prepared from: they are found as long as they are there."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

import pytest
from unit.data.source_makers import photo

from alexnet.data.manifest import PrepareSettings, read_manifest, write_manifest
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store

SETTINGS = PrepareSettings(side=16)
PER_CLASS = 4


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos in one folder with a table of their labels: the keys are no paths."""
    folder, rows = tmp_path / "photos", ["file,label"]
    (folder / "images").mkdir(parents=True)
    for number in range(2 * PER_CLASS):
        (folder / "images" / f"{number}.jpg").write_bytes(photo(number, (40, 30)))
        rows.append(f"images/{number}.jpg,{'ant' if number < PER_CLASS else 'bee'}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def made(photos: Path) -> Store:
    return prepare(open_source(photos, 0.25), photos.parent / "store", SETTINGS, workers=1)


def files(store: Store) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in store.splits:
        keys = store.split(name).keys()
        found |= dict(zip(keys, store.photo_files(name, keys), strict=True))
    return found


def test_each_photo_has_its_file_also_after_the_folder_was_moved(photos: Path) -> None:
    store = made(photos)
    found, wanted = files(store), photos.resolve() / "images"
    assert sorted(found.values()) == sorted(str(wanted / f"{number}.jpg") for number in range(2 * PER_CLASS))
    assert found["ant/0.jpg"] == str(wanted / "0.jpg")
    (photos / "images" / "0.jpg").unlink()
    assert files(store)["ant/0.jpg"] == ""
    (photos / "images" / "0.jpg").write_bytes(photo(0, (40, 30)))
    moved = photos.rename(photos.with_name("moved"))
    assert set(files(store).values()) == {""}
    digest = store.digest
    again = made(moved)
    assert files(again)["ant/0.jpg"] == str(moved.resolve() / "images" / "0.jpg")
    assert again.digest == digest


def test_a_store_of_an_earlier_version_has_none_until_it_is_prepared_again(photos: Path) -> None:
    store = made(photos)
    manifest = read_manifest(store.path)
    write_manifest(
        store.path, dataclasses.replace(manifest, source=dataclasses.replace(manifest.source, path=""))
    )
    assert set(files(Store.open(store.path)).values()) == {""}
    assert set(files(made(photos)).values()) == set(files(store).values()) != {""}


def test_a_link_is_named_and_not_its_target(tmp_path: Path) -> None:
    """Its folder is its class; the target may be in a pool."""
    (tmp_path / "pool").mkdir()
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            file = tmp_path / "pool" / f"{name}{number}.jpg"
            file.write_bytes(photo(len(name) * number + ord(name[0]), (40, 30)))
            (tmp_path / "photos" / name / f"{number}.jpg").symlink_to(file)
    store = made(tmp_path / "photos")
    wanted = tmp_path.resolve() / "photos" / "ant" / "0.jpg"
    assert store.photo_files("train", ["ant/0.jpg"]) == [str(wanted)]


def test_photos_in_a_tar_have_none(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        for name in ("ant", "bee"):
            for number in range(PER_CLASS):
                file = tmp_path / f"{name}{number}.jpg"
                file.write_bytes(photo(len(name) * number + ord(name[0]), (40, 30)))
                tar.add(file, f"{name}/{number}.jpg")
    store = prepare(open_source(tmp_path / "photos.tar", 0.25), tmp_path / "store", SETTINGS, workers=1)
    assert set(files(store).values()) == {""}


def test_damaged_notes_do_not_keep_a_store_from_being_tested(photos: Path) -> None:
    store = made(photos)
    next((store.path / "notes").glob("train-*.json")).write_text("{")
    assert store.photo_files("train", ["ant/0.jpg"]) == [""]

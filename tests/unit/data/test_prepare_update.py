"""A store follows its photos: what changes is made again, and the result is that of a new store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from unit.data.source_makers import annotation

from alexnet.data import prepare as module
from alexnet.data.findings import PhotoNote
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.prepare_update import SourceChanges, _find_moved
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError

SETTINGS = PrepareSettings(side=24)
TRAIN, VAL = 12, 4
"""Of each of two classes; with eight images in a shard, three shards and one."""


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_PER_SHARD", 8)


def write_photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((40, 30)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for split, count in (("train", TRAIN), ("val", VAL)):
        for label, name in enumerate(("ant", "bee")):
            for number in range(count):
                seed = 1000 * (split == "val") + 100 * label + number
                write_photo(folder / split / name / f"{number:02}.png", seed)
    for number in range(TRAIN):
        xml = annotation("ant", (3, 2, 20, 17), (40, 30))
        (folder / "train" / "ant" / f"{number:02}.xml").write_bytes(xml)
    other = annotation("bee", (3, 2, 20, 17), (40, 30))
    (folder / "train" / "ant" / "02.xml").write_bytes(other)
    return folder


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Path:
    made(photos, tmp_path / "store")
    return tmp_path / "store"


def made(photos: Path, store: Path, **options: object) -> list[str]:
    """What was printed while the store was made or brought up to date."""
    lines: list[str] = []
    prepare(open_source(photos), store, SETTINGS, workers=1, log=lines.append, **options)
    return lines


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def shards(store: Path) -> dict[str, int]:
    """When each was written."""
    return {path.name: path.stat().st_mtime_ns for path in store.glob("*.arrow")}


def recolor(photos: Path) -> None:
    write_photo(photos / "train/bee/11.png", 77)


def redraw_box(photos: Path) -> None:
    xml = photos / "train/ant/00.xml"
    xml.write_bytes(xml.read_bytes().replace(b"<xmin>3<", b"<xmin>9<"))


def remove_boxes(photos: Path) -> None:
    (photos / "train/ant/09.xml").unlink()


def add_at_the_end(photos: Path) -> None:
    write_photo(photos / "train/bee/99.png", 78)


def add_in_between(photos: Path) -> None:
    write_photo(photos / "train/ant/05a.png", 78)


def remove(photos: Path) -> None:
    (photos / "val/bee/00.png").unlink()


def remove_last_shard(photos: Path) -> None:
    for number in range(4, 12):
        (photos / f"train/bee/{number:02}.png").unlink()


def rename_class(photos: Path) -> None:
    for split in ("train", "val"):
        (photos / split / "bee").rename(photos / split / "wasp")
    (photos / "train/ant/02.xml").write_bytes(annotation("wasp", (3, 2, 20, 17), (40, 30)))


def add_class(photos: Path) -> None:
    for split in ("train", "val"):
        for number in range(3):
            write_photo(photos / split / "cow" / f"{number}.png", 500 + number)


def add_class_in_between(photos: Path) -> None:
    """A box of a bee on a photo of an ant gets another label, though its file is the same."""
    for split in ("train", "val"):
        for number in range(8):
            write_photo(photos / split / "asp" / f"{number}.png", 600 + number)


def break_photo(photos: Path) -> None:
    (photos / "train/bee/11.png").write_bytes(b"no photo")


CHANGES: dict[Callable[[Path], None], tuple[str, set[str]]] = {
    recolor: ("1 changed (train/bee/11.png)", {"train-00002"}),
    redraw_box: ("1 changed (train/ant/00.png)", {"train-00000"}),
    remove_boxes: ("1 changed (train/ant/09.png)", {"train-00001"}),
    add_at_the_end: ("1 new (train/bee/99.png)", {"train-00003"}),
    add_in_between: ("1 new (train/ant/05a.png)", {f"train-0000{number}" for number in range(4)}),
    remove: ("1 removed (val/bee/00.png)", {"val-00000"}),
    remove_last_shard: ("8 removed (train/bee/04.png, train/bee/05.png, train/bee/06.png, ...)", set()),
    add_class: (
        "6 new (train/cow/0.png, train/cow/1.png, train/cow/2.png, ...)",
        {"train-00003", "val-00001"},
    ),
    add_class_in_between: (
        "1 changed (train/ant/02.png), 16 with another label (train/bee/00.png, train/bee/01.png, "
        "train/bee/02.png, ...), 16 new",
        {*(f"train-0000{number}" for number in range(4)), "val-00000", "val-00001"},
    ),
    break_photo: ("1 changed (train/bee/11.png)", {"train-00002"}),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_shards_of_changed_photos_are_made_again(
    change: Callable[[Path], None], photos: Path, store: Path, tmp_path: Path
) -> None:
    words, again = CHANGES[change]
    before = shards(store)
    change(photos)
    (line,) = made(photos, store)
    assert words in line
    after = shards(store)
    assert {name.removesuffix(".arrow") for name in after if after[name] != before.get(name)} == again
    assert f"rewriting {len(again)} of {len(after)} shards" in line
    made(photos, tmp_path / "new")
    assert contents(store) == contents(tmp_path / "new")
    assert made(photos, store) == []


def test_a_photo_that_moved_to_another_split_is_told_from_another_one_of_its_name(
    photos: Path, tmp_path: Path
) -> None:
    for annotated in (photos / "train/ant").glob("*.xml"):
        annotated.unlink()
    made(photos, tmp_path / "store")
    (photos / "train/bee/11.png").rename(photos / "val/bee/11.png")
    (photos / "train/bee/10.png").unlink()
    write_photo(photos / "val/bee/10.png", 79)
    (line,) = made(photos, tmp_path / "store")
    moved = "1 in another split than before (val/bee/11.png)"
    assert f"{moved}, 1 new (val/bee/10.png), 1 removed (train/bee/10.png)" in line
    made(photos, tmp_path / "new")
    assert contents(tmp_path / "store") == contents(tmp_path / "new")


def test_most_photos_may_move_to_another_split(photos: Path, tmp_path: Path) -> None:
    for annotated in (photos / "train/ant").glob("*.xml"):
        annotated.unlink()
    made(photos, tmp_path / "store")
    for photo in sorted((photos / "train").rglob("*.png")):
        if int(photo.stem) > VAL:
            photo.rename(photos / "val" / photo.parent.name / photo.name)
    (line,) = made(photos, tmp_path / "store")
    assert "in another split than before" in line and "removed" not in line
    made(photos, tmp_path / "new")
    assert contents(tmp_path / "store") == contents(tmp_path / "new")


def test_classes_with_other_names_are_other_photos(photos: Path, store: Path, tmp_path: Path) -> None:
    """Half of the photos stay, so the store follows."""
    rename_class(photos)
    (line,) = made(photos, store)
    assert "16 new" in line and "16 removed" in line
    made(photos, tmp_path / "new")
    assert contents(store) == contents(tmp_path / "new")


def test_other_photos_do_not_replace_a_store(photos: Path, store: Path, tmp_path: Path) -> None:
    before = contents(store)
    rename_class(photos)
    add_class(photos)
    shutil.rmtree(photos / "train" / "ant")
    (photos / "val" / "ant" / "00.png").rename(photos / "train" / "other.png")
    shutil.rmtree(photos / "val" / "ant")
    with pytest.raises(CommandError, match=r"other photos: of its 32, only 0 are still in .*choose"):
        made(photos, store)
    assert contents(store) == before


def test_new_times_alone_change_no_shard(photos: Path, store: Path, tmp_path: Path) -> None:
    before = shards(store)
    for path in photos.rglob("*.png"):
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 5))
    assert made(photos, store) == []
    assert shards(store) == before
    made(photos, tmp_path / "new")
    assert contents(store) == contents(tmp_path / "new")


def test_photos_of_the_same_size_and_time_are_not_read(
    photos: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(photos)
    monkeypatch.setattr(type(source.splits["train"]), "__getitem__", lambda *_: pytest.fail("it was read"))
    prepare(source, store, SETTINGS)


def test_a_lost_shard_is_made_again(photos: Path, store: Path) -> None:
    before = contents(store)
    (store / "train-00001.arrow").unlink()
    (line,) = made(photos, store)
    assert "rewriting 1 of 4 shards" in line
    assert contents(store) == before


@pytest.mark.parametrize("moment", ["_finish", "make_all"])
def test_an_interrupted_update_is_continued(
    moment: str, photos: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    recolor(photos)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, moment, interrupt)
        made(photos, store)
    with pytest.raises(DataError, match="not a store"):
        Store.open(store)
    add_at_the_end(photos)
    made(photos, store)
    made(photos, tmp_path / "new")
    assert contents(store) == contents(tmp_path / "new")


def test_a_store_without_notes_opens_but_does_not_follow(photos: Path, store: Path) -> None:
    """As version 0.1 made them."""
    shutil.rmtree(store / "notes")
    assert made(photos, store) == []
    assert len(Store.open(store).split("train")) == 2 * TRAIN
    recolor(photos)
    assert made(photos, store) == []  # names are all it remembers
    add_at_the_end(photos)
    with pytest.raises(CommandError, match="other photos"):
        made(photos, store)


def test_a_photo_in_a_tar_is_noticed(photos: Path, tmp_path: Path) -> None:
    def pack() -> Path:
        return Path(shutil.make_archive(str(tmp_path / "photos"), "tar", photos))

    made(pack(), tmp_path / "store")
    recolor(photos)
    (line,) = made(tar := pack(), tmp_path / "store")
    assert "1 changed (train/bee/11.png)" in line
    made(tar, tmp_path / "new")
    assert contents(tmp_path / "store") == contents(tmp_path / "new")


def test_refused_settings_leave_nothing_that_blocks_others(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(DataError, match="do not fit into a square of 24"):
        patch.setattr(module, "check_space", lambda *_: None)
        prepare(open_source(photos), tmp_path / "store", PrepareSettings(side=24, resize="pad"), workers=1)
    assert not (tmp_path / "store").exists()
    made(photos, tmp_path / "store")


def test_an_unfinished_store_of_an_earlier_version_is_made_again(photos: Path, tmp_path: Path) -> None:
    """Its notes were beside the shards and had fewer fields."""
    made(photos, tmp_path / "new")
    store = tmp_path / "store"
    store.mkdir()
    (store / "preparing.json").write_text('{"version": 1, "side": 24}')
    (store / "train-00000.arrow").write_bytes(b"old")
    (store / "train-00000.note.json").write_text("{}")
    (store / "train-00000.statistics.npz").write_bytes(b"old")
    made(photos, store)
    assert contents(store) == contents(tmp_path / "new")


def test_a_persons_own_notes_are_not_those_of_a_store(photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "notes"
    mine.mkdir(parents=True)
    (mine / "diary.json").write_text("Dear diary")
    with pytest.raises(CommandError, match="is not empty and not a store"):
        made(photos, tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"notes/diary.json": b"Dear diary"}


def test_moved_photos_are_removed_from_the_new_ones_together() -> None:
    """Not one by one, which takes time with the square of their number."""

    class Searched(list):
        def remove(self, value: object) -> None:
            raise AssertionError

    class Stamps:
        def __len__(self) -> int:
            return len(new)

        def key(self, index: int) -> str:
            return new[index].partition("/")[2]

        def stamp(self, index: int) -> str:
            return "now"

    before = {("train", f"{number}"): PhotoNote(f"{number}", 0, "now", "", "") for number in range(9)}
    new = [f"val/{number}" for number in range(6)] + ["val/other"]
    found = SourceChanges(new=Searched(new))
    _find_moved(SimpleNamespace(splits={"val": Stamps()}), before, found, by_stamp=True)
    assert (found.new, found.moved) == (["val/other"], new[:6])
    assert sorted(key for _, key in before) == ["6", "7", "8"]

"""Copies, tiny classes, imbalance and one-color photos are found while a store is prepared."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unit.data import memory_source
from unit.data.test_prepare_update import contents

import alexnet
from alexnet.cli.main import main
from alexnet.data.decode import ONE_COLOR
from alexnet.data.duplicates import drop_duplicates
from alexnet.data.findings import LISTED, DroppedPhoto, PhotoName
from alexnet.data.manifest import PrepareSettings, read_manifest
from alexnet.data.prepare import prepare
from alexnet.data.sources import Example, Source, open_source
from alexnet.data.store import Store
from alexnet.data.store_inspection import near_duplicates, similar_pairs
from alexnet.errors import CommandError, DataError

SETTINGS = PrepareSettings(side=24)


def flat(color: int, size: tuple[int, int] = (30, 40)) -> np.ndarray:
    return np.full((*size, 3), color, np.uint8)


def example(pixels: np.ndarray, label: int, key: str) -> Example:
    return Example(memory_source.png(pixels), label, key)


def noise(seed: int) -> np.ndarray:
    return memory_source.photo(seed)


def as_bmp(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()


@pytest.fixture
def photos() -> Source:
    """Copies within a class, across classes and across splits, the last in another file format."""
    train = [
        *[example(noise(seed), 0, f"a/{seed}.png") for seed in range(12)],
        example(noise(0), 0, "a/copy.png"),
        *[example(noise(100 + seed), 1, f"b/{seed}.png") for seed in range(3)],
        example(noise(1), 1, "b/wrong.png"),
        *[example(noise(200), 2, f"c/{number}.png") for number in range(2)],
        example(flat(7), 3, "d/flat.png"),
        example(noise(301), 3, "d/1.png"),
    ]
    val = [example(noise(400 + label), label, f"v/{label}.png") for label in range(4)]
    val[3] = Example(as_bmp(noise(102)), 1, "v/b2.bmp")
    return memory_source.source(train=train, val=val)


def test_everything_is_found(photos: Source, tmp_path: Path) -> None:
    manifest = prepare(photos, tmp_path / "store", SETTINGS, workers=1).manifest
    found = manifest.findings
    assert found is not None
    assert manifest.odd[ONE_COLOR].first == ("train/d/flat.png",)
    names = [[str(photo) for photo in photos] for photos in found.duplicates.first]
    assert names == [
        ["train/a/1.png", "train/b/wrong.png"],
        ["train/b/2.png", "val/v/b2.bmp"],
        ["train/a/0.png", "train/a/copy.png"],
        ["train/c/0.png", "train/c/1.png"],
    ]
    sets = found.duplicates
    assert (sets.sets, sets.photos, sets.across_splits, sets.across_classes) == (4, 4, 1, 1)
    assert sets.first[0][1] == PhotoName("train", "b/wrong.png", "n00000001")
    assert list(found.small_classes.items()) == [("n00000002", 2), ("n00000003", 2), ("n00000001", 4)]
    assert found.one_photo_classes == ("n00000002",)
    assert (found.smallest_class, found.largest_class) == (("n00000002", 2), ("n00000000", 13))
    assert not found.all_alike
    assert read_manifest(tmp_path / "store").findings == found


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    train = memory_source.examples(40)
    found = prepare(memory_source.source(train=train), tmp_path / "store", SETTINGS, workers=1)
    findings = found.manifest.findings
    assert findings is not None and findings.duplicates.sets == 0
    assert not findings.small_classes and not findings.one_photo_classes


def test_photos_that_are_all_copies_of_one(tmp_path: Path, capsys) -> None:
    train = [example(noise(1), number % 2, f"{number}.png") for number in range(8)]
    val = [example(noise(2), number % 2, f"{number}.png") for number in range(2)]
    store = prepare(memory_source.source(train=train, val=val), tmp_path / "store", SETTINGS, workers=1)
    assert store.manifest.findings is not None and store.manifest.findings.all_alike
    assert main(["inspect", str(store.path)]) == 0
    assert "all training photos are copies of one: there is nothing to learn" in capsys.readouterr().out


def test_photos_of_one_color_leave_no_store_that_blocks_others(photos: Source, tmp_path: Path) -> None:
    black = [example(flat(0, (30 + number, 40)), number % 2, f"{number}.png") for number in range(4)]
    with pytest.raises(DataError, match="every training photo is of the same single color"):
        prepare(memory_source.source(train=black), tmp_path / "store", SETTINGS, workers=1)
    assert not (tmp_path / "store").exists()
    prepare(photos, tmp_path / "store", SETTINGS, workers=1)


@pytest.mark.data
def test_only_black_photos(shared_data: Path, tmp_path: Path, capfd) -> None:
    photos = str(shared_data / "odd-inputs/images/allblack")
    assert main(["prepare", photos, str(tmp_path / "store"), "--side", "32", "--workers", "1"]) == 3
    assert "every training photo is of the same single color" in capfd.readouterr().err
    assert not (tmp_path / "store").exists()


def test_the_header_is_short_and_inspect_lists_all(tmp_path: Path, capsys) -> None:
    train = [example(noise(number // 2), 0, f"{number:03}.png") for number in range(2 * LISTED + 6)]
    train += [example(noise(900 + number), 1, f"b/{number}.png") for number in range(20)]
    store = tmp_path / "store"
    found = prepare(memory_source.source(train=train), store, SETTINGS, workers=1).manifest.findings
    assert found is not None and found.duplicates.sets == LISTED + 3
    assert len(found.duplicates.first) == LISTED
    assert main(["inspect", str(store), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["findings"]["duplicates"]["first"]) == LISTED + 3
    assert printed["splits"] == {"train": 2 * LISTED + 26}
    assert printed["near_duplicates"] is None


def test_older_stores_open_without_findings(photos: Source, tmp_path: Path, capsys) -> None:
    store = tmp_path / "store"
    prepare(photos, store, SETTINGS, workers=1)
    header = json.loads((store / "header.json").read_text())
    del (
        header["checksum"],
        header["findings"],
        header["source"]["group_by"],
        header["source"]["drop_duplicates"],
    )
    (store / "header.json").write_text(json.dumps(header))
    shutil.rmtree(store / "notes")
    assert Store.open(store).manifest.findings is None
    assert main(["inspect", str(store)]) == 0
    assert "no findings: the store is of an earlier version" in capsys.readouterr().out


def keys(source: Source, split: str) -> list[str]:
    return [source.splits[split].key(index) for index in range(len(source.splits[split]))]


def test_one_of_each_set_of_copies_stays(photos: Source) -> None:
    """Copies of validation photos leave training; among equals the first stays."""
    kept = drop_duplicates(photos, SETTINGS, {}, workers=1)
    assert keys(kept, "val") == keys(photos, "val")
    gone = ["a/copy.png", "b/2.png", "b/wrong.png", "c/1.png"]
    assert keys(kept, "train") == [key for key in keys(photos, "train") if key not in gone]
    assert kept.dropped is not None
    assert [str(each.photo) for each in kept.dropped] == [f"train/{key}" for key in gone]
    wrong = kept.dropped[2]
    assert wrong.contradicts
    assert wrong == DroppedPhoto(
        PhotoName("train", "b/wrong.png", "n00000001"), PhotoName("train", "a/1.png", "n00000000")
    )


def test_a_test_split_keeps_its_photos() -> None:
    same = noise(1)
    source = memory_source.source(
        train=[example(same, 0, "a/0.png"), example(noise(2), 1, "b/0.png")],
        val=[example(same, 0, "v.png"), example(noise(3), 0, "w.png")],
        test=[example(same, -1, "t.png")],
    )
    kept = drop_duplicates(source, SETTINGS, {}, workers=1)
    assert {name: keys(kept, name) for name in kept.splits} == {
        "train": ["b/0.png"],
        "val": ["w.png"],
        "test": ["t.png"],
    }


def test_a_split_or_class_of_nothing_but_copies_is_refused(tmp_path: Path) -> None:
    train = [example(noise(1), 0, "a.png"), example(noise(2), 1, "b.png")]
    val = [example(noise(1), 0, "v.png"), example(noise(2), 1, "w.png")]
    with pytest.raises(DataError, match="train would be empty"):
        drop_duplicates(memory_source.source(train=train, val=val), SETTINGS, {}, workers=1)
    left = drop_duplicates(memory_source.source(train=train, val=val[:1]), SETTINGS, {}, workers=1)
    with pytest.raises(
        DataError,
        match=r"after duplicates were dropped, no readable training photo is left of n00000000: add",
    ):
        prepare(left, tmp_path / "store", SETTINGS, workers=1)


@given(
    st.lists(
        st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(0, 3), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    )
)
def test_each_picture_stays_exactly_once(drawn: list[tuple[str, int, int]]) -> None:
    splits: dict[str, list[Example]] = {}
    for number, (split, seed, label) in enumerate(drawn):
        splits.setdefault(split, []).append(example(noise(seed), label, f"{number}-{seed}.png"))
    source = memory_source.source(**splits)
    elsewhere = {seed for split, seed, _ in drawn if split != "train"}
    if "train" in splits and {seed for split, seed, _ in drawn if split == "train"} <= elsewhere:
        with pytest.raises(DataError, match="train would be empty"):
            drop_duplicates(source, SETTINGS, {}, workers=1)
        return
    kept = drop_duplicates(source, SETTINGS, {}, workers=1)
    stayed = [(name, key) for name in kept.splits for key in keys(kept, name)]
    seeds = [key.split("-")[1] for _, key in stayed]
    assert sorted(seeds) == sorted({f"{seed}.png" for _, seed, _ in drawn})
    for name, key in stayed:
        best = min(("test", "val", "train").index(s) for s, seed, _ in drawn if key.endswith(f"-{seed}.png"))
        assert name == ("test", "val", "train")[best]
    assert kept.dropped is not None and len(kept.dropped) + len(stayed) == len(drawn)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten photos of each of two classes, three of them copies of others; one copy is of the other class."""
    seeds = {"ant": [*range(9), 3], "bee": [*range(20, 28), 20, 4]}
    for name, drawn in seeds.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, seed in enumerate(drawn):
            Image.fromarray(noise(seed)).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_copies_are_dropped_before_photos_are_held_out(folder: Path, tmp_path: Path, capfd) -> None:
    store = tmp_path / "store"
    words = [
        "prepare",
        str(folder),
        str(store),
        "--drop-duplicates",
        "--val-fraction",
        "0.25",
        "--side",
        "24",
    ]
    assert main([*words, "--workers", "1"]) == 0
    printed = capfd.readouterr().err
    assert "dropped duplicates: 3, 1 of them in a different class than the photo that was kept" in printed
    made = Store.open(store)
    (split,) = (name for name in made.splits if "ant/4.png" in made.split(name).keys())  # noqa: SIM118
    assert f"train/bee/9.png, a copy of {split}/ant/4.png" in printed
    assert sorted(made.split("train").keys() + made.split("val").keys()) == sorted(
        [f"ant/{number}.png" for number in range(9)] + [f"bee/{number}.png" for number in range(8)]
    )
    assert np.bincount(made.split("val").labels).tolist() == [2, 2]
    assert made.manifest.source.drop_duplicates
    assert made.manifest.findings is not None and made.manifest.findings.dropped == 3
    before = contents(store)
    assert main(words) == 0
    assert "already finished, nothing was done" in capfd.readouterr().out
    assert contents(store) == before
    assert main([word for word in words if word != "--drop-duplicates"]) == 2
    assert "--drop-duplicates True (now False)" in capfd.readouterr().err


def test_known_photos_are_not_decoded_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again() -> Store:
        return alexnet.prepare(folder, tmp_path / "store", side=24, drop_duplicates=True, workers=1)

    again()
    decoded: list[object] = []
    monkeypatch.setattr(
        "alexnet.data.duplicates.decode_photo", lambda *given: decoded.append(given) or noise(999)
    )
    again()
    assert decoded == []
    Image.fromarray(noise(999)).save(folder / "ant" / "8.png")
    again()
    assert len(decoded) == 1


def test_photos_of_one_name_in_two_splits_are_told_apart_when_known(tmp_path: Path) -> None:
    for place, seed in (("train/a/1", 1), ("train/a/2", 2), ("train/b/3", 3), ("val/a/1", 4), ("val/b/4", 5)):
        file = tmp_path / "photos" / f"{place}.bmp"  # all of one size
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(seed)).save(file)
        os.utime(file, (0, 0))
    for _ in range(2):
        made = alexnet.prepare(
            tmp_path / "photos", tmp_path / "store", side=24, drop_duplicates=True, workers=1
        )
        assert len(made.split("train")) == 3


def detailed(seed: int) -> np.ndarray:
    """With enough frequencies for a perceptual hash."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC))


def resized(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((100, 75), Image.Resampling.BILINEAR))


def darker(pixels: np.ndarray) -> np.ndarray:
    return (pixels * 0.9).astype(np.uint8)


@pytest.mark.parametrize("change", [resized, darker], ids=lambda change: change.__name__)
def test_near_duplicates_are_found_in_a_store(
    change: Callable[[np.ndarray], np.ndarray], tmp_path: Path, capsys
) -> None:
    train = [example(detailed(seed), seed % 2, f"{seed}.png") for seed in range(10)]
    train += [example(detailed(4), 0, "copy.png"), example(flat(3), 0, "3.png"), example(flat(9), 1, "9.png")]
    val = [example(change(detailed(6)), 1, "near.png"), example(detailed(50), 0, "other.png")]
    source = memory_source.source(train=train, val=val)
    store = prepare(source, tmp_path / "store", PrepareSettings(side=64), workers=1)
    places = [
        [(split, store.split(split).key(index)) for split, index in places]
        for places in near_duplicates(store)
    ]
    assert places == [
        [("train", "4.png"), ("train", "copy.png")],
        [("train", "6.png"), ("val", "near.png")],
    ]
    assert main(["inspect", str(store.path), "--near-duplicates"]) == 0
    printed = capsys.readouterr().out
    assert "near duplicates: 1 set of 2 photos; 1 across splits, 1 across classes" in printed
    assert "train/6.png = val/near.png" in printed


def test_near_duplicates_need_a_store_and_a_package(
    folder: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    assert main(["inspect", str(folder), "--near-duplicates"]) == 2
    assert "is not a store: prepare it first" in capsys.readouterr().err
    store = alexnet.prepare(folder, tmp_path / "store", side=24, workers=1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r"pip install 'alexnet\[duplicates\]'"):
        near_duplicates(store)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), st.integers(0, 2**32))
def test_similar_pairs_are_those_of_the_definition(hashes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for value in hashes[:4]:  # neighbors of the first few
        bits = rng.choice(64, rng.integers(1, 8), replace=False)
        hashes.append(value ^ sum(1 << int(bit) for bit in bits))
    wanted = [
        [i, j]
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (hashes[i] ^ hashes[j]).bit_count() <= 4
    ]
    assert similar_pairs(np.array(hashes, np.uint64)).tolist() == wanted


def test_a_source_read_twice_has_the_same_stamps(folder: Path) -> None:
    first, second = (open_source(folder).splits["train"] for _ in range(2))
    stamps = [first.stamp(index) for index in range(len(first))]  # type: ignore[attr-defined]
    assert all(stamps)
    assert stamps == [second.stamp(index) for index in range(len(second))]  # type: ignore[attr-defined]

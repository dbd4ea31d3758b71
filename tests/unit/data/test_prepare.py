from __future__ import annotations

import errno
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from reference import resize as resize_twin
from reference import statistics as statistics_twin
from unit.data.memory_source import examples, photo, png, source

from alexnet.data import prepare as module
from alexnet.data.decode import decode
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Box, Source
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError, DataError, WorkError

SIDE = 24
JPEG = PrepareSettings(side=SIDE)
RAW = PrepareSettings(side=SIDE, encoding="raw")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORDS_PER_SHARD", 8)


@pytest.fixture
def photos() -> Source:
    return source(train=examples(20), val=examples(5, first_seed=100))


def pixels(split: Split) -> np.ndarray:
    return np.stack([np.frombuffer(split.buffer(index), np.uint8) for index in range(len(split))]).reshape(
        -1, SIDE, SIDE, 3
    )


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def interrupt_after(images: int) -> Callable[[int], None]:
    """Progress function that raises after this many images."""
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        if done >= images:
            raise KeyboardInterrupt

    return progress


def test_a_raw_store_holds_the_defined_pixels_of_every_photo(photos: Source, tmp_path: Path) -> None:
    store = prepare(photos, tmp_path / "store", RAW, workers=1)
    for name, split in photos.splits.items():
        stored = store.split(name)
        assert len(stored) == len(split)
        for index, image in enumerate(pixels(stored)):
            original = decode(split[index].image)
            wanted = resize_twin.to_square(original, SIDE)
            off = np.abs(image.astype(int) - wanted)
            assert off.max() <= 2 and off.mean() < 0.1
            assert stored.key(index) == split.key(index)
            assert stored.size(index) == (original.shape[1], original.shape[0])
        assert stored.labels.tolist() == split.labels.tolist()
    assert [each.wnid for each in store.classes] == ["n00000000", "n00000001"]


def test_jpegs_are_of_the_recorded_quality_without_subsampling(photos: Source, tmp_path: Path) -> None:
    raw = pixels(prepare(photos, tmp_path / "raw", RAW, workers=1).split("train"))
    store = prepare(photos, tmp_path / "jpeg", JPEG, workers=1)
    manifest = store.manifest
    assert (manifest.encoding, manifest.quality, manifest.subsampling) == ("jpeg", 95, "4:4:4")
    for index, wanted in enumerate(raw):
        with Image.open(io.BytesIO(store.split("train").buffer(index))) as image:
            assert image.layer and all(layer[1:3] == (1, 1) for layer in image.layer)
            assert np.abs(np.asarray(image).astype(int) - wanted).mean() < 2


@pytest.mark.parametrize(
    ("settings", "twin"),
    [
        (replace(RAW, resize="warp"), resize_twin.warp),
        (replace(JPEG, shape="whole", quality=100), resize_twin.to_whole),
    ],
)
def test_warped_and_whole_photos(
    photos: Source, tmp_path: Path, settings: PrepareSettings, twin: Callable[[np.ndarray, int], np.ndarray]
) -> None:
    split = prepare(photos, tmp_path / "store", settings, workers=1).split("train")
    for index in range(len(split)):
        wanted = twin(decode(photos.splits["train"][index].image), SIDE)
        if settings.encoding == "raw":
            stored = np.frombuffer(split.buffer(index), np.uint8).reshape(wanted.shape)
        else:
            stored = decode(bytes(split.buffer(index)))
        assert np.abs(stored.astype(int) - wanted).mean() < 1


def test_statistics_in_the_manifest_are_those_of_the_training_pixels(photos: Source, tmp_path: Path) -> None:
    store = prepare(photos, tmp_path / "store", RAW, workers=1)
    images = pixels(store.split("train"))
    np.testing.assert_allclose(store.mean_image(), statistics_twin.mean_image(images), rtol=1e-6)
    np.testing.assert_allclose(store.channel_mean, statistics_twin.channel_mean(images), rtol=1e-12)
    covariance = statistics_twin.covariance(images)
    np.testing.assert_allclose(store.color_covariance, covariance, rtol=1e-9)
    values, vectors = store.manifest.color_eigenvalues, np.array(store.manifest.color_eigenvectors)
    for value, vector in zip(values, vectors, strict=True):
        np.testing.assert_allclose(covariance @ vector, value * vector, rtol=1e-6, atol=1e-6 * values[0])
    assert store.manifest.statistics_split == "train"


def test_one_and_two_workers_make_the_same_bytes(photos: Source, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "one", JPEG, workers=1)
    seen: list[int] = []
    prepare(photos, tmp_path / "two", JPEG, workers=2, progress=seen.append)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert sum(seen) == 25


def test_boxes_move_with_the_crop(tmp_path: Path) -> None:
    """A photo twice as wide as high: the middle half is kept."""
    boxes = (Box(1, 0.25, 0.0, 0.5, 0.5), Box(0, 0.0, 0.0, 1.0, 1.0), Box(0, 0.0, 0.0, 0.2, 1.0))
    wide = replace(examples(1)[0], image=png(photo(0, 2 * SIDE, SIDE)), boxes=boxes)
    photos = source(train=[wide, *examples(2)])
    squares = prepare(photos, tmp_path / "square", JPEG, workers=1).split("train")
    assert squares.boxes(0) == (Box(1, 0.0, 0.0, 0.5, 0.5), Box(0, 0.0, 0.0, 1.0, 1.0))
    whole = prepare(photos, tmp_path / "whole", replace(JPEG, shape="whole"), workers=1).split("train")
    assert np.allclose(whole.boxes(0), boxes)


def test_exif_orientation_is_applied_only_with_exif(tmp_path: Path) -> None:
    """A photo stored on its side: bright on the left as stored, at the top when upright."""
    lying = np.zeros((SIDE, SIDE, 3), np.uint8)
    lying[:, : SIDE // 2] = 255
    file, note = io.BytesIO(), Image.Exif()
    note[0x0112] = 6
    Image.fromarray(lying).save(file, "JPEG", exif=note, quality=100)
    photos = source(train=[replace(examples(1)[0], image=file.getvalue())])
    as_stored = pixels(prepare(photos, tmp_path / "stored", RAW, workers=1).split("train"))[0]
    upright_store = prepare(photos, tmp_path / "upright", replace(RAW, exif=True), workers=1)
    upright = pixels(upright_store.split("train"))[0]
    assert as_stored[0, 0, 0] > 200 > 50 > as_stored[0, -1, 0]
    assert upright[0, 0, 0] > 200 and upright[0, -1, 0] > 200 and upright[-1, 0, 0] < 50
    assert upright_store.manifest.exif
    assert upright_store.manifest.odd["EXIF orientation 6"].count == 1


@pytest.fixture
def broken() -> Source:
    """Of 20 training photos two are unreadable and one is gray."""
    train = examples(20)
    train[3] = replace(train[3], image=train[3].image[:60])
    train[17] = replace(train[17], image=b"")
    train[5] = replace(train[5], image=png(photo(5)[:, :, 0]))
    return source(train=train, val=examples(5, first_seed=100))


def test_unreadable_photos_are_skipped_and_listed(broken: Source, tmp_path: Path) -> None:
    store = prepare(broken, tmp_path / "store", JPEG, workers=1)
    split = broken.splits["train"]
    assert store.split("train").keys() == [split.key(index) for index in range(20) if index not in (3, 17)]
    assert [(each.split, each.key) for each in store.manifest.unreadable] == [
        ("train", split.key(3)),
        ("train", split.key(17)),
    ]
    assert store.manifest.unreadable[1].reason == "empty file"
    assert store.manifest.odd["gray"].first == (f"train/{split.key(5)}",)


def test_a_split_of_which_no_photo_can_be_read_is_refused(tmp_path: Path) -> None:
    held_out = [replace(example, image=b"not a photo") for example in examples(5, first_seed=100)]
    photos = source(train=examples(20), val=held_out)
    message = r"none of the 5 photos of val can be read \(class-0/photo-0.png: .*\): repair or remove them"
    with pytest.raises(DataError, match=message) as raised:
        prepare(photos, tmp_path / "store", RAW, workers=1)
    assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match="not a store"):
        Store.open(tmp_path / "store")


def test_a_damaged_mean_image_is_noticed_and_made_again(photos: Source, tmp_path: Path) -> None:
    file = prepare(photos, tmp_path / "store", RAW, workers=1).path / "mean_image.npy"
    whole = file.read_bytes()
    for damage in (whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        file.write_bytes(damage)
        with pytest.raises(DataError, match=r"mean_image\.npy is damaged .its hash differs"):
            Store.open(tmp_path / "store")
        prepare(photos, tmp_path / "store", RAW, workers=1)
        assert file.read_bytes() == whole


def test_damaged_sums_of_pixels_are_not_used(photos: Source, tmp_path: Path) -> None:
    store = prepare(photos, tmp_path / "store", RAW, workers=1).path
    sums, header = store / "notes" / "train-00001.npz", (store / "header.json").read_bytes()
    sums.write_bytes((store / "notes" / "train-00000.npz").read_bytes())
    (store / "mean_image.npy").unlink()
    with pytest.raises(DataError, match=r"train-00001.npz is damaged: delete .*train-00001.json and prepare"):
        prepare(photos, store, RAW, workers=1)
    (store / "notes" / "train-00001.json").unlink()
    prepare(photos, store, RAW, workers=1)
    assert (store / "header.json").read_bytes() == header


def test_strict_names_what_is_unreadable_and_loses_no_work(broken: Source, tmp_path: Path) -> None:
    message = r"2 unreadable photos: train/class-3/photo-3.png \(.*train/class-17/photo-17.png \(empty file\)"
    with pytest.raises(DataError, match=message):
        prepare(broken, tmp_path / "store", JPEG, workers=1, strict=True)
    done: list[int] = []
    prepare(broken, tmp_path / "store", JPEG, workers=1, progress=done.append)
    assert done == [25]
    with pytest.raises(DataError, match=message):
        prepare(broken, tmp_path / "store", JPEG, strict=True)


def test_a_class_without_a_readable_photo_is_refused(tmp_path: Path) -> None:
    train = [replace(each, image=b"GIF8") if each.label == 1 else each for each in examples(6)]
    with pytest.raises(DataError, match="no readable training photo is left of n00000001"):
        prepare(source(train=train), tmp_path / "store", JPEG, workers=1)


def test_a_photo_that_would_fill_all_memory_is_unreadable(tmp_path: Path) -> None:
    thread = replace(examples(1)[0], image=png(np.zeros((400_000, 1, 3), np.uint8)))
    store = prepare(source(train=[thread, *examples(2)]), tmp_path / "store", JPEG, workers=1)
    assert "a side of more than" in store.manifest.unreadable[0].reason


@pytest.mark.parametrize("images", [1, 9, 16, 24])
def test_interrupted_work_continues_where_it_stopped(photos: Source, tmp_path: Path, images: int) -> None:
    prepare(photos, tmp_path / "undisturbed", JPEG, workers=1)
    store = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, store, JPEG, workers=1, progress=interrupt_after(images))
    finished = {path: path.stat().st_ino for path in store.glob("*.arrow")}
    assert not list(store.rglob("*.part"))
    with pytest.raises(DataError, match="not a store"):
        Store.open(store)
    reported: list[int] = []
    prepare(photos, store, JPEG, workers=1, progress=reported.append)
    assert reported[0] == min(8 * len(finished), 20 if len(finished) > 2 else 16)
    assert all(path.stat().st_ino == inode for path, inode in finished.items())
    assert contents(store) == contents(tmp_path / "undisturbed")


def test_a_finished_store_is_not_changed(photos: Source, tmp_path: Path) -> None:
    prepare(photos, tmp_path / "store", JPEG, workers=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    again = prepare(photos, tmp_path / "store", JPEG, progress=lambda count: pytest.fail("it did something"))
    assert len(again) == 20
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()} == before


@pytest.mark.parametrize("half_done", [True, False])
def test_other_settings_or_photos_are_refused(photos: Source, tmp_path: Path, half_done: bool) -> None:
    store = tmp_path / "store"
    if half_done:
        with pytest.raises(KeyboardInterrupt):
            prepare(photos, store, JPEG, workers=1, progress=interrupt_after(9))
    else:
        prepare(photos, store, JPEG, workers=1)
    with pytest.raises(
        CommandError, match=r"was prepared with side 24 \(now 32\): use the same settings, or choose"
    ):
        prepare(photos, store, replace(JPEG, side=32))
    with pytest.raises(CommandError, match="was prepared with other photos"):
        prepare(source(train=examples(20, first_seed=1), val=examples(6)), store, JPEG)


def test_a_folder_with_something_else_is_not_changed(photos: Source, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CommandError, match="is not empty and not a store"):
        prepare(photos, tmp_path, JPEG)
    with pytest.raises(CommandError, match=r"thesis.txt is a file"):
        prepare(photos, tmp_path / "thesis.txt", JPEG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_too_small_a_disk_is_reported_beforehand(
    photos: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    with pytest.raises(WorkError, match=r"needs about [0-9.]+ [kM]B and its disk has .* free"):
        prepare(photos, tmp_path / "store", JPEG)


def test_nothing_is_written_into_a_source(photos: Source, tmp_path: Path) -> None:
    inside = replace(photos, path=tmp_path)
    with pytest.raises(CommandError, match="is inside the source"):
        prepare(inside, tmp_path / "store", JPEG)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_loses_nothing(
    photos: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, contents: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("alexnet.data.prepare.write_whole", full)
        with pytest.raises(
            WorkError, match="the disk is full; finished shards are kept, run the same command again"
        ):
            prepare(photos, tmp_path / "store", JPEG, workers=1)
    reported: list[int] = []
    prepare(photos, tmp_path / "store", JPEG, workers=1, progress=reported.append)
    assert reported == [25]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": 8}, "side 8 is too small"),
        ({"quality": 0}, "quality 0 is not in 1..100"),
        ({"shape": "whole", "resize": "warp"}, "warp makes squares"),
        ({"shape": "whole", "encoding": "raw"}, "raw images must be squares"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        PrepareSettings(**settings)

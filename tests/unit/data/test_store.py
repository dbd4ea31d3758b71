from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.data.store_makers import change_a_byte, make_store, row

from alexnet.data.manifest import read_manifest, write_manifest
from alexnet.data.sources import Box
from alexnet.data.store import RECORDS_PER_BATCH, Shard, Store, write_shard
from alexnet.errors import CommandError, DataError

BOXES = (Box(2, 0.0, 0.25, 0.5, 1.0), Box(0, 0.125, 0.0, 1.0, 0.75))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [row(number) for number in range(11)]
    rows[9] = replace(rows[9], boxes=BOXES)
    return make_store(tmp_path / "store", {"train": rows, "val": [row(20), row(21)]})


@pytest.mark.parametrize("mapped", [True, False])
def test_every_record_is_what_was_written(folder: Path, mapped: bool) -> None:
    split = Store.open(folder, mapped=mapped).split("train")
    assert len(split) == 11
    for index in range(11):
        assert bytes(split.buffer(index)) == bytes([index]) * 12
        assert (split.key(index), split.size(index)) == (f"photo-{index}", (100 + index, 50))
        assert split.boxes(index) == (BOXES if index == 9 else ())
        record = split[index]
        assert (bytes(record.image), record.label, record.key) == (
            bytes([index]) * 12,
            index % 3,
            f"photo-{index}",
        )
        assert (record.width, record.height, record.boxes) == (100 + index, 50, split.boxes(index))
    assert split.labels.dtype == np.int32
    assert split.labels.tolist() == [index % 3 for index in range(11)]
    assert split.keys() == [f"photo-{index}" for index in range(11)]


@settings(max_examples=15)
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=2 * RECORDS_PER_BATCH + 3), st.data())
def test_images_of_any_length_are_found(
    tmp_path_factory: pytest.TempPathFactory, images: list[bytes], data: st.DataObject
) -> None:
    """Over several record batches, in any order."""
    path = tmp_path_factory.mktemp("shard") / "a.arrow"
    write_shard(path, [row(number, image=image) for number, image in enumerate(images)])
    shard = Shard(path)
    assert len(shard.labels) == len(images)
    for index in data.draw(st.permutations(range(len(images))))[:20]:
        assert bytes(shard.buffer(index)) == images[index] == bytes(shard.read(index))


@pytest.mark.parametrize("mapped", [True, False])
def test_joined_splits_are_read_as_one(folder: Path, mapped: bool) -> None:
    store = Store.open(folder, mapped=mapped)
    joined, train = store.joined(["val", "train"]), store.split("train")
    assert joined.name == "val+train" and len(joined) == 13
    assert joined.keys() == ["photo-20", "photo-21", *train.keys()]
    assert joined.labels.tolist() == [20 % 3, 21 % 3, *train.labels.tolist()]
    assert [bytes(joined[index].image)[0] for index in (0, 1, 2, 12)] == [20, 21, 0, 10]
    assert joined.boxes(11) == BOXES and joined.all_boxes()[0].tolist() == [0] * 11 + [2, 0]
    part = joined.part(np.array([12, 1]))
    assert part.keys() == ["photo-10", "photo-21"]
    with pytest.raises(CommandError, match="no split 'test'"):
        store.joined(["train", "test"])


def test_a_store_counts_and_indexes_its_training_images(folder: Path) -> None:
    store = Store.open(folder)
    assert (len(store), store[3].key, store[-1].key) == (11, "photo-3", "photo-10")
    assert [each.wnid for each in store.classes] == ["n00000000", "n00000001", "n00000002"]
    assert store.mean_image().shape == (2, 2, 3)
    assert store.channel_mean.tolist() == [1, 2, 3]
    with pytest.raises(IndexError):
        store[11]


def test_mapped_images_are_views_of_the_file_that_hold_no_descriptor(folder: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    split = Store.open(folder, mapped=True).split("train")
    views = [np.frombuffer(split.buffer(index), np.uint8) for index in range(11)]
    assert len(list(Path("/dev/fd").iterdir())) == before
    assert not any(view.flags.owndata or view.flags.writeable for view in views)
    # Records of one shard are in one mapping, in order; a copy would be elsewhere.
    addresses = [view.__array_interface__["data"][0] for view in views[:4]]
    assert np.diff(addresses).tolist() == [12, 12, 12]


def test_opening_makes_no_object_per_record(tmp_path: Path) -> None:
    """Twenty times the images need the same memory, except for two offsets and a label each once in use."""

    def bytes_of_opening(count: int) -> tuple[int, int]:
        rows = [row(number, side=1) for number in range(count)]
        folder = make_store(tmp_path / str(count), {"train": rows}, side=1, shard_records=count)
        tracemalloc.start()
        split = Store.open(folder).split("train")
        opened = tracemalloc.get_traced_memory()[0]
        _ = split.labels, split.buffer(0)
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return opened, used

    small, large = bytes_of_opening(500), bytes_of_opening(10_000)
    assert large[0] < small[0] + 2_000
    assert large[1] < small[1] + 9_500 * 40


def test_shards_open_in_other_programs(folder: Path) -> None:
    table = pa.ipc.open_file(str(folder / "train-00002.arrow")).read_all()
    assert table.column_names == ["image", "label", "key", "width", "height", "boxes"]
    assert table.to_pylist()[1]["boxes"] == [box._asdict() for box in BOXES]


def test_an_unknown_split_is_refused_with_the_existing_ones(folder: Path) -> None:
    with pytest.raises(CommandError, match="no split 'test', only train, val"):
        Store.open(folder).split("test")


def test_the_digest_is_of_the_contents(folder: Path, tmp_path: Path) -> None:
    same = make_store(tmp_path / "same", {"val": [row(20), row(21)], "train": [row(0)]})
    other = make_store(tmp_path / "other", {"val": [row(20), row(22)], "train": [row(0)]})
    again = make_store(tmp_path / "again", {"train": [row(0)], "val": [row(20), row(21)]})
    assert Store.open(same).digest == Store.open(again).digest != Store.open(other).digest


def cut_a_shard(folder: Path) -> None:
    path = folder / "train-00001.arrow"
    path.write_bytes(path.read_bytes()[:-10])


def lose_a_shard(folder: Path) -> None:
    (folder / "val-00000.arrow").unlink()


def lose_the_mean(folder: Path) -> None:
    (folder / "mean_image.npy").unlink()


def lose_the_header(folder: Path) -> None:
    (folder / "header.json").unlink()


def cut_the_header(folder: Path) -> None:
    path = folder / "header.json"
    path.write_bytes(path.read_bytes()[:300])


def drop_a_field(folder: Path) -> None:
    values = json.loads((folder / "header.json").read_text())
    del values["checksum"], values["classes"]
    (folder / "header.json").write_text(json.dumps(values))


def lose_everything(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            cut_a_shard,
            r"train-00001.arrow is damaged \(\d+ bytes, header.json says \d+\): delete .*store and run",
        ),
        (lose_a_shard, r"val-00000.arrow is damaged \(it is missing\)"),
        (lose_the_mean, r"mean_image.npy is damaged \(it is missing\)"),
        (
            lose_the_header,
            r"is not a store \(another folder\): make it with `alexnet prepare SOURCE",
        ),
        (lose_everything, r"is not a store \(no such folder\)"),
        (cut_the_header, r"header.json is damaged"),
        (drop_a_field, r"header.json is damaged .*classes"),
    ],
)
def test_damage_is_a_one_line_error_with_what_to_do(
    folder: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(folder)
    with pytest.raises(DataError, match=message) as error:
        Store.open(folder)
    assert "\n" not in str(error.value)


def test_a_newer_version_is_refused(folder: Path) -> None:
    manifest = folder / "header.json"
    manifest.write_text(json.dumps({"version": 99, "unheard": "of"}))
    with pytest.raises(
        DataError, match=r"header\.json has format version 99, this program reads 1: update alexnet"
    ):
        Store.open(folder)


def test_a_changed_byte_is_found_by_verify_and_by_the_first_image_read(folder: Path) -> None:
    change_a_byte(folder / "train-00000.arrow", bytes([2]) * 12)
    damage = r"train-00000.arrow is damaged \(its hash differs from the one in header.json\)"
    store = Store.open(folder)
    with pytest.raises(DataError, match=damage):
        store.split("train").buffer(3)
    with pytest.raises(DataError, match=damage):
        store[0]
    with pytest.raises(DataError, match=damage):
        Store.open(folder).split("train").key(3)
    with pytest.raises(DataError, match=damage):
        Store.open(folder, verify=True)


@pytest.mark.parametrize("part", [False, True])
def test_a_changed_box_is_found_where_no_image_is_read(folder: Path, part: bool) -> None:
    change_a_byte(folder / "train-00002.arrow", np.float32(BOXES[1].x0).tobytes())
    split = Store.open(folder).split("train")
    Store.open(folder).split("val").verify()
    with pytest.raises(DataError, match=r"train-00002.arrow is damaged \(its hash differs"):
        (split.part(np.array([9])) if part else split).verify()


def test_a_changed_mean_image_is_refused(folder: Path) -> None:
    path = folder / "mean_image.npy"
    contents = bytearray(path.read_bytes())
    contents[-1] ^= 1
    path.write_bytes(contents)
    with pytest.raises(DataError, match=r"mean_image.npy is damaged"):
        Store.open(folder).mean_image()


def test_a_shard_of_the_right_size_that_is_not_arrow_is_refused_when_read(folder: Path) -> None:
    path = folder / "train-00000.arrow"
    path.write_bytes(bytes(path.stat().st_size))
    split = Store.open(folder).split("train")
    with pytest.raises(DataError, match=r"train-00000.arrow is damaged"):
        split.buffer(0)


def test_a_manifest_round_trips(folder: Path) -> None:
    manifest = read_manifest(folder)
    write_manifest(folder, manifest)
    assert read_manifest(folder) == manifest
    assert [path.name for path in folder.glob("*.part")] == []


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("ant/1.JPG", r"photos holds photos: make a store of them with `alexnet prepare .*photos STORE`$"),
        ("train/ant/1.png", r"photos holds photos: make"),
        ("preparing.json", r"photos is not a store yet: finish it with the same `alexnet prepare` command"),
        ("notes.txt", r"photos is not a store \(another folder\): make it with"),
    ],
)
def test_what_is_not_a_store_is_named(file: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "photos" / file
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(DataError, match=message):
        Store.open(tmp_path / "photos")

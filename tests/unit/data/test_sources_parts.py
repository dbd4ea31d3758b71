"""The parts of sources: packed names, listings, the stratified validation split."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from unit.data import source_makers as make

from alexnet.data.sources import Box, open_source
from alexnet.data.sources.tree import ListingBuilder, PackedNames, join, open_folder, open_tar

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=5)
PATHS = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4).map(tuple)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_packed_names_round_trip(names: list[str]) -> None:
    packed = PackedNames(names)
    assert [packed[index] for index in range(len(packed))] == names


def test_names_that_are_not_utf8_round_trip() -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert PackedNames([name])[0] == name


@given(st.lists(PATHS, unique=True))
def test_a_listing_equals_sorting_all_paths(paths: list[tuple[str, ...]]) -> None:
    builder = ListingBuilder()
    for path in paths:
        builder.file("/".join(path[:-1]), path[-1])
    listing, added = builder.build()
    expected = sorted(paths, key=lambda path: (path[:-1], path[-1]))
    assert [listing.path(file) for file in range(len(listing))] == ["/".join(path) for path in expected]
    assert [paths[position] for position in added] == expected
    folders = {path[:depth] for path in paths for depth in range(len(path))} | {()}
    assert listing.folders == ["/".join(folder) for folder in sorted(folders)]
    for folder in folders:
        name = "/".join(folder)
        below = [number for number, path in enumerate(expected) if path[:-1][: len(folder)] == folder]
        directly = [number for number, path in enumerate(expected) if path[:-1] == folder]
        inside = sorted(other[-1] for other in folders if other and other[:-1] == folder)
        assert list(listing.below(name)) == below
        assert list(listing.files(name)) == directly
        assert listing.subfolders(name) == inside
    for number, path in enumerate(expected):
        assert listing.find("/".join(path[:-1]), path[-1]) == number
        assert listing.find("/".join(path[:-1]), path[-1] + "\0") is None


def test_files_are_found_by_suffix(tmp_path: Path) -> None:
    files = {"b/2.TXT": b"", "a/1.txt": b"", "a/3.json": b"", "a/name": b"", "a/.hidden": b""}
    listing = open_folder(make.write(tmp_path, files)).listing
    assert [listing.path(file) for file in listing.ending_in(".json", ".txt")] == [
        "a/1.txt",
        "a/3.json",
        "b/2.TXT",
    ]
    assert [listing.path(file) for file in listing.ending_in("")] == ["a/name"]
    assert listing.ending_in(".xml") == []
    copy = pickle.loads(pickle.dumps(listing))
    assert copy.ending_in(".txt") == listing.ending_in(".txt")


def test_a_file_twice_in_a_tar_counts_the_last_time(tmp_path: Path) -> None:
    newer, older = make.tar_bytes({"a/x.jpg": b"newer"}), make.tar_bytes({"a/x.jpg": b"older"})
    tree = open_tar(make.write(tmp_path, {"t.tar": older[:1024] + newer}) / "t.tar")
    assert len(tree.listing) == 1
    assert tree.read(0) == b"newer"


def test_long_names_in_a_tar(tmp_path: Path) -> None:
    files = {f"{'folder' * 30}/{'name' * 40}{number}.jpg": bytes([number]) for number in range(3)}
    tree = open_tar(make.write(tmp_path, {"t.tar": make.tar_bytes(files)}) / "t.tar")
    assert {tree.listing.path(file): tree.read(file) for file in range(3)} == files


def test_folder_and_tar_list_the_same(tmp_path: Path) -> None:
    files = {"b/x": b"1", "a/y": b"22", "z": b"", "a.b/c": b"3", "a/b/c": b"4"}
    make.write(tmp_path / "folder", files)
    make.write(tmp_path, {"t.tar": make.tar_bytes(files)})
    folder, tar = open_folder(tmp_path / "folder"), open_tar(tmp_path / "t.tar")
    assert folder.listing.folders == tar.listing.folders
    assert [folder.listing.path(i) for i in range(5)] == ["z", "a/y", "a/b/c", "a.b/c", "b/x"]
    assert [tar.listing.path(i) for i in range(5)] == ["z", "a/y", "a/b/c", "a.b/c", "b/x"]
    assert [folder.read(i) for i in range(5)] == [tar.read(i) for i in range(5)]


def test_join() -> None:
    assert [join("", "a"), join("a", ""), join("a/b", "c"), join("", "")] == ["a", "a", "a/b/c", ""]


def _held_out(folder: Path, fraction: float) -> tuple[set[str], set[str]]:
    splits = open_source(folder, fraction).splits
    train, val = splits["train"], splits.get("val")
    return _keys(train), _keys(val) if val else set()


def _keys(split) -> set[str]:
    return {split[index].key for index in range(len(split))}


def test_val_is_a_function_of_the_names_in_each_class(tmp_path: Path) -> None:
    counts = {"cat": 20, "dog": 11, "eel": 1}
    names = {
        f"{wnid}/{number}.jpg": make.photo() for wnid, count in counts.items() for number in range(count)
    }
    make.write(tmp_path / "one", names)
    train, val = _held_out(tmp_path / "one", 0.25)
    assert train | val == set(names)
    assert not train & val
    assert [sum(key.startswith(wnid) for key in val) for wnid in counts] == [5, 3, 0]
    make.write(tmp_path / "two", {name: make.photo(1) for name in reversed(names)})
    assert _held_out(tmp_path / "two", 0.25) == (train, val)
    larger = _held_out(tmp_path / "one", 0.5)[1]
    assert val < larger
    assert _held_out(tmp_path / "one", 0)[1] == set()


def test_held_out_photos_keep_order_labels_and_keys(tmp_path: Path) -> None:
    make.write(
        tmp_path, {f"{wnid}/{number}.jpg": make.photo(number) for wnid in ("b", "a") for number in range(10)}
    )
    for split in open_source(tmp_path, 0.3).splits.values():
        keys = [split.key(index) for index in range(len(split))]
        assert keys == sorted(keys)
        assert [split[index].label for index in range(len(split))] == split.labels.tolist()
        assert [split[index].key for index in range(len(split))] == keys
        assert split.labels.tolist() == [0 if key.startswith("a/") else 1 for key in keys]


def test_nothing_is_held_out_if_every_class_has_one_photo(tmp_path: Path) -> None:
    make.write(tmp_path, {"a/1.jpg": make.photo(), "b/1.jpg": make.photo()})
    assert list(open_source(tmp_path, 0.9).splits) == ["train"]


@given(st.tuples(*[st.integers(-5, 300)] * 4), st.integers(1, 250), st.integers(1, 250))
def test_boxes_are_clipped_to_the_image(corners: tuple[int, ...], width: int, height: int) -> None:
    box = Box.from_corners(3, corners, (width, height))
    assert all(0 <= side <= 1 for side in box[1:])
    assert Box.from_corners(3, (0, 0, width - 1, height - 1), (width, height)) == (3, 0, 0, 1, 1)


def test_labels_are_known_without_reading(tmp_path: Path) -> None:
    make.write(tmp_path, make.folder_files())
    train = open_source(tmp_path).splits["train"]
    for path in (tmp_path / "train").rglob("*.JPEG"):
        path.unlink()
    np.testing.assert_array_equal(train.labels, np.repeat(np.arange(3), 4))
    assert train.key(11) == "n02012849/n02012849_40.JPEG"

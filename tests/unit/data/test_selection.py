"""Some classes of a source, and a validation split held out of its training photos."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.data import memory_source
from unit.data.memory_source import examples, source

from alexnet.cli.main import main
from alexnet.data.classes import Class
from alexnet.data.groups import photo_groups
from alexnet.data.manifest import MANIFEST_FILE, PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Box, Example, Source, SourceOptions, filter_classes, hold_out, open_source
from alexnet.data.store import Store
from alexnet.data.subset import grouped_split, stratified_split
from alexnet.errors import CommandError, DataError

RAW = PrepareSettings(side=16, encoding="raw")


@pytest.fixture
def photos() -> Source:
    train = examples(12, classes=4)
    train[7] = dataclasses.replace(train[7], boxes=(Box(2, 0, 0, 1, 1), Box(0, 0, 0, 1, 1)))
    unknown = [dataclasses.replace(each, label=-1) for each in examples(2, classes=1, first_seed=50)]
    made = source(train=train, val=examples(8, classes=4, first_seed=20), test=unknown)
    names = ("tench", "goldfish", "white shark", "cock")
    classes = [Class(f"n{label:08}", name) for label, name in enumerate(names)]
    return dataclasses.replace(made, classes=classes)


def test_the_first_few_keep_their_photos_and_labels(photos: Source) -> None:
    kept = filter_classes(photos, "2")
    assert [each.name for each in kept.classes] == ["tench", "goldfish"]
    assert (kept.class_filter, kept.unfiltered_classes) == ("2", 4)
    assert {name: len(split) for name, split in kept.splits.items()} == {"train": 6, "val": 4}
    train = kept.splits["train"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1] == [train[index].label for index in range(6)]
    assert [train.key(index) for index in range(6)] == [
        photos.splits["train"].key(index) for index in range(6)
    ]


def test_classes_are_chosen_by_wnid_or_name_and_remain_in_label_order(photos: Source) -> None:
    kept = filter_classes(photos, "Cock, n00000002")
    assert [each.name for each in kept.classes] == ["white shark", "cock"]
    train = kept.splits["train"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert train[1].boxes == (Box(0, 0, 0, 1, 1),)  # the box of a dropped class is dropped
    np.testing.assert_array_equal(train.labels, [train[index].label for index in range(len(train))])


def test_names_with_commas_and_in_two_cases(photos: Source) -> None:
    names = ("Paris, France", "Cat", "cat", "Rome, Italy")
    named = dataclasses.replace(photos, classes=[Class(name, name) for name in names])
    for wanted, labels in {
        "Paris, France,Rome, Italy": [0, 3],
        "cat,Cat": [1, 2],
        "paris, france,Cat": [0, 1],
    }.items():
        assert [each.name for each in filter_classes(named, wanted).classes] == [
            names[label] for label in labels
        ]
    with pytest.raises(CommandError, match="'CAT' may be Cat or cat: type one of them"):
        filter_classes(named, "CAT,Paris, France")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("5", "has 4"),
        ("1", "at least 2 are needed"),
        ("cock", "at least 2 are needed"),
        ("cock,goldfsh", "no class 'goldfsh'; the nearest is 'goldfish'"),
    ],
)
def test_impossible_filters_are_one_line_errors(photos: Source, wanted: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        filter_classes(photos, wanted)


def test_the_manifest_records_the_filter_and_another_filter_is_refused(
    photos: Source, tmp_path: Path
) -> None:
    store = prepare(filter_classes(photos, "3"), tmp_path / "store", RAW, workers=1)
    assert (store.manifest.source.class_filter, store.manifest.source.unfiltered_classes) == ("3", 4)
    assert prepare(photos, tmp_path / "all", RAW, workers=1).manifest.source.class_filter == ""
    with pytest.raises(CommandError, match=r"prepared with --classes 3 \(now 2\)"):
        prepare(filter_classes(photos, "2"), tmp_path / "store", RAW, workers=1)


def test_a_filter_in_the_manifest_of_an_earlier_version_is_read(photos: Source, tmp_path: Path) -> None:
    store = prepare(filter_classes(photos, "cock,goldfish"), tmp_path / "store", RAW, workers=1)
    file = store.path / MANIFEST_FILE
    values = json.loads(file.read_text())
    source = values["source"]
    source["classes"] = f"{source.pop('class_filter')} of {source.pop('unfiltered_classes')}"
    del source["val_fraction"], values["checksum"]
    file.write_text(json.dumps(values))
    assert Store.open(store.path).manifest == store.manifest


@given(st.lists(st.integers(0, 4), min_size=1, max_size=120), st.floats(0, 1, exclude_max=True))
def test_every_class_is_held_out_in_the_same_proportion(drawn: list[int], fraction: float) -> None:
    labels = np.array(drawn)
    train, val = stratified_split([f"{number}.png" for number in range(len(drawn))], labels, fraction)
    assert sorted([*train, *val]) == list(range(len(drawn)))
    for label, count in enumerate(np.bincount(labels).tolist()):
        held_out = int((labels[val] == label).sum())
        if count:
            assert held_out < count
            assert abs(held_out - fraction * count) <= 0.5 or held_out == count - 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=120),
    st.floats(0.05, 0.6),
)
def test_groups_stay_together_and_classes_in_proportion(
    drawn: list[tuple[int, int]], fraction: float
) -> None:
    """Groups within classes: the count of a class is off by at most half of a group, and the rounding."""
    labels = np.array([label for label, _ in drawn])
    groups = [f"{label}/{group}" for label, group in drawn]
    train, val = grouped_split(groups, labels, fraction)
    assert sorted([*train, *val]) == list(range(len(drawn)))
    assert {groups[index] for index in train}.isdisjoint(groups[index] for index in val)
    for label, count in enumerate(np.bincount(labels).tolist()):
        own = [group for group, each in zip(groups, labels, strict=True) if each == label]
        if count:
            largest = max(own.count(group) for group in own)
            held_out = int((labels[val] == label).sum())
            assert held_out < count
            assert held_out - fraction * count <= largest / 2 + 0.5
            if len(set(own)) > 1 and held_out == 0:
                assert fraction * count <= max(largest, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=80))
def test_groups_across_classes_leave_every_class_photos_for_training(drawn: list[tuple[int, int]]) -> None:
    labels = np.array([label for label, _ in drawn])
    train, val = grouped_split([str(group) for _, group in drawn], labels, 0.3)
    assert set(labels[train]) == set(labels)
    assert {drawn[index][1] for index in train}.isdisjoint(drawn[index][1] for index in val)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_groups_of_one_photo_are_held_out_like_photos(drawn: list[int]) -> None:
    labels, keys = np.array(drawn), [f"{number}.png" for number in range(len(drawn))]
    (_, one), (_, other) = grouped_split(keys, labels, 0.25), stratified_split(keys, labels, 0.25)
    assert sorted(labels[one]) == sorted(labels[other])


def sessions() -> Source:
    """Two classes, five sessions of four photos in each, and a photo of no session."""
    names = [f"{name}/s{day}-{shot}.png" for name in "ab" for day in range(5) for shot in range(4)]
    names.append("b/x.png")
    image = memory_source.png(memory_source.photo(0))
    return memory_source.source(train=[Example(image, int(name[0] == "b"), name) for name in names])


def keys(source: Source, split: str) -> list[str]:
    return [source.splits[split].key(index) for index in range(len(source.splits[split]))]


@pytest.mark.parametrize("pattern", [r"s\d", r"(s\d)-", r"/(s\d)-(\d)"])
def test_a_pattern_names_the_groups(pattern: str) -> None:
    """The first group of the expression, or the whole match; here a session has photos of both classes."""
    source = hold_out(sessions(), 0.2, pattern)
    days = {name: {key.split("/")[1][:2] for key in keys(source, name)} for name in ("train", "val")}
    assert len(days["val"]) == 1 and days["val"].isdisjoint(days["train"])
    assert (source.group_by, source.val_fraction) == (pattern, 0.2)


@pytest.mark.parametrize(
    ("pattern", "fraction", "words"),
    [
        ("session", 0.2, "matches no photo; their keys are such as a/s0-0.png"),
        ("(", 0.2, "is not a regular expression"),
        ("^.", 0.2, "the groups are too large to hold out 0.2 of any class"),
        (r"s\d", 0, "has --val-fraction 0"),
    ],
)
def test_patterns_that_do_nothing_are_refused(pattern: str, fraction: float, words: str) -> None:
    with pytest.raises(CommandError) as caught:
        source = sessions()
        source.splits["train"] = memory_source.MemorySplit(source.splits["train"].examples[:-1])  # type: ignore[attr-defined]
        hold_out(source, fraction, pattern)
    assert words in str(caught.value)


def test_a_source_with_a_validation_split_needs_no_groups() -> None:
    source = memory_source.source(train=memory_source.examples(4), val=memory_source.examples(2))
    with pytest.raises(CommandError, match="has a validation split already, so --group-by changes nothing"):
        hold_out(source, 0.1, "photo")
    assert hold_out(source, 0.1) is source


def test_the_command_keeps_sessions_together(tmp_path: Path, capfd) -> None:
    for index, key in enumerate(keys(sessions(), "train")):
        path = tmp_path / "photos" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(memory_source.png(memory_source.photo(index)))
    words = ["prepare", str(tmp_path / "photos"), str(tmp_path / "store"), "--side", "24", "--workers", "1"]
    assert main([*words, "--val-fraction", "0.2", "--group-by", r"s\d"]) == 0
    store = Store.open(tmp_path / "store")
    named = [store.split(name).keys() for name in ("train", "val")]
    days = [{key.split("/")[1][:2] for key in own} for own in named]
    assert days[0].isdisjoint(days[1])
    assert store.manifest.source.group_by == r"s\d"
    capfd.readouterr()
    assert main([*words, "--val-fraction", "0.2"]) == 2
    assert r"--group-by s\d (now )" in capfd.readouterr().err


def test_the_command_warns_of_classes_without_validation_photos(tmp_path: Path, capfd) -> None:
    for label, count in (("ant", 10), ("bee", 2)):
        for index in range(count):
            path = tmp_path / "photos" / label / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(memory_source.png(memory_source.photo(index + 20 * (label == "bee"))))
    words = ["prepare", str(tmp_path / "photos"), str(tmp_path / "store"), "--side", "24", "--workers", "1"]
    assert main(words) == 0
    assert "warning: 1 class without validation photos (bee)" in capfd.readouterr().err
    assert main([*words[:2], str(tmp_path / "none"), *words[3:], "--val-fraction", "0"]) == 0
    assert "warning: there are no validation photos" in capfd.readouterr().err
    assert main([*words[:2], str(tmp_path / "half"), *words[3:], "--val-fraction", "0.5"]) == 0
    assert "warning" not in capfd.readouterr().err


def test_a_number_of_classes_of_many_digits_is_refused(photos: Source) -> None:
    with pytest.raises(CommandError, match="the source has 4; type that or fewer"):
        filter_classes(photos, 5000 * "9")


def people(folder: Path, counts: dict[str, int], person_of: Callable[[int], str]) -> Path:
    """Photos in class folders, and a table of whom they are of."""
    rows = ["file,person"]
    for label, count in counts.items():
        for index in range(count):
            path = folder / label / f"{label}{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(memory_source.png(memory_source.photo(index + 100 * (label == "bee"))))
            rows.append(f"{path.name},{person_of(index)}")
    (folder / "people.csv").write_text("\n".join(rows))
    return folder


def groups_in(store: Store) -> list[str]:
    return [group for name in store.splits for group in photo_groups(store, store.split(name)) or ()]


def test_a_column_of_groups_is_held_out_whole_and_known_to_the_store(tmp_path: Path, capfd) -> None:
    """One person has no name: these photos are groups of their own. Other names are noticed later."""
    photos = people(tmp_path / "photos", {"ant": 12, "bee": 12}, lambda n: f"p{n // 3}" if n < 9 else "")
    words = ["prepare", str(photos), str(tmp_path / "store"), "--side", "24", "--workers", "1"]
    words += ["--val-fraction", "0.3", "--group-column", "person"]
    assert main(words) == 0
    store = Store.open(tmp_path / "store")
    groups = groups_in(store)
    assert len(groups) == 24 and len(set(groups)) == 3 + 6
    train = set(groups[: len(store.split("train"))])
    assert len(store.split("val")) and train.isdisjoint(groups[len(store.split("train")) :])
    assert store.manifest.source.options == {"group_column": "person"}
    capfd.readouterr()
    assert main(words) == 0
    assert "already finished" in capfd.readouterr().out
    people(photos, {"ant": 12, "bee": 12}, lambda n: f"q{n // 3}" if n < 9 else "")
    assert main(words) == 0
    renamed = groups_in(Store.open(tmp_path / "store"))
    assert {name for name in renamed if name.startswith("group")} == {"group q0", "group q1", "group q2"}


def test_photos_of_joined_splits_keep_their_groups_and_those_without_are_their_own(tmp_path: Path) -> None:
    """The files of both splits have the same names; the last ones have no group."""
    photos = tmp_path / "photos"
    for split, names in (("train", ["p", "q", ""]), ("val", ["q", "r", ""])):
        people(photos / split, {"ant": 3, "bee": 3}, names.__getitem__)
    made = prepare(
        open_source(photos, options=SourceOptions(group_column="person")), tmp_path / "s", RAW, workers=1
    )
    joined = made.joined(["train", "val"])
    own = [
        [
            "group p",
            "group q",
            f"photo {split}/ant/ant2.png",
            "group p",
            "group q",
            f"photo {split}/bee/bee2.png",
        ]
        for split in ("train", "val")
    ]
    own[1] = [{"group p": "group q", "group q": "group r"}.get(name, name) for name in own[1]]
    assert photo_groups(made, joined) == own[0] + own[1]
    assert photo_groups(made, joined.part(np.array([7, 0]))) == ["group r", "group p"]
    shutil.rmtree(made.path / "notes")
    with pytest.raises(
        DataError, match=r"lacks the group of train/ant/ant0\.png: delete the store and prepare"
    ):
        photo_groups(made, joined)


def test_groups_of_a_pattern_are_known_to_the_store(tmp_path: Path) -> None:
    made = prepare(hold_out(sessions(), 0.2, r"s\d"), tmp_path / "store", RAW, workers=1)
    groups = groups_in(made)
    assert {*groups} == {*(f"group s{day}" for day in range(5)), "photo train/b/x.png"}


def test_two_ways_to_name_groups_are_refused(tmp_path: Path, capfd) -> None:
    photos = people(tmp_path / "photos", {"ant": 4, "bee": 4}, lambda n: f"p{n}")
    source = open_source(photos, 0.25, SourceOptions(class_level=1))
    made = prepare(source, tmp_path / "ungrouped", RAW, workers=1)
    assert photo_groups(made, made.split("train")) is None
    words = ["prepare", str(photos), str(tmp_path / "store"), "--group-column", "person"]
    assert main([*words, "--group-by", "ant"]) == 2
    assert "--group-by and --group-column both name groups: choose one" in capfd.readouterr().err

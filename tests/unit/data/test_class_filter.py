"""A source with some of its classes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from unit.data.memory_source import examples, source

from alexnet.data.classes import Class
from alexnet.data.manifest import MANIFEST_FILE
from alexnet.data.prepare import PrepareSettings, prepare
from alexnet.data.sources import Box, Source, filter_classes
from alexnet.data.store import Store
from alexnet.errors import CommandError

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
    del source["val_fraction"]
    file.write_text(json.dumps(values))
    assert Store.open(store.path).manifest == store.manifest

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from unit.data.memory_source import examples, source
from unit.data.store_makers import make_store, row

from alexnet.data.boxes import Boxes, BoxTable, clip
from alexnet.data.classes import NO_LABEL
from alexnet.data.loader import Loader
from alexnet.data.prepare import Settings, prepare
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.errors import CommandError

COUNTS = (1, 0, 3, 2, 0, 1, 4, 0, 1)


def boxes_of(number: int) -> tuple[Box, ...]:
    return tuple(
        Box(number % 3, 0.125 * each, 0.25, 0.125 * each + 0.25, 0.5 + 0.0625 * number)
        for each in range(COUNTS[number])
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    rows = [row(number, boxes=boxes_of(number)) for number in range(len(COUNTS))]
    return Store.open(make_store(tmp_path / "store", {"train": rows, "val": [row(0)]}))


def found(boxes: Boxes, place: int) -> tuple[Box, ...]:
    there = boxes.labels[place] != NO_LABEL
    assert not boxes.corners[place][~there].any()
    rows = zip(boxes.labels[place][there].tolist(), boxes.corners[place][there].tolist(), strict=True)
    return tuple(Box(label, *corners) for label, corners in rows)


def test_batches_carry_the_boxes_of_their_images(store: Store) -> None:
    for start in (0, 1):
        for batch in Loader(store.split("train"), batch_size=4, seed=5, boxes=True).batches(0, start):
            assert batch.boxes is not None
            assert batch.boxes.corners.dtype == torch.float32
            for place, index in enumerate(batch.indices.tolist()):
                assert found(batch.boxes, place) == boxes_of(index)


def test_boxes_are_not_carried_where_nobody_asked(store: Store) -> None:
    assert next(Loader(store.split("train"), batch_size=3).batches()).boxes is None


def test_a_part_of_a_split_has_its_own_boxes(store: Store) -> None:
    chosen = np.array([6, 1, 2, 8, 0])
    table = BoxTable.of(store.split("train").part(chosen))
    padded = table.padded(np.arange(5))
    assert [found(padded, place) for place in range(5)] == [boxes_of(int(index)) for index in chosen]
    assert table.images_with_boxes().tolist() == [0, 2, 3, 4]
    assert padded.labels.shape == (5, 4)
    assert table.padded([1]).labels.tolist() == [[NO_LABEL]]


def test_a_split_without_any_box_is_refused(store: Store) -> None:
    with pytest.raises(CommandError, match="'val' of the store has no boxes: prepare a source that has"):
        Loader(store.split("val"), batch_size=1, boxes=True)


def test_the_largest_box_of_a_class() -> None:
    corners = torch.tensor([[[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.75]], [[0, 0, 1, 1]] * 3])
    labels = torch.tensor([[4, 2, 2], [1, NO_LABEL, NO_LABEL]])
    largest, there = Boxes(corners.float(), labels).largest(torch.tensor([2, 3]))
    assert largest.tolist() == [[0, 0, 0.5, 0.75], [0, 0, 0, 0]]
    assert there.tolist() == [True, False]


def test_of_whole_pictures_boxes_are_those_of_the_central_square(tmp_path: Path) -> None:
    """Which is what the loader gives, and what a store of squares holds."""
    everything = [
        each.__class__(each.image, each.label, each.key, (Box(each.label, 0.05, 0.1, 0.6, 0.95),))
        for each in examples(6)
    ]
    tables = []
    for shape in ("whole", "square"):
        made = prepare(source(train=everything), tmp_path / shape, Settings(32, shape), workers=1)
        tables.append(BoxTable.of(made.split("train")))
    assert tables[0].corners == pytest.approx(tables[1].corners, abs=1e-6)
    assert clip(tables[0].corners) == pytest.approx(tables[0].corners)

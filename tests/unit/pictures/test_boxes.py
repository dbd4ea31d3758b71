"""Photos with boxes on them: which are shown, what is called a hit, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from unit.data.store_makers import make_store, row

from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.evaluation import localization
from alexnet.evaluation.localization import Answers, BoxTable
from alexnet.figures.boxes import _STYLES
from alexnet.pictures.boxes import IMAGES, detected, located
from alexnet.pictures.opened import Opened
from alexnet.runs.predictions import Detected, Located

BOX = Box(0, 0.2, 0.2, 0.6, 0.7)


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Twenty validation photos, all but the first with a box of their class."""
    folder: Path = tmp_path_factory.mktemp("boxes")
    rows = [
        row(number, 72, boxes=(BOX._replace(label=number % 3),) if number else ()) for number in range(20)
    ]
    store = Store.open(make_store(folder / "store", {"train": rows[:4], "val": rows}, side=72))
    return Opened(tiny.run(folder / "run", store).path, store)


def answers(on: Opened, hits: int) -> Located:
    """Right class and place for the first so many photos with a box; then by turns a wrong class or place."""
    count = len(on.photos)
    labels = np.array([number % 3 for number in range(count)])[:, None]
    corners = np.tile(np.array(BOX[1:], np.float32), (count, 1, 1))
    for number in range(hits + 1, count):
        if number % 2:
            labels[number] = (labels[number] + 1) % 3
        else:
            corners[number] = (0.8, 0.8, 0.9, 0.9)
    scores = np.ones((count, 1), np.float32)
    names = np.array([each.wnid for each in on.store.classes])
    return Located("val", "centre", labels, corners, scores, np.array(on.photos.keys()), names)


@pytest.mark.parametrize(("hits", "shown"), [(10, 4), (2, 2), (19, 8), (0, 0)])
def test_half_of_the_photos_are_hits_where_there_are_enough_of_both(on, hits, shown) -> None:
    found = answers(on, hits)
    figure, seen = located(on, found)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == IMAGES
    assert sum(title.startswith("hit") for title in titles) == shown
    assert sum(title.startswith("miss") for title in titles) == IMAGES - shown
    assert f"19 photos with boxes {hits} are hits" in seen
    labels = on.photos.labels
    scored = localization.evaluate(Answers(found.labels, found.corners), labels, BoxTable.of(on.photos), 3)
    assert scored.images - scored.top1_localization_errors == hits


def test_true_boxes_are_black_and_what_was_said_is_green_or_red(on) -> None:
    figure, _ = located(on, answers(on, 10))
    for axes in figure.axes:
        colors = [patch.get_edgecolor() for patch in axes.patches if isinstance(patch, Rectangle)]
        kind = "right" if axes.get_title().startswith("hit") else "wrong"
        assert colors.count(to_rgba(_STYLES["true"][0])) == 1
        assert colors.count(to_rgba(_STYLES[kind][0])) == 1


def test_all_objects_found_are_drawn_beside_the_true_ones(on) -> None:
    keys, names = np.array(on.photos.keys()), np.array([each.wnid for each in on.store.classes])
    images = np.repeat(np.arange(20), 9)
    labels, scores = np.zeros(180, np.int64), np.tile(np.arange(9, 0, -1, dtype=np.float32), 20)
    corners = np.tile(np.array(BOX[1:], np.float32), (180, 1))
    figure, seen = detected(on, Detected("val", "dense", images, labels, scores, corners, keys, names))
    assert len(figure.axes) == IMAGES
    for axes in figure.axes:
        captions = [text.get_text() for text in axes.texts]
        assert [caption.split()[-1] for caption in captions] == ["9", "8", "7", "6", "5", "4"]
    assert "8 objects" in seen

"""Photos with boxes on them: which are shown, what is called a hit, and what is drawn."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import tiny
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from unit.data.store_makers import make_store, row

from alexnet.cli.detect import command
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.report.plots.boxes import _STYLES
from alexnet.report.sections.boxes import MOST_OBJECTS, SCENES, detected, located
from alexnet.report.sections.opened import Opened
from alexnet.runs.predictions import Detected, Located
from alexnet.tasks import localization
from alexnet.tasks.localization import Answers, BoxTable, Place
from alexnet.training.config import LEAST_SHOWN
from alexnet.web import served_model

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
    return Located("val", "center", labels, corners, scores, np.array(on.photos.keys()), names)


@pytest.mark.parametrize(
    ("hits", "kinds"), [(10, (6, 3, 3)), (2, (2, 3, 3)), (19, (6, 0, 0)), (0, (0, 3, 3))]
)
def test_photos_are_hits_wrong_boxes_and_wrong_classes_as_far_as_there_are_any(on, hits, kinds) -> None:
    found = answers(on, hits)
    figure, seen = located(on, found)
    said = [axes.get_title().rpartition("\n")[2] for axes in figure.axes if axes.get_title()]
    words = ("right", "wrong box", "wrong class")
    assert said == [word for word, count in zip(words, kinds, strict=True) for _ in range(count)]
    assert f"19 photos with boxes {hits} are hits" in seen
    labels = on.photos.labels
    scored = localization.evaluate(Answers(found.labels, found.corners), labels, BoxTable.of(on.photos), 3)
    assert scored.images - scored.top1_localization_errors == hits


def test_true_boxes_are_black_and_what_was_said_is_green_or_red(on) -> None:
    figure, _ = located(on, answers(on, 10))
    assert len(figure.axes) == 12
    for axes in figure.axes:
        colors = [patch.get_edgecolor() for patch in axes.patches if isinstance(patch, Rectangle)]
        kind = "right" if axes.get_title().endswith("right") else "wrong"
        assert colors.count(to_rgba(_STYLES["true"][0])) == 1
        assert colors.count(to_rgba(_STYLES[kind][0])) == 1


def all_of(on: Opened) -> Detected:
    """Of each photo its object, as its class and as another one, and once more, unsure."""
    keys, names = np.array(on.photos.keys()), np.array([each.wnid for each in on.store.classes])
    images = np.repeat(np.arange(1, 20), 3)
    labels = (images + np.tile([0, 1, 0], 19)) % 3
    scores, corners = np.tile(np.float32([4, 3, 0.1]), 19), np.tile(np.float32(BOX[1:]), (57, 1))
    return Detected("val", "dense", images, labels, scores, corners, keys, names)


def said(on: Opened, count: int) -> list[Place]:
    """By turns the box as one of the three classes, the surest first."""
    box = tuple(72 * np.array(BOX[1:]))
    classes = [on.store.classes[number % 3] for number in range(count)]
    return [Place(each.wnid, each.name, 1.0 / (n + 1), box) for n, each in enumerate(classes)]


def colors_of(axes) -> list:
    white = to_rgba("white")
    return [edge for patch in axes.patches if (edge := patch.get_edgecolor()) != white]


@pytest.mark.parametrize(("answers", "drawn"), [(3, 3), (60, MOST_OBJECTS)])
def test_at_most_the_surest_few_objects_are_drawn_right_where_one_of_their_class_is(
    on, answers, drawn
) -> None:
    figure, seen = detected(on, all_of(on), lambda photo: said(on, answers))
    assert len(figure.axes) == SCENES
    for axes in figure.axes:
        true, *others = colors_of(axes)
        assert true == to_rgba(_STYLES["true"][0])
        assert len(others) == len(axes.texts) == drawn
        # Boxes of one class in three are right; all are in the true box's place.
        assert others.count(to_rgba(_STYLES["right"][0])) in (drawn // 3, -(-drawn // 3))
        assert set(others) == {to_rgba(_STYLES[kind][0]) for kind in ("right", "wrong")}
        assert axes.get_title() == "1 object"
    assert "Of all 57 answers to all photos, however unsure, 38 overlap" in seen
    assert f"{drawn * SCENES} answers" in seen
    caption = figure.get_supxlabel()
    assert "black and dashed" in caption
    assert f"sure by {LEAST_SHOWN}" in caption and f"the {MOST_OBJECTS} surest" in caption


def test_where_nothing_is_said_only_the_true_boxes_are_drawn(on) -> None:
    figure, _ = detected(on, all_of(on), lambda photo: [])
    for axes in figure.axes:
        assert colors_of(axes) == [to_rgba(_STYLES["true"][0])]
        assert axes.get_title() == "1 object, nothing said"


def test_detect_and_the_pictures_show_what_is_as_sure() -> None:
    assert signature(command).parameters["least"].default == served_model.LEAST_SHOWN == LEAST_SHOWN

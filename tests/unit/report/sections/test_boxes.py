"""Figures of boxes: which photos are shown, which predictions count as correct, and what is drawn."""

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
from alexnet.report.plots.boxes import _STYLES
from alexnet.report.sections.boxes import MOST_OBJECTS, SCENES, detected, located
from alexnet.report.sections.subjects import OpenModel
from alexnet.runs.predictions import DetectionPredictions, LocalizationPredictions
from alexnet.runs.results import ViewSet
from alexnet.tasks import localization
from alexnet.tasks.base import BoxPrediction
from alexnet.tasks.config import DEFAULT_MIN_SCORE
from alexnet.tasks.localization import BoxTable, RankedBoxes

BOX = Box(0, 0.2, 0.2, 0.6, 0.7)


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> OpenModel:
    """Twenty validation photos, all but the first with a box of their class."""
    folder: Path = tmp_path_factory.mktemp("boxes")
    rows = [
        row(number, 72, boxes=(BOX._replace(label=number % 3),) if number else ()) for number in range(20)
    ]
    store = Store.open(make_store(folder / "store", {"train": rows[:4], "val": rows}, side=72))
    return OpenModel(tiny.run(folder / "run", store).path, store)


def predictions(on: OpenModel, hits: int) -> LocalizationPredictions:
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
    return LocalizationPredictions(
        split="val",
        views=ViewSet("center"),
        labels=labels,
        corners=corners,
        scores=scores,
        keys=np.array(on.photos.keys()),
        classes=names,
    )


@pytest.mark.parametrize(
    ("hits", "kinds"), [(10, (6, 3, 3)), (2, (2, 3, 3)), (19, (6, 0, 0)), (0, (0, 3, 3))]
)
def test_photos_are_hits_wrong_boxes_and_wrong_classes_as_far_as_there_are_any(on, hits, kinds) -> None:
    found = predictions(on, hits)
    figure, alt_text = located(on, found)
    shown = [axes.get_title().rpartition("\n")[2] for axes in figure.axes if axes.get_title()]
    words = ("correct", "wrong box", "wrong class")
    assert shown == [word for word, count in zip(words, kinds, strict=True) for _ in range(count)]
    assert f"19 photos with boxes {hits} are correct" in alt_text
    labels = on.photos.labels
    scored = localization.count_box_errors(
        RankedBoxes(found.labels, found.corners), labels, BoxTable.of(on.photos), 3
    )
    assert scored.images - scored.top1_localization_errors == hits


def test_true_boxes_are_black_and_predicted_ones_green_or_red(on) -> None:
    figure, _ = located(on, predictions(on, 10))
    assert len(figure.axes) == 12
    for axes in figure.axes:
        colors = [patch.get_edgecolor() for patch in axes.patches if isinstance(patch, Rectangle)]
        kind = "right" if axes.get_title().endswith("correct") else "wrong"
        assert colors.count(to_rgba(_STYLES["true"][0])) == 1
        assert colors.count(to_rgba(_STYLES[kind][0])) == 1


def all_of(on: OpenModel) -> DetectionPredictions:
    """For each photo its object, as its class and as another one, and again with a low score."""
    keys, names = np.array(on.photos.keys()), np.array([each.wnid for each in on.store.classes])
    images = np.repeat(np.arange(1, 20), 3)
    labels = (images + np.tile([0, 1, 0], 19)) % 3
    scores, corners = np.tile(np.float32([4, 3, 0.1]), 19), np.tile(np.float32(BOX[1:]), (57, 1))
    return DetectionPredictions(
        split="val",
        views=ViewSet("dense"),
        images=images,
        labels=labels,
        scores=scores,
        corners=corners,
        keys=keys,
        classes=names,
    )


def places(on: OpenModel, count: int) -> list[BoxPrediction]:
    """The box as one of the three classes in turn, the highest score first."""
    box = tuple(72 * np.array(BOX[1:]))
    classes = [on.store.classes[number % 3] for number in range(count)]
    return [BoxPrediction(each.wnid, each.name, 1.0 / (n + 1), box) for n, each in enumerate(classes)]


def colors_of(axes) -> list:
    white = to_rgba("white")
    return [edge for patch in axes.patches if (edge := patch.get_edgecolor()) != white]


@pytest.mark.parametrize(("count", "drawn"), [(3, 3), (60, MOST_OBJECTS)])
def test_at_most_the_surest_few_objects_are_drawn_right_where_one_of_their_class_is(on, count, drawn) -> None:
    figure, alt_text = detected(on, all_of(on), lambda photo: places(on, count))
    assert len(figure.axes) == SCENES
    for axes in figure.axes:
        true, *others = colors_of(axes)
        assert true == to_rgba(_STYLES["true"][0])
        assert len(others) == len(axes.texts) == drawn
        # Boxes of one class in three are right; all are in the true box's place.
        assert others.count(to_rgba(_STYLES["right"][0])) in (drawn // 3, -(-drawn // 3))
        assert set(others) == {to_rgba(_STYLES[kind][0]) for kind in ("right", "wrong")}
        assert axes.get_title() == "1 object"
    assert "Of all 57 detections on all photos, of any score, 38 have an IoU" in alt_text
    assert f"{drawn * SCENES} detections" in alt_text
    caption = figure.get_supxlabel()
    assert "black, dashed" in caption
    assert f"at least {DEFAULT_MIN_SCORE}" in caption and f"the best {MOST_OBJECTS}" in caption


def test_without_detections_only_the_true_boxes_are_drawn(on) -> None:
    figure, _ = detected(on, all_of(on), lambda photo: [])
    for axes in figure.axes:
        assert colors_of(axes) == [to_rgba(_STYLES["true"][0])]
        assert axes.get_title() == "1 object, no detections"

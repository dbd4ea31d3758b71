from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from alexnet.data.boxes import BoxTable
from alexnet.errors import WorkError
from alexnet.tasks.detection import Detections, average_precision, evaluate_detections, least_overlaps

CLASSES, IMAGES, PIXELS = 4, 30, 1000


def random_task(seed: int) -> tuple[Detections, BoxTable]:
    """Up to four objects an image; detections are objects moved a little, some of another class."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 5, IMAGES)
    size = generator.uniform(0.1, 0.5, (counts.sum(), 2))
    corner = generator.uniform(0, 1 - size)
    corners = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    labels = generator.integers(0, CLASSES, counts.sum())
    truth = BoxTable(np.cumsum([0, *counts]), labels, corners)
    images = np.repeat(np.arange(IMAGES), counts)
    chosen = generator.integers(0, len(labels), 150)
    predicted = corners[chosen] + generator.normal(0, 0.04, (150, 4))
    predicted = np.concatenate(
        [np.minimum(predicted[:, :2], predicted[:, 2:] - 0.01), predicted[:, 2:]], axis=1
    )
    named = np.where(generator.random(150) < 0.8, labels[chosen], generator.integers(0, CLASSES, 150))
    scores = generator.permutation(150) / 150
    return Detections(images[chosen], named, scores, predicted), truth


def coco_precisions(detections: Detections, truth: BoxTable) -> list[float]:
    """Each class's average precision by COCO's program.

    It takes the mean of the interpolated precisions at given recalls: at all k / objects it is the area.
    """
    images = np.repeat(np.arange(IMAGES), np.diff(truth.starts))
    precisions = []
    for label in range(CLASSES):
        objects = int((truth.labels == label).sum())
        with contextlib.redirect_stdout(io.StringIO()):
            known = COCO()
            known.dataset = {
                "images": [{"id": image} for image in range(IMAGES)],
                "categories": [{"id": label}],
                "annotations": [
                    {"id": 1 + row, "image_id": int(images[row]), "iscrowd": 0} | _box(label, corners)
                    for row, corners in enumerate(truth.corners)
                    if truth.labels[row] == label
                ],
            }
            known.createIndex()
            predicted = known.loadRes(
                [
                    {"image_id": int(detections.images[row]), "score": detections.scores[row]}
                    | _box(label, detections.corners[row])
                    for row in np.flatnonzero(detections.labels == label)
                ]
            )
            test = COCOeval(known, predicted, "bbox")
            test.params.iouThrs = np.array([0.5])
            test.params.recThrs = np.arange(1, objects + 1) / objects - 1e-9
            test.params.maxDets = [1000]
            test.params.areaRng, test.params.areaRngLbl = [[0, 1e10]], ["all"]
            test.evaluate()
            test.accumulate()
        precisions.append(float(test.eval["precision"].mean()))
    return precisions


def _box(label: int, corners: Any) -> dict[str, Any]:
    x0, y0, x1, y1 = (PIXELS * float(edge) for edge in corners)
    return {"category_id": label, "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}


@pytest.mark.parametrize("seed", range(6))
def test_precisions_are_those_of_cocos_program(seed: int) -> None:
    detections, truth = random_task(seed)
    found = evaluate_detections(detections, truth, [str(label) for label in range(CLASSES)])
    precisions = coco_precisions(detections, truth)
    assert [row.average_precision for row in found.per_class] == pytest.approx(precisions, abs=1e-9)
    assert found.mean_average_precision == pytest.approx(np.mean(precisions))
    assert 0.2 < found.mean_average_precision < 0.9


def test_by_hand() -> None:
    """Right, wrong, right, wrong, of four objects: precision 1 at the first recall, 2/3 at the second."""
    assert average_precision(np.array([True, False, True, False]), 4) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(np.array([False, True]), 1) == 0.5
    assert average_precision(np.array([], bool), 3) == 0
    assert average_precision(np.ones(3, bool), 3) == 1


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 5))
def test_average_precision_is_the_mean_of_the_best_precision_at_each_recall(
    right: list[bool], missed: int
) -> None:
    objects = sum(right) + missed
    if not objects:
        return
    total = 0.0
    for recall in range(1, objects + 1):
        reached = [sum(right[:n]) / n for n in range(1, len(right) + 1) if sum(right[:n]) >= recall]
        total += max(reached, default=0.0)
    assert average_precision(np.array(right, bool), objects) == pytest.approx(total / objects)


def task(boxes: list[list[float]], predicted: list[list[float]], scores: list[float]) -> Any:
    truth = BoxTable(np.array([0, len(boxes)]), np.zeros(len(boxes), np.int64), np.array(boxes, np.float32))
    zeros = np.zeros(len(predicted), np.int64)
    return Detections(zeros, zeros, np.array(scores), np.array(predicted, float).reshape(-1, 4)), truth


def test_a_second_detection_of_one_object_is_wrong() -> None:
    box = [0.0, 0.0, 0.5, 0.5]
    detections, truth = task([box, [0.5, 0.5, 1, 1]], [box, box, [0.5, 0.5, 1, 1]], [0.9, 0.8, 0.7])
    (row,) = evaluate_detections(detections, truth, ["a"]).per_class
    assert (row.objects, row.detections, row.found) == (2, 3, 2)
    assert row.average_precision == pytest.approx((1 + 2 / 3) / 2)


def test_classes_without_objects_do_not_count_and_missed_ones_count_nothing() -> None:
    detections, truth = task([[0, 0, 0.5, 0.5]], [], [])
    found = evaluate_detections(detections, truth, ["a", "b"])
    assert found.mean_average_precision == 0
    assert [row.average_precision for row in found.per_class] == [0, None]


def test_small_objects_need_less_overlap() -> None:
    """A box of 10 x 10 pixels found as 20 x 20, which overlap by a quarter."""
    assert least_overlaps(np.array([[0, 0, 0.1, 0.1]]), np.array([[100, 100]])) == pytest.approx([0.25])
    assert least_overlaps(np.array([[0, 0, 1, 1]]), np.array([[100, 100]])) == pytest.approx([0.5])
    detections, truth = task([[0.2, 0.2, 0.3, 0.3]], [[0.151, 0.151, 0.35, 0.35]], [1])
    assert evaluate_detections(detections, truth, ["a"]).mean_average_precision == 0
    assert evaluate_detections(detections, truth, ["a"], np.array([[100, 100]])).mean_average_precision == 1


def test_broken_detections_give_no_precision() -> None:
    detections, truth = task([[0, 0, 1, 1]], [[0, 0, 1, 1]], [float("nan")])
    with pytest.raises(WorkError, match="not finite"):
        evaluate_detections(detections, truth, ["a"])
    detections, truth = task([], [], [])
    with pytest.raises(WorkError, match="no true box"):
        evaluate_detections(detections, truth, ["a"])

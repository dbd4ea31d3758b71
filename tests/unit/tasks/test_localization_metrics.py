from __future__ import annotations

import numpy as np
import pytest
from reference import localization as twin

from alexnet.data.boxes import BoxTable
from alexnet.data.classes import NO_LABEL
from alexnet.errors import WorkError
from alexnet.published.imagenet import ILSVRC_BOX_OVERLAP
from alexnet.tasks.localization import BASELINES, RankedBoxes, baseline_boxes, count_box_errors

IMAGES, CLASSES, K = 200, 7, 5


def random_boxes(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Of a few places only, so that many overlap."""
    corners = generator.integers(0, 3, (*shape, 2)) / 8
    return np.concatenate([corners, corners + generator.integers(2, 6, (*shape, 2)) / 8], axis=-1)


def table(truth: list[list[tuple[int, list[float]]]]) -> BoxTable:
    rows = [row for image in truth for row in image]
    starts = np.cumsum([0, *map(len, truth)])
    corners = np.array([corners for _, corners in rows], np.float32).reshape(-1, 4)
    return BoxTable(starts, np.array([label for label, _ in rows], np.int64), corners)


def random_task(seed: int) -> tuple[RankedBoxes, np.ndarray, list[list[tuple[int, list[float]]]]]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, IMAGES)
    predicted = np.argsort(generator.random((IMAGES, CLASSES)), axis=1)[:, :K]
    truth = [
        [
            (int(label if generator.random() < 0.8 else generator.integers(CLASSES)), box.tolist())
            for box in random_boxes(generator, generator.integers(0, 4))
        ]
        for label in labels
    ]
    return RankedBoxes(predicted, random_boxes(generator, IMAGES, K)), labels, truth


@pytest.mark.parametrize("seed", range(5))
def test_errors_are_those_of_the_reference(seed: int) -> None:
    ranked, labels, truth = random_task(seed)
    found = count_box_errors(ranked, labels, table(truth), CLASSES)
    pairs = [
        list(zip(some.tolist(), boxes.tolist(), strict=True))
        for some, boxes in zip(ranked.labels, ranked.corners, strict=True)
    ]
    for k in (1, 5):
        wanted = twin.errors(pairs, labels.tolist(), truth, k)
        assert found.images == wanted["images"]
        assert getattr(found, f"top{k}_localization_errors") == wanted["localization"]
        assert getattr(found, f"top{k}_errors") == wanted["classification"]
    assert found.images + found.without_box == IMAGES
    assert 0 < found.top5_localization_errors < found.images


def test_a_box_that_overlaps_by_exactly_half_is_right_and_by_less_is_wrong() -> None:
    truth = table([[(0, [0, 0, 1, 1])]] * 2)
    predicted = RankedBoxes(np.zeros((2, 1), np.int64), np.array([[[0, 0, 1, 0.5]], [[0, 0, 1, 0.499]]]))
    found = count_box_errors(predicted, np.zeros(2, np.int64), truth, CLASSES)
    assert (found.top1_localization_errors, found.top1_errors) == (1, 0)
    rate = found.rate(found.top1_localization_errors)
    assert rate is not None and rate.error == 0.5
    assert rate.interval[0] < 0.5 < rate.interval[1]


def test_any_of_several_boxes_of_the_class_will_do_but_none_of_another_class() -> None:
    boxes = [(1, [0, 0, 0.5, 0.5]), (1, [0.5, 0.5, 1, 1]), (2, [0, 0.5, 0.5, 1])]
    predicted = RankedBoxes(np.array([[1], [1]]), np.array([[[0.5, 0.5, 1, 1]], [[0, 0.5, 0.5, 1]]]))
    found = count_box_errors(predicted, np.array([1, 1]), table([boxes, boxes]), CLASSES)
    assert found.top1_localization_errors == 1


def test_images_without_a_box_of_their_class_are_not_scored() -> None:
    truth = table([[], [(2, [0, 0, 1, 1])], [(1, [0, 0, 1, 1])]])
    predicted = RankedBoxes(np.ones((3, 1), np.int64), np.tile([0.0, 0, 1, 1], (3, 1, 1)))
    found = count_box_errors(predicted, np.array([1, 1, 1]), truth, 3)
    assert (found.images, found.without_box, found.top1_localization_errors) == (1, 2, 0)
    assert found.top5_errors is None
    assert found.rate(found.top5_errors) is None
    with pytest.raises(WorkError, match="no image of the split has a box of its own class"):
        count_box_errors(predicted, np.array([0, 0, 0]), truth, 3)


def test_missing_and_broken_predictions_give_no_error_rate() -> None:
    truth = table([[(0, [0, 0, 1, 1])]] * 2)
    for predicted in (
        RankedBoxes(np.zeros((1, 1), np.int64), np.zeros((1, 1, 4))),
        RankedBoxes(np.zeros((2, 1), np.int64), np.full((2, 1, 4), np.nan)),
    ):
        with pytest.raises(WorkError, match="not exactly one finite prediction for every image"):
            count_box_errors(predicted, np.zeros(2, np.int64), truth, 3)


def test_baselines_know_the_training_boxes_only() -> None:
    train = table([[(0, [0, 0, 0.5, 1])], [(0, [0, 0, 0.5, 0.5]), (2, [0.5, 0.5, 1, 1])]])
    labels = np.array([[0, 2], [1, NO_LABEL]])
    corners = {name: predicted.corners for name, predicted in baseline_boxes(labels, train).items()}
    assert list(corners) == list(BASELINES)
    assert corners["whole_image"].reshape(-1, 4).tolist() == [[0, 0, 1, 1]] * 4
    center = [0.25, 0.5 - 1 / 3, 0.75, 0.5 + 1 / 3]
    assert corners["center_box_of_mean_size"].reshape(-1, 4) == pytest.approx(np.tile(center, (4, 1)))
    everywhere = [1 / 6, 1 / 6, 2 / 3, 5 / 6]
    wanted = [[[0, 0, 0.5, 0.75], [0.5, 0.5, 1, 1]], [everywhere, everywhere]]
    assert corners["class_mean_box"] == pytest.approx(np.array(wanted))


def test_half_is_the_overlap_of_the_challenge() -> None:
    assert ILSVRC_BOX_OVERLAP == 0.5

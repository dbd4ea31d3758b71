"""Boxes that know nothing of the photo: what a localisation has to beat, measured the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data.box_geometry import WHOLE
from alexnet.data.boxes import BoxTable
from alexnet.data.classes import NO_LABEL
from alexnet.evaluation.localization import Answers

Corners = npt.NDArray[np.float64]


def whole_image(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): the whole image is the box, whatever the class."""
    return np.broadcast_to(np.array(WHOLE), (*labels.shape, 4)).copy()


def centre_of_mean_size(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): in the middle, as wide and as high as a training box in the mean."""
    size = (train.corners[:, 2:] - train.corners[:, :2]).mean(axis=0, dtype=np.float64)
    box = np.concatenate([0.5 - size / 2, 0.5 + size / 2])
    return np.broadcast_to(box, (*labels.shape, 4)).copy()


def class_mean(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): the mean of the training boxes of the answer's class; of all, where it has none."""
    everywhere = train.corners.mean(axis=0, dtype=np.float64)
    count = int(max(train.labels.max(), labels.max())) + 1
    sums = np.zeros((count, 4))
    np.add.at(sums, train.labels, train.corners.astype(np.float64))
    boxes = np.bincount(train.labels, minlength=count)[:, None]
    means = np.where(boxes > 0, sums / np.maximum(boxes, 1), everywhere)
    return np.where((labels == NO_LABEL)[..., None], everywhere, means[labels])


BASELINES: dict[str, Callable[[npt.NDArray[Any], BoxTable], Corners]] = {
    "whole image": whole_image,
    "centre box of mean size": centre_of_mean_size,
    "class-mean box": class_mean,
}
"""By the name that tables show."""


def baseline_answers(labels: npt.NDArray[np.int64], train: BoxTable) -> dict[str, Answers]:
    """Answers of the classes `labels` (N, k) with the boxes of each baseline, learned from training boxes."""
    return {name: Answers(labels, corners(labels, train)) for name, corners in BASELINES.items()}

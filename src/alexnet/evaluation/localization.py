"""Is the class right, and is it where it was said to be? The localisation error of ILSVRC-2012.

Each image gets a few answers, a class and a box each. It is right where one of the first k answers names its
class with a box that overlaps one of the image's boxes of that class by half or more (intersection over
union). Source: Russakovsky et al. 2015, "ImageNet Large Scale Visual Recognition Challenge", section 4.2.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data import box_geometry
from alexnet.data.boxes import BoxTable
from alexnet.data.classes import NO_LABEL
from alexnet.errors import WorkError
from alexnet.evaluation.metrics import TOP, interval
from alexnet.published import ILSVRC_BOX_OVERLAP


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of every image of a split, in the store's order: k classes with their boxes."""

    labels: npt.NDArray[np.int64]
    """(N, k) the surest class first; `NO_LABEL` where there are fewer than k."""
    corners: npt.NDArray[np.floating[Any]]
    """(N, k, 4) x0, y0, x1, y1 of each, in the same shares as the true boxes."""


@dataclass(frozen=True)
class Localization:
    """How many images are wrong; of those that have a box of their own class, the others are not scored."""

    images: int
    without_box: int
    """Images that were not scored, as nobody has said where their object is."""
    top1_localization_errors: int
    """Images whose first answer has the wrong class or a wrong box."""
    top5_localization_errors: int
    top1_errors: int
    """Images whose first answer has the wrong class, whatever its box: those of classification alone."""
    top5_errors: int | None
    """None with five classes or fewer."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, with errors as fractions in [0, 1] and their 95 % intervals."""
        rates: dict[str, Any] = {}
        for name in ("top1_localization", "top5_localization", "top1", "top5"):
            errors = getattr(self, f"{name}_errors")
            rates[f"{name}_error"] = None if errors is None else errors / self.images
            rates[f"{name}_interval"] = None if errors is None else list(interval(errors, self.images))
        return {**asdict(self), **rates}


def evaluate(
    answers: Answers,
    labels: npt.NDArray[Any],
    truth: BoxTable,
    classes: int,
    overlap: float = ILSVRC_BOX_OVERLAP,
) -> Localization:
    """Counts the errors among the N images with `labels` (N,) and true boxes; there are `classes` classes.

    WorkError where answers are missing or not finite, or no image has a box of its class.
    """
    if answers.labels.shape[:1] != labels.shape or not np.isfinite(answers.corners).all():
        raise WorkError("there is not one finite answer for every image; no error is given")
    scored = np.flatnonzero([labels[image] in truth.of_image(image)[0] for image in range(len(labels))])
    if not len(scored):
        raise WorkError("no image of the split has a box of its own class: there is nothing to score")
    named = answers.labels[scored, :TOP] == labels[scored, None]
    placed = named & right_boxes(answers, labels, truth, overlap)[scored, :TOP]
    return Localization(
        images=len(scored),
        without_box=len(labels) - len(scored),
        top1_localization_errors=int((~placed[:, 0]).sum()),
        top5_localization_errors=int((~placed.any(axis=1)).sum()),
        top1_errors=int((~named[:, 0]).sum()),
        top5_errors=int((~named.any(axis=1)).sum()) if classes > TOP else None,
    )


def right_boxes(
    answers: Answers, labels: npt.NDArray[Any], truth: BoxTable, overlap: float = ILSVRC_BOX_OVERLAP
) -> npt.NDArray[np.bool_]:
    """(N, k) whether each box overlaps one of the image's boxes of its own class enough."""
    right = np.zeros(answers.labels.shape, np.bool_)
    for image, label in enumerate(labels):
        classes, corners = truth.of_image(image)
        found = corners[classes == label]
        right[image] = (box_geometry.iou(answers.corners[image], found) >= overlap).any(axis=1)
    return right


def top_classes(probabilities: npt.NDArray[Any], k: int = TOP) -> npt.NDArray[np.int64]:
    """(N, k) the most probable classes, the most probable first (equals in label order).

    `NO_LABEL` behind the last where there are fewer than k.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=NO_LABEL)

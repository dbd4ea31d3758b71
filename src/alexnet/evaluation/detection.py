"""Is every object found, and nothing else? Average precision as PASCAL VOC and ILSVRC define it.

Of each class the detections of all images are taken in the order of their scores. One is right where it
overlaps a box of its class that no earlier one has found: the one it overlaps most, by half or more.
Precision at a recall is the best at that recall or a higher one; its mean over all recalls, the area under
the curve, is the average precision. Sources: Everingham et al. 2010 and the development kit of VOC 2010,
section 3.4.1; Russakovsky et al. 2015, section 4.3. VOC itself lets a detection find only the box it overlaps
most of all, found before or not; the two differ where true boxes of a class overlap each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data import box_geometry
from alexnet.data.boxes import BoxTable
from alexnet.errors import WorkError
from alexnet.published import ILSVRC_BOX_MARGIN_PIXELS, ILSVRC_BOX_OVERLAP

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in the images of a split: D boxes, in any order."""

    images: npt.NDArray[np.int64]
    """(D,) the place of the image in the split."""
    labels: npt.NDArray[np.int64]
    """(D,)"""
    scores: Floats
    """(D,) the higher the surer; they are compared within a class only."""
    corners: Floats
    """(D, 4) x0, y0, x1, y1 in the same shares as the true boxes."""


@dataclass(frozen=True)
class ClassPrecision:
    """How well the objects of one class were found."""

    wnid: str
    objects: int
    detections: int
    found: int
    """Objects that a detection has found, whatever its score."""
    average_precision: float | None
    """0 to 1; None where there is no object of the class."""


@dataclass(frozen=True)
class Detection:
    """How well all objects were found."""

    images: int
    objects: int
    mean_average_precision: float
    """0 to 1, over the classes that have objects."""
    per_class: tuple[ClassPrecision, ...]
    """In label order."""


def evaluate(
    detections: Detections,
    truth: BoxTable,
    wnids: Sequence[str],
    sizes: npt.NDArray[Any] | None = None,
) -> Detection:
    """The mean average precision over classes `wnids`, in label order.

    With `sizes` (N, 2), widths and heights of the photos in pixels, small objects need less overlap, as in
    ILSVRC (see `least_overlaps`). Of equal scores the first detection counts first.
    WorkError where a score or a corner is not finite, or there is no object at all.
    """
    if not (np.isfinite(detections.scores).all() and np.isfinite(detections.corners).all()):
        raise WorkError("some detections are not finite: the weights are broken; try --checkpoint best")
    if not len(truth.labels):
        raise WorkError("there is no true box: nothing can be found")
    images = np.repeat(np.arange(len(truth.starts) - 1), np.diff(truth.starts))
    least = np.full(len(truth.labels), ILSVRC_BOX_OVERLAP)
    if sizes is not None:
        least = least_overlaps(truth.corners, sizes[images])
    rows = tuple(_of_class(detections, truth, images, least, label, wnid) for label, wnid in enumerate(wnids))
    known = [row.average_precision for row in rows if row.average_precision is not None]
    return Detection(len(truth.starts) - 1, len(truth.labels), float(np.mean(known)), rows)


def least_overlaps(corners: Floats, sizes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(B,) overlap that finds each true box (B, 4) of a photo of `sizes` (B, 2) pixels: half, less if small.

    A box five pixels larger on each side is always good enough. Source: Russakovsky et al. 2015, section 4.3.
    """
    pixels = (corners[:, 2:] - corners[:, :2]) * sizes
    larger = pixels + ILSVRC_BOX_MARGIN_PIXELS
    return np.minimum(ILSVRC_BOX_OVERLAP, pixels.prod(axis=1) / larger.prod(axis=1))


def average_precision(right: npt.NDArray[np.bool_], objects: int) -> float:
    """The area under precision by recall, of detections (D,) by falling score: which of them are right."""
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall rises by one object wherever a detection is right.
    return float(best_from_here[right].sum() / objects)


def _of_class(
    detections: Detections,
    truth: BoxTable,
    images: npt.NDArray[np.int64],
    least: Floats,
    label: int,
    wnid: str,
) -> ClassPrecision:
    said = np.flatnonzero(detections.labels == label)
    said = said[np.argsort(-detections.scores[said], kind="stable")]
    objects = np.flatnonzero(truth.labels == label)
    right = np.zeros(len(said), np.bool_)
    for image in np.intersect1d(detections.images[said], images[objects]):
        here = np.flatnonzero(detections.images[said] == image)
        true = objects[images[objects] == image]
        overlaps = box_geometry.iou(detections.corners[said[here]], truth.corners[true])
        right[here] = _matched(overlaps, least[true])
    precision = average_precision(right, len(objects)) if len(objects) else None
    return ClassPrecision(wnid, len(objects), len(said), int(right.sum()), precision)


def _matched(overlaps: Floats, least: Floats) -> npt.NDArray[np.bool_]:
    """(n,) which of an image's detections, by falling score, find a box; `overlaps` are (n, boxes)."""
    free = np.ones(len(least), np.bool_)
    right = np.zeros(len(overlaps), np.bool_)
    for place, row in enumerate(overlaps):
        candidates = np.where(free & (row >= least), row, -1.0)
        best = int(candidates.argmax())
        if candidates[best] >= 0:
            free[best], right[place] = False, True
    return right

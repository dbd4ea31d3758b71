"""Bounding boxes: geometry, target assignment, and the boxes of a split or a batch.

Boxes are float arrays (..., 4) of x0, y0, x1, y1: edges, y downwards, so that x1 - x0 is the width. Units are
pixels or fractions of an image, the same within one call. A window is a box too: the part of an image that a
crop, a stored square or a model's field of view covers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from alexnet.data.classes import NO_LABEL
from alexnet.data.resize import crop_offset, resized_size
from alexnet.data.store import Split
from alexnet.errors import CommandError

Corners = NDArray[np.float64]
"""(..., 4) x0, y0, x1, y1."""

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""A whole image, in fractions of it."""

IGNORED = -1
"""The target label of a window that is neither an object nor background: no loss is computed for it."""

_MIN_OBJECT_COVERAGE = 0.75
"""Minimum fraction of an object's box inside a window that shows it."""
_MIN_OBJECT_SIDE = 0.6
"""Minimum longer side of its box relative to the side of the window; smaller objects are left to larger
scales."""
_MAX_BACKGROUND_COVERAGE = 0.5
"""A window is background if it covers less than this of every box, and every box less than this of it."""


def area(boxes: ArrayLike) -> NDArray[np.float64]:
    """(...,) area in square units; 0 for an empty or reversed box."""
    x0, y0, x1, y1 = _edges(boxes)
    return np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)


def clip(boxes: ArrayLike, window: ArrayLike = WHOLE) -> Corners:
    """(..., 4) the part of each box inside the window; of area 0 if there is none."""
    left, top, right, bottom = _edges(window)
    x0, y0, x1, y1 = _edges(boxes)
    across = (np.clip(x, left, right) for x in (x0, x1))
    down = (np.clip(y, top, bottom) for y in (y0, y1))
    (x0, x1), (y0, y1) = across, down
    return np.stack(np.broadcast_arrays(x0, y0, x1, y1), axis=-1)


def ordered(boxes: ArrayLike) -> Corners:
    """(..., 4) the same boxes with x0 <= x1 and y0 <= y1; a model may predict them the other way round."""
    x0, y0, x1, y1 = _edges(boxes)
    return np.stack([np.minimum(x0, x1), np.minimum(y0, y1), np.maximum(x0, x1), np.maximum(y0, y1)], axis=-1)


def iou(some: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """(N, M) intersection over union, 0 to 1, of each of `some` (N, 4) with each of `others` (M, 4).

    0 if both are empty. Boxes are edges: ILSVRC and PASCAL VOC annotate first and last pixels instead, so 1
    must be added to their last ones.
    """
    first, second = (torch.tensor(np.asarray(each, np.float64)) for each in (some, others))
    return paired_iou(first[:, None], second[None]).numpy()


def paired_iou(some: Tensor, others: Tensor) -> Tensor:
    """(...,) intersection over union, 0 to 1, of boxes (..., 4) pair by pair, on their device; see `iou`."""
    first, last = torch.maximum(some[..., :2], others[..., :2]), torch.minimum(some[..., 2:], others[..., 2:])
    common = (last - first).clamp(min=0).prod(dim=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1) for boxes in (some, others)]
    return common / (areas[0] + areas[1] - common).clamp(min=torch.finfo(some.dtype).tiny)


def covered(boxes: ArrayLike, windows: ArrayLike) -> NDArray[np.float64]:
    """(...,) the fraction of each box's area inside its window, 0 to 1; 0 for empty boxes."""
    whole, inside = area(boxes), area(clip(boxes, windows))
    return np.divide(inside, whole, out=np.zeros_like(inside), where=whole > 0)


def to_window(boxes: ArrayLike, windows: ArrayLike, mirrored: ArrayLike = 0) -> Corners:
    """(..., 4) the boxes in fractions of their windows, not clipped: below 0 and above 1 is outside.

    `mirrored` (...,) is 1 where the window is flipped horizontally. Shapes broadcast.
    """
    left, top, right, bottom = _edges(windows)
    x0, y0, x1, y1 = _edges(boxes)
    across = [(x - left) / (right - left) for x in (x0, x1)]
    down = [(y - top) / (bottom - top) for y in (y0, y1)]
    return _stacked(across, down, np.asarray(mirrored))


def from_window(boxes: ArrayLike, windows: ArrayLike, mirrored: ArrayLike = 0) -> Corners:
    """(..., 4) the inverse of `to_window`: from fractions of the windows to the windows' units."""
    left, top, right, bottom = _edges(windows)
    x0, y0, x1, y1 = _edges(mirror(boxes, mirrored))
    across = [left + x * (right - left) for x in (x0, x1)]
    down = [top + y * (bottom - top) for y in (y0, y1)]
    return _stacked(across, down, np.asarray(0))


def mirror(boxes: ArrayLike, mirrored: ArrayLike = 1) -> Corners:
    """(..., 4) boxes in fractions of an image, flipped horizontally where `mirrored` (...,) is 1."""
    x0, y0, x1, y1 = _edges(boxes)
    return _stacked([x0, x1], [y0, y1], np.asarray(mirrored))


def crop_windows(positions: ArrayLike, side: int, crop: int) -> Corners:
    """(..., 4) windows of crops at `positions` (..., 3), in fractions of a square of `side` pixels.

    Positions are (y, x, mirrored) in pixels, as in `data.crops`; mirroring does not affect the window.
    """
    y, x = np.moveaxis(np.asarray(positions, np.float64)[..., :2], -1, 0)
    return np.stack([x, y, x + crop, y + crop], axis=-1) / side


def central_window(height: int, width: int, side: int) -> Corners:
    """(4,) the central square of `side` pixels of an image, in fractions of the image's width and height.

    It extends beyond an image that is smaller, such as a padded one.
    """
    top, left = crop_offset(height, width, side)
    return np.array([left / width, top / height, (left + side) / width, (top + side) / height])


def assign_targets(
    boxes: Corners, labels: NDArray[np.integer], windows: Corners, background: int
) -> tuple[NDArray[np.int64], Corners]:
    """Target labels and boxes of windows (P, 4) in an image with boxes (B, 4) of `labels` (B,).

    (P,) the label of the object with the largest IoU among those that the window shows, `background`, or
    `IGNORED` if it is neither; and (P, 4) that object's box in fractions of the window, zeros without an
    object. Boxes and windows are in the same units.
    """
    target_boxes = np.zeros((len(windows), 4))
    if not len(boxes):
        return np.full(len(windows), background, np.int64), target_boxes
    here, there = boxes[None], windows[:, None]
    in_window, of_window = covered(here, there), covered(there, here)
    longer = (here[..., 2:] - here[..., :2]).max(axis=-1)
    large = longer >= _MIN_OBJECT_SIDE * (there[..., 2] - there[..., 0])
    showing = (in_window >= _MIN_OBJECT_COVERAGE) & large
    shown = showing.any(axis=1)
    best = np.where(showing, iou(windows, boxes), -1.0).argmax(axis=1)
    empty = (np.maximum(in_window, of_window) < _MAX_BACKGROUND_COVERAGE).all(axis=1)
    target_boxes[shown] = to_window(boxes[best], windows)[shown]
    others = np.where(empty, background, IGNORED)
    return np.where(shown, labels[best], others).astype(np.int64), target_boxes


@dataclass(frozen=True)
class Boxes:
    """The boxes of a batch, padded to the largest number of boxes of an image, at least one."""

    corners: Tensor
    """(N, M, 4) float32 x0, y0, x1, y1 in fractions of the batch's images, on the CPU; zeros for padding."""
    labels: Tensor
    """(N, M) int64, on the CPU; `NO_LABEL` (-1) for padding."""

    def largest(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 4) each image's largest box of its class in `labels` (N,), and (N,) whether it has one.

        Zeros if it has none; the first of equally large ones.
        """
        corners = self.corners
        sizes = (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])
        sizes = sizes.masked_fill(self.labels != labels.cpu()[:, None], -1.0)
        best = sizes.argmax(dim=1)
        found = sizes.gather(1, best[:, None])[:, 0] >= 0
        chosen = corners[torch.arange(len(corners)), best]
        return chosen * found[:, None], found


@dataclass(frozen=True)
class BoxTable:
    """The boxes of a split, sorted by image."""

    starts: NDArray[np.int64]
    """(N + 1,) the first box of each image; the last entry is the number of boxes."""
    labels: NDArray[np.int64]
    """(B,)"""
    corners: NDArray[np.float32]
    """(B, 4) x0, y0, x1, y1 in fractions of the image, or of the central square that a loader reads."""

    @classmethod
    def of(cls, split: Split) -> BoxTable:
        """All boxes of a split; in a store of whole photos, the parts inside their central squares.

        CommandError if no image has a box.
        """
        counts, labels, corners = split.all_boxes()
        images = np.repeat(np.arange(len(split)), counts)
        if split.manifest.shape == "whole":
            windows = np.array([_central(split, index) for index in range(len(split))]).reshape(-1, 4)
            corners = clip(to_window(corners, windows[images]))
            visible = area(corners) > 0
            images, labels, corners = images[visible], labels[visible], corners[visible]
        return cls._of_images(split, images, labels, corners)

    @classmethod
    def of_pictures(cls, split: Split) -> BoxTable:
        """All boxes of a split, in fractions of the stored images, whole ones too; errors as for `of`."""
        counts, labels, corners = split.all_boxes()
        return cls._of_images(split, np.repeat(np.arange(len(split)), counts), labels, corners)

    @classmethod
    def _of_images(
        cls, split: Split, images: NDArray[np.int64], labels: NDArray[np.int32], corners: NDArray[Any]
    ) -> BoxTable:
        if not len(labels):
            raise CommandError(
                f"split {split.name!r} of the store has no boxes: prepare a source that has them "
                "(see docs/data.md), or train a recipe that needs none"
            )
        starts = np.searchsorted(images, np.arange(len(split) + 1))
        return cls(starts, labels.astype(np.int64), corners.astype(np.float32))

    def images_with_boxes(self) -> NDArray[np.int64]:
        """Indices of the images that have one box or more, ascending."""
        return np.flatnonzero(np.diff(self.starts))

    def of_image(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(n,) labels and (n, 4) corners of one image's boxes."""
        rows = slice(self.starts[index], self.starts[index + 1])
        return self.labels[rows], self.corners[rows]

    def padded(self, indices: ArrayLike) -> Boxes:
        """The boxes of the images at these indices."""
        places = np.asarray(indices, np.int64)
        counts = self.starts[places + 1] - self.starts[places]
        steps = np.arange(max(1, int(counts.max(initial=0))))
        there = steps < counts[:, None]
        rows = np.where(there, self.starts[places][:, None] + steps, 0)
        corners = np.where(there[..., None], self.corners[rows], np.float32(0))
        return Boxes(
            torch.from_numpy(corners), torch.from_numpy(np.where(there, self.labels[rows], NO_LABEL))
        )


def _central(split: Split, index: int) -> Corners:
    """The window of a whole stored photo that a loader reads, in fractions of the photo."""
    width, height = split.size(index)
    side = split.manifest.side
    return central_window(*resized_size(height, width, side), side)


def _edges(boxes: ArrayLike) -> NDArray[np.float64]:
    """(4, ...) x0, y0, x1, y1."""
    return np.moveaxis(np.asarray(boxes, np.float64), -1, 0)


def _stacked(
    across: list[NDArray[np.float64]], down: list[NDArray[np.float64]], mirrored: NDArray[np.integer]
) -> Corners:
    x0, x1 = across
    swapped = mirrored == 1
    left, right = np.where(swapped, 1 - x1, x0), np.where(swapped, 1 - x0, x1)
    return np.stack(np.broadcast_arrays(left, down[0], right, down[1]), axis=-1)

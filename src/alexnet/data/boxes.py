"""Where a box lies in another view of its picture, and how much two boxes share.

Boxes are float arrays (..., 4) of x0, y0, x1, y1: edges, y downwards, so that x1 - x0 is the width. Units are
pixels or shares of a picture, the same for all of one call. A window is a box too: the part of a picture that
a crop, a stored square or a net's field of view shows.
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

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""A whole picture, in shares of it."""


def area(boxes: ArrayLike) -> NDArray[np.float64]:
    """(...,) in square units; 0 where a box is empty or reversed."""
    x0, y0, x1, y1 = _edges(boxes)
    return np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)


def clip(boxes: ArrayLike, window: ArrayLike = WHOLE) -> Corners:
    """(..., 4) the part of each box that lies in the window; of area 0 where none does."""
    left, top, right, bottom = _edges(window)
    x0, y0, x1, y1 = _edges(boxes)
    across = (np.clip(x, left, right) for x in (x0, x1))
    down = (np.clip(y, top, bottom) for y in (y0, y1))
    (x0, x1), (y0, y1) = across, down
    return np.stack(np.broadcast_arrays(x0, y0, x1, y1), axis=-1)


def ordered(boxes: ArrayLike) -> Corners:
    """(..., 4) the same corners with x0 <= x1 and y0 <= y1: a net may name them the other way round."""
    x0, y0, x1, y1 = _edges(boxes)
    return np.stack([np.minimum(x0, x1), np.minimum(y0, y1), np.maximum(x0, x1), np.maximum(y0, y1)], axis=-1)


def iou(some: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """(N, M) intersection over union of each of `some` (N, 4) with each of `others` (M, 4), 0 to 1.

    Of edges: of pixels with both ends included, the last ones count as one more, as ILSVRC and PASCAL VOC
    count. 0 where both are empty.
    """
    first, second = np.asarray(some, np.float64)[:, None], np.asarray(others, np.float64)[None]
    common = area(clip(first, second))
    union = area(first) + area(second) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def covered(boxes: ArrayLike, windows: ArrayLike) -> NDArray[np.float64]:
    """(...,) the share of each box's area that its window shows, 0 to 1; 0 for empty boxes."""
    whole, seen = area(boxes), area(clip(boxes, windows))
    return np.divide(seen, whole, out=np.zeros_like(seen), where=whole > 0)


def to_window(boxes: ArrayLike, windows: ArrayLike, mirrored: ArrayLike = 0) -> Corners:
    """(..., 4) the boxes in shares of their windows, not clipped: below 0 and above 1 is outside.

    `mirrored` (...,) is 1 where the view shows left and right swapped. Shapes broadcast.
    """
    left, top, right, bottom = _edges(windows)
    x0, y0, x1, y1 = _edges(boxes)
    across = [(x - left) / (right - left) for x in (x0, x1)]
    down = [(y - top) / (bottom - top) for y in (y0, y1)]
    return _stacked(across, down, np.asarray(mirrored))


def from_window(boxes: ArrayLike, windows: ArrayLike, mirrored: ArrayLike = 0) -> Corners:
    """(..., 4) in the windows' units, from boxes in shares of their windows: undoes `to_window`."""
    left, top, right, bottom = _edges(windows)
    x0, y0, x1, y1 = _edges(mirror(boxes, mirrored))
    across = [left + x * (right - left) for x in (x0, x1)]
    down = [top + y * (bottom - top) for y in (y0, y1)]
    return _stacked(across, down, np.asarray(0))


def mirror(boxes: ArrayLike, mirrored: ArrayLike = 1) -> Corners:
    """(..., 4) boxes in shares of a picture, left and right swapped where `mirrored` (...,) is 1."""
    x0, y0, x1, y1 = _edges(boxes)
    return _stacked([x0, x1], [y0, y1], np.asarray(mirrored))


def crop_windows(positions: ArrayLike, side: int, crop: int) -> Corners:
    """(..., 4) windows of crops at `positions` (..., 3) of (y, x, mirrored), in shares of a square of `side`.

    Positions are in pixels, as `data.views` and `data.augment` give them; mirroring is `positions[..., 2]`.
    """
    y, x = np.moveaxis(np.asarray(positions, np.float64)[..., :2], -1, 0)
    return np.stack([x, y, x + crop, y + crop], axis=-1) / side


def central_window(height: int, width: int, side: int) -> Corners:
    """(4,) the central square of `side` pixels of a picture, in shares of the picture's width and height.

    It goes beyond the picture where that is smaller, as a padded one is.
    """
    top, left = crop_offset(height, width, side)
    return np.array([left / width, top / height, (left + side) / width, (top + side) / height])


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


SEEN = 0.75
"""Least share of an object's box in a window that shows it."""
SMALLEST_OBJECT = 0.6
"""Least longer side of its box, in sides of the window; smaller ones are for larger scales."""
MOST_IN_BACKGROUND = 0.5
"""A window is background where it shows less than this of any box, and no box covers as much of it."""
NOT_ASKED = -1
"""The label of a window that is neither an object's nor background."""


def window_targets(
    boxes: Corners, labels: NDArray[np.integer], windows: Corners, background: int
) -> tuple[NDArray[np.int64], Corners]:
    """What each of the windows (P, 4) shows of an image with boxes (B, 4) of `labels` (B,), and where.

    (P,) the label of the object that it overlaps most of those it shows, or `background`, or `NOT_ASKED`
    where it is neither; and (P, 4) that object's box in shares of the window, zeros where there is none.
    Boxes and windows are in the same units.
    """
    places = np.zeros((len(windows), 4))
    if not len(boxes):
        return np.full(len(windows), background, np.int64), places
    here, there = boxes[None], windows[:, None]
    in_window, of_window = covered(here, there), covered(there, here)
    longer = (here[..., 2:] - here[..., :2]).max(axis=-1)
    showing = (in_window >= SEEN) & (longer >= SMALLEST_OBJECT * (there[..., 2] - there[..., 0]))
    shown = showing.any(axis=1)
    best = np.where(showing, iou(windows, boxes), -1.0).argmax(axis=1)
    empty = (np.maximum(in_window, of_window) < MOST_IN_BACKGROUND).all(axis=1)
    places[shown] = to_window(boxes[best], windows)[shown]
    others = np.where(empty, background, NOT_ASKED)
    return np.where(shown, labels[best], others).astype(np.int64), places


@dataclass(frozen=True)
class Boxes:
    """The boxes of a batch, of each image as many places as the one with most has; one at the least."""

    corners: Tensor
    """(N, M, 4) float32 x0, y0, x1, y1 in shares of the batch's square, on the CPU; zeros where no box is."""
    labels: Tensor
    """(N, M) int64, on the CPU; `NO_LABEL` (-1) where no box is."""

    def largest(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 4) each image's largest box of the class `labels` (N,) names, and (N,) whether it has one.

        Zeros where it has none; the first of equals.
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
    """The boxes of a split, those of an image after those of the image before."""

    starts: NDArray[np.int64]
    """(N + 1,) where each image's boxes begin; the last is the number of boxes."""
    labels: NDArray[np.int64]
    """(B,)"""
    corners: NDArray[np.float32]
    """(B, 4) x0, y0, x1, y1 in shares of the square that a loader gives of the image, or of the picture."""

    @classmethod
    def of(cls, split: Split) -> BoxTable:
        """All boxes of a split. Of whole pictures what lies in their central square, moved and clipped.

        CommandError where no image has a box.
        """
        counts, labels, corners = split.all_boxes()
        images = np.repeat(np.arange(len(split)), counts)
        if split.manifest.shape == "whole":
            windows = np.array([_central(split, index) for index in range(len(split))]).reshape(-1, 4)
            corners = clip(to_window(corners, windows[images]))
            seen = area(corners) > 0
            images, labels, corners = images[seen], labels[seen], corners[seen]
        return cls._of_images(split, images, labels, corners)

    @classmethod
    def of_pictures(cls, split: Split) -> BoxTable:
        """All boxes of a split, in shares of the stored pictures, whole ones too; errors as `of`."""
        counts, labels, corners = split.all_boxes()
        return cls._of_images(split, np.repeat(np.arange(len(split)), counts), labels, corners)

    @classmethod
    def _of_images(
        cls, split: Split, images: NDArray[np.int64], labels: NDArray[np.int32], corners: NDArray[Any]
    ) -> BoxTable:
        if not len(labels):
            raise CommandError(
                f"split {split.name!r} of the store has no boxes: prepare a source that has them "
                "(docs/data.md says which), or train a recipe that needs none"
            )
        starts = np.searchsorted(images, np.arange(len(split) + 1))
        return cls(starts, labels.astype(np.int64), corners.astype(np.float32))

    def images_with_boxes(self) -> NDArray[np.int64]:
        """Places of the images that have one box or more, in order."""
        return np.flatnonzero(np.diff(self.starts))

    def of_image(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(n,) labels and (n, 4) corners of one image's boxes."""
        rows = slice(self.starts[index], self.starts[index + 1])
        return self.labels[rows], self.corners[rows]

    def padded(self, indices: ArrayLike) -> Boxes:
        """The boxes of the images at these places."""
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
    """The window that a loader gives of a whole stored picture, in shares of it."""
    width, height = split.size(index)
    side = split.manifest.side
    return central_window(*resized_size(height, width, side), side)

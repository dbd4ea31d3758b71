"""The boxes of many images: all of a split in arrays, and those of a batch, padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from alexnet.data import box_geometry
from alexnet.data.classes import NO_LABEL
from alexnet.data.resize import resized_size
from alexnet.data.store import Split
from alexnet.errors import CommandError


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
        if split.header.shape == "whole":
            windows = np.array([_central(split, index) for index in range(len(split))]).reshape(-1, 4)
            corners = box_geometry.clip(box_geometry.to_window(corners, windows[images]))
            seen = box_geometry.area(corners) > 0
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


def _central(split: Split, index: int) -> box_geometry.Corners:
    """The window that a loader gives of a whole stored picture, in shares of it."""
    width, height = split.size(index)
    side = split.header.side
    return box_geometry.central_window(*resized_size(height, width, side), side)

"""Counter-based randomness: order = f(seed, epoch), augmentation = f(seed, epoch, image, name).

Where an image may come several times in an epoch (`data.sampling=balanced`), its position in the epoch takes
the place of the image.

There is no generator with a state: each number is a hash of its coordinates. So it does not depend on the
process, batch or thread that computes it, nor on what was computed before, and a resumed run gets the same
numbers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class ImageRandomness:
    """Random numbers for the images of a batch, one row each.

    `indices` (N,) are those of the images in the split. `positions` (N,) are their positions in the epoch's
    order (by default the indices); only `shared` needs them. The `name` of a draw keeps draws for different
    purposes independent.
    """

    seed: int
    epoch: int
    indices: ArrayLike
    positions: ArrayLike | None = None

    def uniform(self, name: str, count: int = 1) -> NDArray[np.float64]:
        """(N, count) numbers, uniform in [0, 1)."""
        return (self._bits(name, count) >> np.uint64(11)) * np.float64(2.0**-53)

    def normal(self, name: str, count: int = 1) -> NDArray[np.float64]:
        """(N, count) numbers, normal with mean 0 and standard deviation 1 (Box-Muller)."""
        radius, angle = self.uniform(name, 2 * count).reshape(-1, count, 2).transpose(2, 0, 1)
        return np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)

    def integers(self, name: str, high: int) -> NDArray[np.int64]:
        """(N,) integers, uniform in 0 .. high - 1."""
        return (self.uniform(name)[:, 0] * high).astype(np.int64)

    def shared(self, images_per_draw: int) -> ImageRandomness:
        """The same, but `images_per_draw` consecutive images of the order get the same numbers."""
        if images_per_draw == 1:
            return self
        positions = np.asarray(self.indices if self.positions is None else self.positions)
        return ImageRandomness(self.seed, self.epoch, positions // images_per_draw, positions)

    def _bits(self, name: str, count: int) -> NDArray[np.uint64]:
        """(N, count) hashes; each row is a SplitMix64 sequence that starts from a hash of the coordinates."""
        indices = np.asarray(self.indices).astype(np.uint64)
        starts = _mix(_mix(_key("image", name, self.seed, self.epoch) + _GOLDEN * (indices + np.uint64(1))))
        return _mix(starts[:, None] + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))


def epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """(length,) the indices 0 .. length - 1 in this epoch's order."""
    return _shuffled(_key("order", "", seed, epoch), length)


def balanced_epoch_order(seed: int, epoch: int, labels: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """(N,) indices of images with these `labels` (N,) in this epoch's order: each class equally often.

    The classes take turns in one sequence over all epochs, and so do the images of each class, which are
    shuffled again each time that all of them have come. Classes without images are left out.
    """
    classes, counts = np.unique(labels, return_counts=True)
    by_class = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    turns = epoch * len(labels) + np.arange(len(labels))
    chosen = np.empty(len(labels), np.int64)
    for number, (label, images) in enumerate(zip(classes.tolist(), by_class, strict=True)):
        mine = slice((number - epoch * len(labels)) % len(classes), None, len(classes))
        rounds, places = np.divmod(turns[mine] // len(classes), len(images))
        if len(rounds):
            shuffled = np.concatenate(
                [
                    images[_shuffled(_key("class", str(label), seed, each), len(images))]
                    for each in range(rounds[0], rounds[-1] + 1)
                ]
            )
            chosen[mine] = shuffled[(rounds - rounds[0]) * len(images) + places]
    return chosen[epoch_order(seed, epoch, len(labels))]


def _shuffled(key: np.uint64, length: int) -> NDArray[np.int64]:
    counter = np.arange(1, length + 1, dtype=np.uint64)
    return np.argsort(_mix(key + _GOLDEN * counter), kind="stable")


def _key(purpose: str, name: str, seed: int, epoch: int) -> np.uint64:
    digest = hashlib.blake2b(f"{purpose}/{name}/{seed}/{epoch}".encode(), digest_size=8).digest()
    return np.frombuffer(digest, "<u8").astype(np.uint64)[0]


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijective hash of 64-bit numbers (the finalizer of SplitMix64, Steele 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

"""Local descriptors by name: from a channel of the configuration to what describes photos.

A new one is a file of its own, a line of `DESCRIPTORS` and its name in `classic_config.Channel`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from alexnet.classic.color_statistics import ColorStatistics
from alexnet.classic.dense_sift import DenseSift
from alexnet.classic.hog import Hog
from alexnet.classic.local_binary_patterns import LocalBinaryPatterns
from alexnet.classic_config import Channel


class Descriptor(Protocol):
    """Describes the patches of photos on a grid; pure, batch in, batch out, on the photos' device.

    Hashable, and alike where its settings are.
    """

    @property
    def dimension(self) -> int:
        """Numbers in a descriptor, D."""
        ...

    def centres(self, side: int) -> Tensor:
        """(P, 2) centres (x, y) in [0, 1] of the patches of a `side` x `side` photo; P may be 0."""
        ...

    def describe(self, images: Tensor) -> Tensor:
        """Photos (N, 3, S, S) on the scale 0..255, shifted at will -> descriptors (N, P, D), all finite."""
        ...


DESCRIPTORS: dict[str, Callable[[Channel], Descriptor]] = {
    "sift": lambda channel: DenseSift(channel.step, channel.patches),
    "root-sift": lambda channel: DenseSift(channel.step, channel.patches, root=True),
    "color": lambda channel: ColorStatistics(channel.step, channel.patches),
    "hog": lambda channel: Hog(channel.step, channel.patches),
    "lbp": lambda channel: LocalBinaryPatterns(channel.step, channel.patches),
}

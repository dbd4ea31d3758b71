"""Encoders by name: what makes one vector of a photo's local descriptors.

A new one is a file of its own and a line of `ENCODERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from alexnet.classic_config import Channel
from alexnet.errors import CommandError


class Encoder(nn.Module, ABC):
    """Learned from a sample of descriptors; what it learns are buffers, whose shapes are known before."""

    size: int
    """Numbers of one cell's code, E."""
    whitened: bool = False
    """Whether reduced descriptors come with a variance of one in each direction, or with their own."""

    @abstractmethod
    def learn(self, sample: Tensor, seed: int) -> None:
        """Fills the buffers from descriptors (M, D); ValueError where they are fewer than the words."""

    @abstractmethod
    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """Descriptors (N, P, D) and which of them lie in which cell (C, P; bool) -> codes (N, C * E), finite.

        Photos are coded each for itself. A cell without descriptors has zeros.
        """

    @abstractmethod
    def multiply_adds(self, descriptors: int) -> int:
        """Multiplications with a learned number for a photo of so many descriptors."""


def _fisher(channel: Channel, dimension: int) -> Encoder:
    from alexnet.classic.fisher_vector import FisherEncoder

    return FisherEncoder(channel.words, dimension)


def _llc(channel: Channel, dimension: int) -> Encoder:
    from alexnet.classic.sparse_encoder import LlcEncoder

    return LlcEncoder(channel.words, dimension)


def _super_vector(channel: Channel, dimension: int) -> Encoder:
    from alexnet.classic.super_vector_encoder import SuperVectorEncoder

    return SuperVectorEncoder(channel.words, dimension)


def _lasso(channel: Channel, dimension: int) -> Encoder:
    from alexnet.classic.sparse_encoder import LassoEncoder

    return LassoEncoder(channel.words, dimension)


def _pursuit(channel: Channel, dimension: int) -> Encoder:
    from alexnet.classic.sparse_encoder import PursuitEncoder

    return PursuitEncoder(channel.words, dimension)


ENCODERS: dict[str, Callable[[Channel, int], Encoder]] = {
    "fisher": _fisher,
    "llc": _llc,
    "super-vector": _super_vector,
    "l1": _lasso,
    "omp": _pursuit,
}
"""Each from a channel and the dimension of its descriptors."""


def make_encoder(channel: Channel, dimension: int) -> Encoder:
    """The channel's encoder for descriptors of `dimension` numbers; CommandError where there is none."""
    if channel.encoding not in ENCODERS:
        raise CommandError(f"no encoding {channel.encoding!r}; it must be one of {', '.join(ENCODERS)}")
    return ENCODERS[channel.encoding](channel, dimension)

"""What every encoder is: it makes one vector of a photo's local descriptors."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Learned from a sample of descriptors; what it learns are buffers, whose shapes are known before.

    Made from the number of its words, K, and of the numbers in a descriptor, D.
    """

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

        Photos are coded each for itself, but for rounding and an encoder's own tolerance. A cell without
        descriptors has zeros.
        """

    @abstractmethod
    def multiply_adds(self, descriptors: int) -> int:
        """Multiplications with a learned number for a photo of so many descriptors."""

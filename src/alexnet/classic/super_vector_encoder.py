"""The encoder of super-vector coding."""

from __future__ import annotations

import torch
from torch import Tensor

from alexnet.classic.encoder import Encoder
from alexnet.classic.k_means import KMeans
from alexnet.classic.super_vector import super_vectors
from alexnet.classic.words import unit


class SuperVectorEncoder(Encoder):
    """Super-vectors about `words` means of `dimension` numbers; E = K * (D + 1).

    Descriptors are brought to length one before they are coded.
    """

    words: Tensor

    def __init__(self, words: int, dimension: int):
        super().__init__()
        self.size = words * (dimension + 1)
        self.register_buffer("words", torch.zeros(words, dimension))

    def learn(self, sample: Tensor, seed: int) -> None:
        """k-means of descriptors (M, D); ValueError where they are fewer than the words."""
        self.words.copy_(KMeans(len(self.words), random_state=seed).fit(unit(sample)).cluster_centers_)

    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """(N, P, D), (C, P; bool) -> (N, C * E)."""
        return super_vectors(unit(descriptors), cells, self.words).flatten(1)

    def multiply_adds(self, descriptors: int) -> int:
        """Of the distances to all words."""
        return descriptors * self.words.numel()

"""Encoders that pool sparse codes by their largest values: LLC, the lasso and matching pursuit."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from alexnet.classic.dictionary import OnlineDictionary
from alexnet.classic.encoder import Encoder
from alexnet.classic.k_means import KMeans
from alexnet.classic.llc import locality_constrained_codes
from alexnet.classic.max_pooling import max_pool
from alexnet.classic.sparse_code import SparseCodes, lasso, matching_pursuit
from alexnet.classic.words import unit

PENALTY = 0.15
"""Of the lasso on descriptors of length one, beside half the squared error: gamma in programs that follow
Yang, Yu, Gong, Huang, CVPR 2009; the authors' own was not seen."""
NONZEROS = 5
"""Atoms of a matching pursuit."""
TOLERANCE = 1e-2
"""Duality gap of the codes that are pooled: their largest values change by less than a hundredth."""


class SparseEncoder(Encoder):
    """Words (K, D), a code of each descriptor by them, and the largest values of each cell; E = K.

    Descriptors are brought to length one before they are coded.
    """

    words: Tensor

    def __init__(self, words: int, dimension: int):
        super().__init__()
        self.size = words
        self.register_buffer("words", torch.zeros(words, dimension))

    @abstractmethod
    def codes(self, descriptors: Tensor) -> SparseCodes:
        """Of descriptors (M, D) of length one; the largest values of a word are pooled."""

    def learn(self, sample: Tensor, seed: int) -> None:
        """An online dictionary of descriptors (M, D); ValueError where they are fewer than its atoms."""
        dictionary = OnlineDictionary(len(self.words), alpha=PENALTY, tol=TOLERANCE, random_state=seed)
        self.words.copy_(dictionary.fit(unit(sample)).components_)

    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """(N, P, D), (C, P; bool) -> (N, C * K)."""
        codes = self.codes(unit(descriptors.flatten(0, 1)))
        return max_pool(codes, cells, self.size, len(descriptors)).flatten(1)

    def multiply_adds(self, descriptors: int) -> int:
        """Of one product of each descriptor with each word; those of the code's search are not counted."""
        return descriptors * self.words.numel()


class LassoEncoder(SparseEncoder):
    """Codes of least |descriptor - code x words|^2 / 2 + PENALTY x |code|_1, to TOLERANCE.

    Photos that are coded together change a photo's vector by about a hundredth of its length.
    """

    def codes(self, descriptors: Tensor) -> SparseCodes:
        """Of descriptors (M, D) of length one, without signs."""
        return without_signs(lasso(descriptors, self.words, PENALTY, TOLERANCE))


class PursuitEncoder(SparseEncoder):
    """Codes on NONZEROS words each, by orthogonal matching pursuit."""

    def codes(self, descriptors: Tensor) -> SparseCodes:
        """Of descriptors (M, D) of length one, without signs."""
        return without_signs(matching_pursuit(descriptors, self.words, NONZEROS))


class LlcEncoder(SparseEncoder):
    """Codes on the nearest words, which are means of groups of descriptors."""

    def learn(self, sample: Tensor, seed: int) -> None:
        """k-means of descriptors (M, D); ValueError where they are fewer than the words."""
        self.words.copy_(KMeans(len(self.words), random_state=seed).fit(unit(sample)).cluster_centers_)

    def codes(self, descriptors: Tensor) -> SparseCodes:
        """Of descriptors (M, D) of length one."""
        return locality_constrained_codes(descriptors, self.words)


def without_signs(codes: SparseCodes) -> SparseCodes:
    """Absolute values, as Yang et al. 2009 pool."""
    return SparseCodes(codes.atoms, codes.values.abs())

"""Encoders: a photo's local descriptors become one vector, with a code for each cell of the pyramid.

Fisher vectors, super-vectors, locality-constrained linear codes (LLC) and lasso codes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from alexnet.classic.codebooks import (
    DiagonalMixture,
    KMeans,
    OnlineDictionary,
    OnRound,
    ignore_round,
    linear_form,
    nearest,
    unit,
)
from alexnet.classic.sparse_coding import CODES_AT_ONCE, SparseCodes, lasso


class Encoder(nn.Module, ABC):
    """Makes one vector from a photo's descriptors, with a codebook that is learned from a sample and kept in
    buffers.

    It is constructed from the codebook size K and the descriptor length D.
    """

    size: int
    """Length of the code of one cell, E."""
    whitened: bool = False
    """Whether the PCA before it whitens the descriptors."""

    @abstractmethod
    def learn(self, sample: Tensor, seed: int, on_round: OnRound = ignore_round) -> None:
        """Learns the codebook from descriptors (M, D); ValueError if there are fewer than K."""

    @abstractmethod
    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """Descriptors (N, P, D) and which of them lie in which cell (C, P; bool) -> codes (N, C * E), finite.

        A photo's code does not depend on the other photos, up to rounding and an encoder's own tolerance. A
        cell without descriptors gives zeros.
        """

    @abstractmethod
    def multiply_adds(self, descriptors: int) -> int:
        """Multiply-adds with learned numbers for a photo with this number of descriptors."""


LEAST_VARIANCE = 1e-2
"""Added to the variances of whitened descriptors, so that no component shrinks to a point."""
SMALLEST_WEIGHT = 1e-9
"""Smaller mixture weights are replaced by this, to avoid divisions by zero."""


class FisherEncoder(Encoder):
    """Improved Fisher vectors of a mixture of `components` diagonal Gaussians; E = K * (2 * D + 1).

    Gradients with respect to weights, means and standard deviations; for each cell, signed square roots are
    taken and the vector is normalized to length one.
    Source: Perronnin, Sanchez, Mensink, ECCV 2010; Sanchez and Perronnin, CVPR 2011.
    """

    whitened = True
    weights: Tensor
    means: Tensor
    variances: Tensor

    def __init__(self, components: int, dimension: int):
        super().__init__()
        self.size = components * (2 * dimension + 1)
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, dimension))
        self.register_buffer("variances", torch.ones(components, dimension))

    def learn(self, sample: Tensor, seed: int, on_round: OnRound = ignore_round) -> None:
        """Fits the mixture to descriptors (M, D); ValueError if they are fewer than the components."""
        spread = float(sample.var(0).mean()) if len(sample) > 1 else 1.0
        reg_covar = LEAST_VARIANCE * max(spread, 1e-12)
        mixture = DiagonalMixture(len(self.weights), reg_covar=reg_covar, random_state=seed)
        self.hold(mixture.fit(sample, on_round=on_round))

    def hold(self, mixture: DiagonalMixture) -> None:
        """Copies the parameters of a fitted mixture."""
        for mine, given in (
            (self.weights, mixture.weights_),
            (self.means, mixture.means_),
            (self.variances, mixture.covariances_),
        ):
            mine.copy_(given)

    def multiply_adds(self, descriptors: int) -> int:
        """Multiply-adds of the posteriors: a mean and a precision for each dimension of each component."""
        return descriptors * 2 * self.means.numel()

    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """(N, P, D), (C, P; bool) -> (N, C * E)."""
        if 0 in descriptors.shape[:2]:
            return descriptors.new_zeros(len(descriptors), len(cells) * self.size)
        number = parts(cells)
        ends = torch.bincount(number).cumsum(0).tolist()
        bounds = list(zip([0, *ends[:-1]], ends, strict=True))
        order = number.argsort(stable=True)
        member = cells[:, order[[end - 1 for end in ends]]].to(descriptors.dtype)
        linear, constants = self._linear_form()
        rows = [self._photo(photo[order], bounds, member, linear, constants) for photo in descriptors]
        return torch.stack(rows).flatten(1)

    def _photo(
        self,
        descriptors: Tensor,
        bounds: list[tuple[int, int]],
        member: Tensor,
        linear: Tensor,
        constants: Tensor,
    ) -> Tensor:
        """(C, E) code of one photo's descriptors (P, D), sorted by part; `member` (C, parts) holds the parts
        of each cell.
        """
        sums = [descriptors.new_zeros(0, len(self.weights), 2 * descriptors.shape[1] + 1)]
        for start, end in bounds:
            part = descriptors[start:end]
            powers = torch.cat([part, part * part, torch.ones_like(part[:, :1])], 1)
            posteriors = torch.softmax(torch.addmm(constants, powers[:, :-1], linear), 1)
            sums.append((posteriors.T @ powers)[None])
        return improved(self.gradients(torch.tensordot(member, torch.cat(sums), 1)))

    def gradients(self, sums: Tensor) -> Tensor:
        """(C, K, 2 * D + 1) sums over a cell of posterior times [x, x^2, 1] -> (C, E) Fisher vectors.

        First K for the weights, then K * D for the means, then K * D for the standard deviations. Zeros where
        a cell has no descriptors.
        """
        size = self.means.shape[1]
        first, second, counts = sums[..., :size], sums[..., size:-1], sums[..., -1:]
        total = counts.sum(1, keepdim=True)
        first, second, counts = (each / total.clamp_min(1) for each in (first, second, counts))
        weights = self.weights.clamp_min(SMALLEST_WEIGHT)[:, None]
        on_weights = (counts - weights * (total > 0)) / weights.sqrt()
        on_means = (first - self.means * counts) / (weights * self.variances).sqrt()
        around = second - 2 * self.means * first + (self.means.square() - self.variances) * counts
        on_deviations = around / ((2 * weights).sqrt() * self.variances)
        return torch.cat([each.flatten(1) for each in (on_weights, on_means, on_deviations)], 1)

    def _linear_form(self) -> tuple[Tensor, Tensor]:
        linear, constants = linear_form(self.weights, self.means, self.variances)
        return linear.to(self.means.dtype), constants.to(self.means.dtype)


def parts(cells: Tensor) -> Tensor:
    """(P,) the part of each descriptor, from 0: descriptors in the same cells (C, P; bool) form a part."""
    number = torch.zeros(cells.shape[1], dtype=torch.int64, device=cells.device)
    for cell in cells:
        number = torch.unique(2 * number + cell, return_inverse=True)[1]
    return number


def improved(vectors: Tensor) -> Tensor:
    """Signed square roots of rows, normalized to length one (Perronnin et al. 2010); zeros are unchanged."""
    roots = vectors.abs().sqrt_().copysign_(vectors)
    return roots / roots.norm(dim=1, keepdim=True).clamp_min(1e-12)


WORD_CONSTANT = 0.1
"""The constant that is added for a word in addition to the offset; s in the paper, which gives no value."""


def super_vectors(
    descriptors: Tensor, cells: Tensor, words: Tensor, constant: float = WORD_CONSTANT
) -> Tensor:
    """(N, P, D), `cells` (C, P; bool), `words` (K, D) -> (N, C, K x (D + 1)).

    For each word: the sum of (`constant`, descriptor - word) over those of the cell's n descriptors that are
    nearest to it, divided by n and by the square root of their fraction of n. Words that are nearest to no
    descriptor, and cells without descriptors, have zeros.
    Source: Zhou, Yu, Zhang, Huang, ECCV 2010.
    """
    photos, places, size = descriptors.shape
    assigned = nearest(descriptors.reshape(-1, size), words, 1)[:, 0]
    offsets = descriptors.reshape(-1, size) - words.index_select(0, assigned)
    codes = torch.cat([offsets.new_ones(len(offsets), 1), offsets], 1).view(photos, places, size + 1)
    slots = assigned.view(photos, places) + len(words) * torch.arange(photos, device=words.device)[:, None]
    pooled = descriptors.new_zeros(photos, len(cells), len(words), size + 1)
    for number, cell in enumerate(cells):
        here = cell.nonzero()[:, 0]
        sums = codes.new_zeros(photos * len(words), size + 1)
        sums.index_add_(0, slots[:, here].flatten(), codes[:, here].flatten(0, 1))
        counts = sums[:, :1].clone()
        sums[:, 0] *= constant
        weights = (counts * max(1, len(here))).clamp_min(1).rsqrt()
        pooled[:, number] = (sums * weights).view(photos, len(words), size + 1)
    return pooled.flatten(2)


class SuperVectorEncoder(Encoder):
    """Super-vectors over a codebook of k-means centers; E = K * (D + 1).

    Descriptors are scaled to length one before they are encoded.
    """

    words: Tensor

    def __init__(self, codebook_size: int, dimension: int):
        super().__init__()
        self.size = codebook_size * (dimension + 1)
        self.register_buffer("words", torch.zeros(codebook_size, dimension))

    def learn(self, sample: Tensor, seed: int, on_round: OnRound = ignore_round) -> None:
        """Runs k-means on descriptors (M, D); ValueError if there are fewer than K."""
        means = KMeans(len(self.words), random_state=seed).fit(unit(sample), on_round=on_round)
        self.words.copy_(means.cluster_centers_)

    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """(N, P, D), (C, P; bool) -> (N, C * E)."""
        return super_vectors(unit(descriptors), cells, self.words).flatten(1)

    def multiply_adds(self, descriptors: int) -> int:
        """Multiply-adds of the distances to all words."""
        return descriptors * self.words.numel()


class SparseEncoder(Encoder):
    """A sparse code of each descriptor over K words; for each word, the largest value in a cell is kept. E =
    K.

    Descriptors are scaled to length one before they are encoded.
    """

    words: Tensor

    def __init__(self, codebook_size: int, dimension: int):
        super().__init__()
        self.size = codebook_size
        self.register_buffer("words", torch.zeros(codebook_size, dimension))

    @abstractmethod
    def codes(self, descriptors: Tensor) -> SparseCodes:
        """Codes of descriptors (M, D) of length one."""

    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """(N, P, D), (C, P; bool) -> (N, C * K)."""
        codes = self.codes(unit(descriptors.flatten(0, 1)))
        return max_pool(codes, cells, self.size, len(descriptors)).flatten(1)

    def multiply_adds(self, descriptors: int) -> int:
        """Multiply-adds of one product of each descriptor with each word; the search for the code is not
        counted.
        """
        return descriptors * self.words.numel()


CODE_NEIGHBORS = 5
"""Words that code a descriptor: the usual value of programs; the authors' own is not known."""
REGULARIZATION = 1e-4
"""Fraction of the covariance's trace that is added to its diagonal (`beta` in such programs)."""


def locality_constrained_codes(
    descriptors: Tensor, words: Tensor, neighbors: int = CODE_NEIGHBORS
) -> SparseCodes:
    """(M, D) and `words` (K, D) -> codes on the `neighbors` nearest words, which sum to 1.

    Each minimizes |descriptor - code x words|^2, lightly regularized. All words are used if there are fewer
    than `neighbors`. Source: Wang et al., CVPR 2010.
    """
    neighbors = min(neighbors, len(words))
    parts = [_coded(chunk, words, neighbors) for chunk in descriptors.split(CODES_AT_ONCE)]
    return SparseCodes(torch.cat([p.atoms for p in parts]), torch.cat([p.values for p in parts]))


def _coded(descriptors: Tensor, words: Tensor, neighbors: int) -> SparseCodes:
    near = nearest(descriptors, words, neighbors)
    offsets = words.index_select(0, near.flatten()).unflatten(0, near.shape) - descriptors[:, None]
    covariance = offsets @ offsets.transpose(1, 2)
    trace = covariance.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    # Where all the nearest words equal the descriptor, the weights are equal.
    ridge = torch.where(trace > 0, REGULARIZATION * trace, 1)
    covariance.diagonal(dim1=1, dim2=2).add_(ridge)
    weights = torch.linalg.solve_ex(covariance, torch.ones_like(offsets[:, :, :1]))[0][:, :, 0]
    return SparseCodes(near, weights / weights.sum(1, keepdim=True))


class LlcEncoder(SparseEncoder):
    """Locality-constrained linear codes over a codebook of k-means centers."""

    def learn(self, sample: Tensor, seed: int, on_round: OnRound = ignore_round) -> None:
        """Runs k-means on descriptors (M, D); ValueError if there are fewer than K."""
        means = KMeans(len(self.words), random_state=seed).fit(unit(sample), on_round=on_round)
        self.words.copy_(means.cluster_centers_)

    def codes(self, descriptors: Tensor) -> SparseCodes:
        """Codes of descriptors (M, D) of length one."""
        return locality_constrained_codes(descriptors, self.words)


PENALTY = 0.15
"""Penalty of the lasso on descriptors of length one: `gamma` in programs that follow Yang, Yu, Gong, Huang,
CVPR 2009; the authors' own value is not known."""
LASSO_TOLERANCE = 1e-2
"""Duality gap at which codes are finished: the largest values, which are pooled, then change by less than a
hundredth."""


class LassoEncoder(SparseEncoder):
    """Lasso codes over a dictionary: they minimize |descriptor - code x words|^2 / 2 + PENALTY x |code|_1.

    They are exact up to TOLERANCE: encoding other photos in the same batch changes a vector by about a
    hundredth of its length.
    """

    def learn(self, sample: Tensor, seed: int, on_round: OnRound = ignore_round) -> None:
        """Learns an online dictionary from descriptors (M, D); ValueError if there are fewer than K."""
        dictionary = OnlineDictionary(len(self.words), alpha=PENALTY, tol=LASSO_TOLERANCE, random_state=seed)
        self.words.copy_(dictionary.fit(unit(sample), on_round=on_round).components_)

    def codes(self, descriptors: Tensor) -> SparseCodes:
        """Absolute values of the codes, as Yang et al. 2009 pool them."""
        codes = lasso(descriptors, self.words, PENALTY, LASSO_TOLERANCE)
        return SparseCodes(codes.atoms, codes.values.abs())


def max_pool(codes: SparseCodes, cells: Tensor, words: int, photos: int) -> Tensor:
    """The largest value of each word in each cell: (N, C, words), at least 0.

    `codes` has a row for each of P descriptors of each of N `photos`, `cells` is (C, P; bool). Words that no
    descriptor of a cell uses, or only with negative values, have 0.
    """
    places, width = cells.shape[1], codes.values.shape[1]
    atoms, values = (each.view(photos, places, width) for each in (codes.atoms, codes.values))
    pooled = values.new_zeros(photos, len(cells), words)
    for number, cell in enumerate(cells):
        here = cell.nonzero()[:, 0]
        pooled[:, number].scatter_reduce_(1, atoms[:, here].flatten(1), values[:, here].flatten(1), "amax")
    return pooled


ENCODERS: dict[str, Callable[[int, int], Encoder]] = {
    "fisher": FisherEncoder,
    "llc": LlcEncoder,
    "super-vector": SuperVectorEncoder,
    "l1": LassoEncoder,
}
"""The encodings of a channel: each is constructed from the codebook size and the length of a descriptor."""

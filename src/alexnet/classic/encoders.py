"""What every encoder is: it makes one vector of a photo's local descriptors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor, nn

from alexnet.classic.arrays import as_matrix, in_kind
from alexnet.classic.codebooks import DiagonalMixture, KMeans, OnlineDictionary, linear_form, nearest, unit
from alexnet.classic.sparse_coding import CHUNK, SparseCodes, lasso, matching_pursuit


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


def max_pool(codes: SparseCodes, cells: Tensor, words: int, photos: int) -> Tensor:
    """Codes of N `photos` with P descriptors each, `cells` (C, P; bool) -> (N, C, words), at least 0.

    `codes` has N x P rows, photo by photo. What no descriptor of a cell uses, or only with negative values,
    is 0; so is a cell without descriptors.
    """
    places, width = cells.shape[1], codes.values.shape[1]
    atoms, values = (each.view(photos, places, width) for each in (codes.atoms, codes.values))
    pooled = values.new_zeros(photos, len(cells), words)
    for number, cell in enumerate(cells):
        here = cell.nonzero()[:, 0]
        pooled[:, number].scatter_reduce_(1, atoms[:, here].flatten(1), values[:, here].flatten(1), "amax")
    return pooled


LEAST_VARIANCE = 1e-2
"""Added to variances of descriptors whose own variance is one: components do not shrink to a point."""
SMALLEST_WEIGHT = 1e-9
"""Components of less have no gradient worth the name: their weight counts as this."""


class FisherEncoder(Encoder):
    """Fisher vectors over a mixture of `components` Gaussians of `dimension` numbers; E = K * (2 * D + 1)."""

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

    def learn(self, sample: Tensor, seed: int) -> None:
        """Fits the mixture to descriptors (M, D); ValueError where they are fewer than its components."""
        spread = float(sample.var(0).mean()) if len(sample) > 1 else 1.0
        reg_covar = LEAST_VARIANCE * max(spread, 1e-12)
        mixture = DiagonalMixture(len(self.weights), reg_covar=reg_covar, random_state=seed).fit(sample)
        self.hold(mixture)

    def hold(self, mixture: DiagonalMixture) -> None:
        """Takes over a fitted mixture."""
        for mine, given in (
            (self.weights, mixture.weights_),
            (self.means, mixture.means_),
            (self.variances, mixture.covariances_),
        ):
            mine.copy_(given)

    def multiply_adds(self, descriptors: int) -> int:
        """Of the posteriors: a mean and a precision for each number of each component."""
        return descriptors * 2 * self.means.numel()

    def forward(self, descriptors: Tensor, cells: Tensor) -> Tensor:
        """(N, P, D), (C, P; bool) -> (N, C * E): of each cell the square roots, at length one, or zeros."""
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
        """(C, E) of one photo's descriptors (P, D), sorted into parts that make up the cells (C, parts)."""
        sums = [descriptors.new_zeros(0, len(self.weights), 2 * descriptors.shape[1] + 1)]
        for start, end in bounds:
            part = descriptors[start:end]
            powers = torch.cat([part, part * part, torch.ones_like(part[:, :1])], 1)
            posteriors = torch.softmax(torch.addmm(constants, powers[:, :-1], linear), 1)
            sums.append((posteriors.T @ powers)[None])
        return improved(self.gradients(torch.tensordot(member, torch.cat(sums), 1)))

    def gradients(self, sums: Tensor) -> Tensor:
        """(C, K, 2 * D + 1) sums over a cell of posterior times [x, x^2, 1] -> (C, E) Fisher vectors.

        First the K on the weights, then K * D on the means, then K * D on the deviations. Zeros where a cell
        has no descriptors.
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
    """(P,) numbers, from 0 without gaps: alike for descriptors that lie in the same cells (C, P; bool)."""
    number = torch.zeros(cells.shape[1], dtype=torch.int64, device=cells.device)
    for cell in cells:
        number = torch.unique(2 * number + cell, return_inverse=True)[1]
    return number


def improved(vectors: Tensor) -> Tensor:
    """Rows: square roots with their signs, then length one (Perronnin et al. 2010); zeros stay."""
    roots = vectors.abs().sqrt_().copysign_(vectors)
    return roots / roots.norm(dim=1, keepdim=True).clamp_min(1e-12)


class FisherVector(TransformerMixin, BaseEstimator):
    """By scikit-learn's contract: fitted on descriptors (M, D), transforms photos' descriptors.

    Learned: `mixture_`, a `DiagonalMixture`.
    """

    def __init__(self, n_components: int = 256, *, reg_covar: float = 1e-6, random_state: int = 0):
        self.n_components = n_components
        self.reg_covar = reg_covar
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """The mixture, from descriptors (M, D); ValueError where they are fewer than its components."""
        reg_covar, seed = self.reg_covar, self.random_state
        self.mixture_ = DiagonalMixture(self.n_components, reg_covar=reg_covar, random_state=seed).fit(X)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """(N, K * (2 * D + 1)) of N photos' descriptors, each (P, D)."""
        encoder = FisherEncoder(*self.mixture_.means_.shape).to(self.mixture_.means_)
        encoder.hold(self.mixture_)
        photos = [as_matrix(photo) for photo in X]
        everywhere = [torch.ones(1, len(photo), dtype=torch.bool, device=photo.device) for photo in photos]
        rows = [encoder(photo[None], cell) for photo, cell in zip(photos, everywhere, strict=True)]
        return in_kind(torch.cat(rows), X if isinstance(X, Tensor) else X[0])


CONSTANT = 0.1
"""s there, for which we chose this: what a descriptor adds to its word's count, beside its offset."""


def super_vectors(descriptors: Tensor, cells: Tensor, words: Tensor, constant: float = CONSTANT) -> Tensor:
    """(N, P, D), `cells` (C, P; bool), `words` (K, D) -> (N, C, K x (D + 1)).

    For each word: the sum of (`constant`, descriptor - word) over those of the cell's n descriptors that are
    nearest to it, over n and over the square root of their share of the n. A word that is nowhere nearest has
    zeros; so has a cell without descriptors.
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


NEIGHBORS = 5
"""As programs that use these codes have it; the authors' own was not seen."""
REGULARIZATION = 1e-4
"""Share of the covariance's trace added to its diagonal (beta in such programs)."""


def locality_constrained_codes(descriptors: Tensor, words: Tensor, neighbors: int = NEIGHBORS) -> SparseCodes:
    """(M, D) by `words` (K, D) -> codes on the `neighbors` nearest words, which sum to 1.

    Each minimizes |descriptor - code x words|^2, lightly regularized. Fewer words than neighbors: all are
    used.
    """
    neighbors = min(neighbors, len(words))
    parts = [_coded(chunk, words, neighbors) for chunk in descriptors.split(CHUNK)]
    return SparseCodes(torch.cat([p.atoms for p in parts]), torch.cat([p.values for p in parts]))


def _coded(descriptors: Tensor, words: Tensor, neighbors: int) -> SparseCodes:
    near = nearest(descriptors, words, neighbors)
    offsets = words.index_select(0, near.flatten()).unflatten(0, near.shape) - descriptors[:, None]
    covariance = offsets @ offsets.transpose(1, 2)
    trace = covariance.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    # Where all the nearest words are the descriptor itself there is nothing to choose: equal shares.
    ridge = torch.where(trace > 0, REGULARIZATION * trace, 1)
    covariance.diagonal(dim1=1, dim2=2).add_(ridge)
    weights = torch.linalg.solve_ex(covariance, torch.ones_like(offsets[:, :, :1]))[0][:, :, 0]
    return SparseCodes(near, weights / weights.sum(1, keepdim=True))


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


ENCODERS: dict[str, Callable[[int, int], Encoder]] = {
    "fisher": FisherEncoder,
    "llc": LlcEncoder,
    "super-vector": SuperVectorEncoder,
    "l1": LassoEncoder,
    "omp": PursuitEncoder,
}
"""Each from the number of words and the dimension of the descriptors."""

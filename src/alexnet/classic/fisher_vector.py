"""Fisher vectors: how a photo's descriptors would change the mixture that describes all photos' descriptors.

Source: Perronnin, Sanchez, Mensink, ECCV 2010 (the improved Fisher vector); the gradient on the weights, by
their logits: Sanchez, Perronnin, Mensink, Verbeek, IJCV 2013.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import Tensor

from alexnet.classic.arrays import as_matrix, in_kind
from alexnet.classic.encoder import Encoder
from alexnet.classic.gaussian_mixture import DiagonalMixture, linear_form

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

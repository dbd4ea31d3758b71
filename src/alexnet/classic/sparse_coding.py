"""Sparse codes of many descriptors at once: the lasso, by coordinate descent on working sets.

Sources: Tibshirani 1996 (l1 penalty); Friedman et al. 2007 (coordinate descent).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

CODES_AT_ONCE = 2048
"""Number of descriptors that are coded together: their small Gram matrices fit in the cache."""
FIRST_WIDTH = 24
"""Atoms in the first working set of a descriptor."""
SWEEPS = 16
"""Sweeps of coordinate descent over a working set, at most, before the set is chosen again."""
SWEEPS_PER_CHECK = 4
"""Sweeps between checks whether a working set has converged."""
ROUGH_ROUNDS = 3
"""First rounds, in which the working sets still change too much for exact solutions."""
MAX_ROUNDS = 200
"""Rounds, at most, for descriptors whose duality gap does not close."""
_ROUNDING = 10
"""Smallest tolerance, in units of machine epsilon."""


@dataclass(frozen=True)
class SparseCodes:
    """Codes of M descriptors: `values` (M, k) of the atoms with numbers `atoms` (M, k; int64).

    Where an atom is listed twice, all values but one are 0.
    """

    atoms: Tensor
    values: Tensor

    def dense(self, count: int) -> Tensor:
        """(M, count), zero for the atoms that are not listed."""
        full = self.values.new_zeros(len(self.values), count)
        return full.scatter_add_(1, self.atoms, self.values)

    def reconstructed(self, dictionary: Tensor) -> Tensor:
        """(M, D) the sum of the atoms of `dictionary` (K, D), each times its value."""
        if self.atoms.shape[1] == 0:
            return self.values.new_zeros(len(self.values), dictionary.shape[1])
        return functional.embedding_bag(self.atoms, dictionary, per_sample_weights=self.values, mode="sum")


def lasso(descriptors: Tensor, dictionary: Tensor, penalty: float, tolerance: float = 1e-4) -> SparseCodes:
    """The code of each descriptor that minimizes |descriptor - code x dictionary|^2 / 2 + penalty x |code|_1.

    `descriptors` (M, D), `dictionary` (K, D); `penalty` above 0. A code is finished when its duality gap is
    at most `tolerance` x |descriptor|^2, or after MAX_ROUNDS rounds. Coordinate descent runs on a working
    set, the atoms most correlated with the residual, which is chosen again until no atom outside is missing.
    Coding other descriptors in the same batch changes a code within the tolerance only.
    """
    if penalty <= 0:
        raise ValueError(f"the penalty must be above 0, got {penalty}")
    gram = dictionary @ dictionary.T
    tolerance = max(tolerance, _ROUNDING * torch.finfo(descriptors.dtype).eps)
    parts = [
        _lasso(chunk, dictionary, gram, penalty, tolerance) for chunk in descriptors.split(CODES_AT_ONCE)
    ]
    rows = torch.arange(len(descriptors), device=descriptors.device).split(CODES_AT_ONCE)
    return _gathered(list(zip(rows, parts, strict=True)), descriptors)


def _lasso(
    descriptors: Tensor, dictionary: Tensor, gram: Tensor, penalty: float, tolerance: float
) -> SparseCodes:
    """The codes of one chunk; descriptors that are finished are left out of the next round."""
    limit = tolerance * descriptors.square().sum(1)
    projections = descriptors @ dictionary.T
    left, correlations = torch.arange(len(limit), device=limit.device), projections
    codes = SparseCodes(left.new_zeros(len(limit), 0), limit.new_zeros(len(limit), 0))
    done: list[tuple[Tensor, SparseCodes]] = []
    for number in range(MAX_ROUNDS):
        gaps = _gaps(descriptors[left], codes, dictionary, correlations, penalty)
        going = (gaps > limit[left]).nonzero()[:, 0]
        stopped = (gaps <= limit[left]).nonzero()[:, 0]
        done.append((left[stopped], _rows(codes, stopped)))
        left = left[going]
        if len(left) == 0:
            break
        codes = _next_working_set(_rows(codes, going), correlations[going])
        codes = _descend(codes, projections[left], gram, penalty, limit[left], number >= ROUGH_ROUNDS)
        correlations = (descriptors[left] - codes.reconstructed(dictionary)) @ dictionary.T
    else:
        done.append((left, codes))
    return _gathered(done, descriptors)


def _gaps(
    descriptors: Tensor, codes: SparseCodes, dictionary: Tensor, correlations: Tensor, penalty: float
) -> Tensor:
    """(M,) duality gaps; `correlations` (M, K) are those of the residuals with all atoms."""
    rest = descriptors - codes.reconstructed(dictionary)
    primal = rest.square().sum(1) / 2 + penalty * codes.values.abs().sum(1)
    feasible = rest * (penalty / correlations.abs().amax(1, keepdim=True)).clamp_max(1)
    dual = (descriptors.square().sum(1) - (descriptors - feasible).square().sum(1)) / 2
    return primal - dual


def _next_working_set(codes: SparseCodes, correlations: Tensor) -> SparseCodes:
    """The atoms in use and those most correlated with the residual, twice as many as any code uses."""
    used = int((codes.values != 0).sum(1).max()) if codes.values.numel() else 0
    width = min(correlations.shape[1], max(FIRST_WIDTH, 2 * used))
    full = codes.dense(correlations.shape[1])
    scores = torch.where(full != 0, torch.inf, correlations.abs())
    atoms = scores.topk(width, 1).indices
    return SparseCodes(atoms, full.gather(1, atoms))


def _descend(
    codes: SparseCodes, projections: Tensor, gram: Tensor, penalty: float, limit: Tensor, polish: bool
) -> SparseCodes:
    """Cyclic coordinate descent within the working sets, on all descriptors of the chunk in parallel.

    Descriptors are the last dimension here, so that each step reads and writes contiguous vectors.
    """
    atoms, values = codes.atoms.T.contiguous(), codes.values.T.contiguous()
    pairs = atoms[:, None] * len(gram) + atoms
    # Three times as fast as gram[rows, columns].
    products = gram.flatten().index_select(0, pairs.flatten()).view(pairs.shape)
    targets = projections.T.gather(0, atoms)
    rest = targets - torch.einsum("ijn,jn->in", products, values)
    curvature = products.diagonal().T.clamp_min(1e-12)
    inverse = 1 / curvature
    for sweep in range(1, SWEEPS + 1):
        moved = torch.zeros_like(limit)
        for place, product in enumerate(products):
            wanted = torch.addcmul(rest[place], curvature[place], values[place])
            change = functional.softshrink(wanted, penalty).mul_(inverse[place]).sub_(values[place])
            values[place] += change
            rest.addcmul_(product, change, value=-1)
            moved.addcmul_(change * change, curvature[place])
        if sweep % SWEEPS_PER_CHECK == 0 and bool((moved <= 0.01 * limit).all()):
            break
    found = _polished(products, targets, values, penalty) if polish else values.T.contiguous()
    return SparseCodes(codes.atoms, found)


def _polished(products: Tensor, targets: Tensor, values: Tensor, penalty: float) -> Tensor:
    """A step towards the best values with the current signs, up to the point where the first value becomes
    zero.

    It shortens the slow convergence of coordinate descent. (m, M), descriptors last -> (M, m), descriptors
    first.
    Source: feature-sign search, Lee, Battle, Raina, Ng, NIPS 2006.
    """
    used, system = values != 0, products.permute(2, 0, 1).contiguous()
    sides = (targets - penalty * values.sign()).T[:, :, None]
    among = torch.where(used.T[:, :, None] & used.T[:, None], system, 0)
    among.diagonal(dim1=1, dim2=2).add_(torch.where(used, torch.finfo(values.dtype).eps, 1).T)
    values = values.T[:, :, None]
    aims = torch.linalg.solve_ex(among, torch.where(values != 0, sides, 0))[0]
    direction = torch.where(aims.isfinite().all(1, keepdim=True), aims - values, 0)
    # If atoms are linearly dependent, the target is far away, and only its direction is useful.
    bends = system @ direction
    falls = ((sides - system @ values) * direction).sum(1, keepdim=True)
    best = falls.clamp_min(0) / (bends * direction).sum(1, keepdim=True).clamp_min(1e-30)
    crossings = torch.where(values * direction < 0, -values / direction, torch.inf)
    step = torch.minimum(crossings.amin(1, keepdim=True), best)
    return torch.where(crossings <= step, 0, values + step * direction)[:, :, 0]


def _rows(codes: SparseCodes, rows: Tensor) -> SparseCodes:
    return SparseCodes(codes.atoms[rows], codes.values[rows])


def _gathered(parts: list[tuple[Tensor, SparseCodes]], like: Tensor) -> SparseCodes:
    """The codes in their original rows; narrower ones are padded with atom 0 and value 0."""
    width = max((part.atoms.shape[1] for _, part in parts), default=0)
    atoms = torch.zeros(len(like), width, dtype=torch.int64, device=like.device)
    values = like.new_zeros(len(like), width)
    for rows, part in parts:
        atoms[rows, : part.atoms.shape[1]] = part.atoms
        values[rows, : part.atoms.shape[1]] = part.values
    return SparseCodes(atoms, values)

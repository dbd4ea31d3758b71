"""Sparse codes of many descriptors at once: the lasso by working sets, and orthogonal matching pursuit.

Sources: Tibshirani 1996 (l1); Friedman et al. 2007 (coordinate descent); Pati et al. 1993 and Rubinstein,
Zibulevsky, Elad 2008 (orthogonal matching pursuit, many signals against one dictionary).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 2048
"""Descriptors that are coded together: their small Gram matrices stay near the processor."""
FIRST_WIDTH = 24
"""Atoms in the first working set of a descriptor."""
SWEEPS = 16
"""Most sweeps of coordinate descent over a working set before it is chosen anew."""
SWEEPS_PER_CHECK = 4
ROUGH_ROUNDS = 3
"""Rounds in which the working sets are still changing too much to solve anything exactly."""
MAX_ROUNDS = 200
_ROUNDING = 10
"""Smallest tolerance, in rounding errors of one."""


@dataclass(frozen=True)
class SparseCodes:
    """Codes of M descriptors: `values` (M, k) of the atoms numbered `atoms` (M, k; int64).

    An atom that is named twice has the value 0 but once.
    """

    atoms: Tensor
    values: Tensor

    def dense(self, count: int) -> Tensor:
        """(M, count), zero for the atoms that are not named."""
        full = self.values.new_zeros(len(self.values), count)
        return full.scatter_add_(1, self.atoms, self.values)

    def reconstructed(self, dictionary: Tensor) -> Tensor:
        """(M, D) the sum of the atoms of `dictionary` (K, D), each times its value."""
        if self.atoms.shape[1] == 0:
            return self.values.new_zeros(len(self.values), dictionary.shape[1])
        return functional.embedding_bag(self.atoms, dictionary, per_sample_weights=self.values, mode="sum")


def lasso(descriptors: Tensor, dictionary: Tensor, penalty: float, tolerance: float = 1e-4) -> SparseCodes:
    """Codes that minimize |descriptor - code x dictionary|^2 / 2 + penalty x |code|_1, each for itself.

    `descriptors` (M, D), `dictionary` (K, D); `penalty` above 0. A code is done when its duality gap is at
    most `tolerance` x |descriptor|^2, or after MAX_ROUNDS rounds. A descriptor works, coordinate by
    coordinate, on the atoms most correlated with what is left of it; the set is chosen anew until no atom
    outside it is missing. What is coded beside it changes its code within the tolerance.
    """
    if penalty <= 0:
        raise ValueError(f"the penalty must be above 0, got {penalty}")
    gram = dictionary @ dictionary.T
    tolerance = max(tolerance, _ROUNDING * torch.finfo(descriptors.dtype).eps)
    parts = [_lasso(chunk, dictionary, gram, penalty, tolerance) for chunk in descriptors.split(CHUNK)]
    return _joined(parts, descriptors)


def _lasso(
    descriptors: Tensor, dictionary: Tensor, gram: Tensor, penalty: float, tolerance: float
) -> SparseCodes:
    """One chunk; the descriptors that are done leave the work after each round."""
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
    """(M,) duality gaps; `correlations` (M, K) of what is left of the descriptors with all atoms."""
    rest = descriptors - codes.reconstructed(dictionary)
    primal = rest.square().sum(1) / 2 + penalty * codes.values.abs().sum(1)
    feasible = rest * (penalty / correlations.abs().amax(1, keepdim=True)).clamp_max(1)
    dual = (descriptors.square().sum(1) - (descriptors - feasible).square().sum(1)) / 2
    return primal - dual


def _next_working_set(codes: SparseCodes, correlations: Tensor) -> SparseCodes:
    """The atoms in use and those most correlated with the rest: twice as many as the fullest code uses."""
    used = int((codes.values != 0).sum(1).max()) if codes.values.numel() else 0
    width = min(correlations.shape[1], max(FIRST_WIDTH, 2 * used))
    full = codes.dense(correlations.shape[1])
    scores = torch.where(full != 0, torch.inf, correlations.abs())
    atoms = scores.topk(width, 1).indices
    return SparseCodes(atoms, full.gather(1, atoms))


def _descend(
    codes: SparseCodes, projections: Tensor, gram: Tensor, penalty: float, limit: Tensor, polish: bool
) -> SparseCodes:
    """Cyclic coordinate descent within the working sets, all descriptors of the chunk side by side.

    Descriptors are the last dimension here: each step reads and writes whole vectors of them.
    """
    atoms, values = codes.atoms.T.contiguous(), codes.values.T.contiguous()
    pairs = atoms[:, None] * len(gram) + atoms
    # A third of the time that gram[rows, columns] takes.
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
    """A step to the best values with the present signs, or to where the first of them becomes zero.

    Ends the long tail of coordinate descent. Takes descriptors last, returns them first: (m, M) -> (M, m).
    Source: feature-sign search, Lee, Battle, Raina, Ng, NIPS 2006.
    """
    used, system = values != 0, products.permute(2, 0, 1).contiguous()
    sides = (targets - penalty * values.sign()).T[:, :, None]
    among = torch.where(used.T[:, :, None] & used.T[:, None], system, 0)
    among.diagonal(dim1=1, dim2=2).add_(torch.where(used, torch.finfo(values.dtype).eps, 1).T)
    values = values.T[:, :, None]
    aims = torch.linalg.solve_ex(among, torch.where(values != 0, sides, 0))[0]
    direction = torch.where(aims.isfinite().all(1, keepdim=True), aims - values, 0)
    # Where atoms depend on each other the aim is far off, and only the direction has a meaning.
    bends = system @ direction
    falls = ((sides - system @ values) * direction).sum(1, keepdim=True)
    best = falls.clamp_min(0) / (bends * direction).sum(1, keepdim=True).clamp_min(1e-30)
    crossings = torch.where(values * direction < 0, -values / direction, torch.inf)
    step = torch.minimum(crossings.amin(1, keepdim=True), best)
    return torch.where(crossings <= step, 0, values + step * direction)[:, :, 0]


def matching_pursuit(descriptors: Tensor, dictionary: Tensor, nonzeros: int) -> SparseCodes:
    """Orthogonal matching pursuit: `nonzeros` atoms a descriptor, each the one most correlated with the rest.

    `descriptors` (M, D), `dictionary` (K, D) of unit rows. The chosen atoms are kept orthonormal beside each
    other, whose triangular factor is the Cholesky factor of their Gram matrix. An atom that adds nothing has
    the value 0, as all have for a descriptor of zeros.
    """
    nonzeros = min(nonzeros, *dictionary.shape)
    parts = [_pursued(chunk, dictionary, nonzeros) for chunk in descriptors.split(CHUNK)]
    return _joined(parts, descriptors)


def _pursued(descriptors: Tensor, dictionary: Tensor, nonzeros: int) -> SparseCodes:
    count, size = descriptors.shape
    basis = descriptors.new_zeros(count, nonzeros, size)
    factor = torch.eye(nonzeros, dtype=basis.dtype, device=basis.device).repeat(count, 1, 1)
    weights = descriptors.new_zeros(count, nonzeros)
    atoms = torch.zeros(count, nonzeros, dtype=torch.int64, device=descriptors.device)
    rest, nothing = descriptors.clone(), 100 * torch.finfo(descriptors.dtype).eps
    for step in range(nonzeros):
        correlations = (rest @ dictionary.T).abs_()
        correlations.scatter_(1, atoms[:, :step], -1.0)
        atoms[:, step] = chosen = correlations.argmax(1)
        direction, shares = _orthogonal(dictionary[chosen], basis[:, :step])
        length = direction.norm(dim=1)
        new = length > nothing
        basis[:, step] = torch.where(new[:, None], direction / length.clamp_min(nothing)[:, None], 0)
        factor[:, :step, step] = shares
        factor[:, step, step] = torch.where(new, length, 1)
        weights[:, step] = (basis[:, step] * rest).sum(1)
        rest -= weights[:, step, None] * basis[:, step]
    values = torch.linalg.solve_triangular(factor, weights[:, :, None], upper=True)
    return SparseCodes(atoms, values[:, :, 0])


def _orthogonal(atoms: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """What of `atoms` (M, D) is orthogonal to `basis` (M, k, D), and its shares (M, k) along it; twice."""
    shares = torch.einsum("nkd,nd->nk", basis, atoms)
    direction = atoms - torch.einsum("nkd,nk->nd", basis, shares)
    again = torch.einsum("nkd,nd->nk", basis, direction)
    return direction - torch.einsum("nkd,nk->nd", basis, again), shares + again


def _rows(codes: SparseCodes, rows: Tensor) -> SparseCodes:
    return SparseCodes(codes.atoms[rows], codes.values[rows])


def _joined(parts: list[SparseCodes], like: Tensor) -> SparseCodes:
    """The parts below each other."""
    rows = torch.arange(len(like), device=like.device).split(CHUNK)
    return _gathered(list(zip(rows, parts, strict=True)), like)


def _gathered(parts: list[tuple[Tensor, SparseCodes]], like: Tensor) -> SparseCodes:
    """Codes put in their rows; those narrower than the widest are filled up with atom 0 at value 0."""
    width = max((part.atoms.shape[1] for _, part in parts), default=0)
    atoms = torch.zeros(len(like), width, dtype=torch.int64, device=like.device)
    values = like.new_zeros(len(like), width)
    for rows, part in parts:
        atoms[rows, : part.atoms.shape[1]] = part.atoms
        values[rows, : part.atoms.shape[1]] = part.values
    return SparseCodes(atoms, values)

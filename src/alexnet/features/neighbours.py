"""The nearest of many vectors by Euclidean distance: exact, in pieces, with a bounded amount of memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.errors import CommandError

PIECE_BYTES = 128 * 2**20
"""Of the vectors that are in memory at once, and of what is made of them for all queries."""


@dataclass(frozen=True, eq=False)
class Found:
    """The nearest of each query, the nearest first; equals by their number."""

    indices: npt.NDArray[np.int64]
    """(Q, count)."""
    distances: npt.NDArray[np.float64]
    """(Q, count), Euclidean."""


class Index(Protocol):
    """What answers which vectors are near."""

    def search(self, queries: npt.NDArray[np.float32], count: int) -> Found:
        """The `count` nearest of each of `queries` (Q, D), fewer where there are not as many.

        CommandError where `queries` have another D.
        """
        ...


class ExactIndex:
    """Compares every query with every vector, piece by piece, so `vectors` may be a file mapped into memory.

    Distances by a matrix product in float32 choose candidates; those are measured in float64. The candidates
    are all whose computed distance could, by the product's largest rounding error, be among the nearest: so
    the result is that of measuring all in float64.
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float32],
        device: torch.device | str = "cpu",
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        """`vectors` are (N, D); `device` is where they are compared."""
        self._vectors, self._device, self._piece_bytes = vectors, torch.device(device), piece_bytes

    def search(self, queries: npt.NDArray[np.float32], count: int) -> Found:
        """As `Index` says."""
        check_queries(queries, self._vectors.shape[1])
        wanted = torch.from_numpy(np.array(queries)).to(self._device)
        best = [_Best.none(self._device)] * len(queries)
        for start, piece in self._pieces(len(queries)):
            best = [
                old.with_these(start + near, distances, count)
                for old, (near, distances) in zip(best, _candidates(wanted, piece, best, count), strict=True)
            ]
        shape = (len(queries), min(count, len(self._vectors)))
        indices = [each.indices.cpu().numpy() for each in best]
        squares = [each.squares.cpu().numpy() for each in best]
        return Found(np.array(indices, np.int64).reshape(shape), np.sqrt(np.array(squares)).reshape(shape))

    def _pieces(self, queries: int) -> Iterator[tuple[int, Tensor]]:
        """Numbers of first vectors, and (n, D) vectors on the device."""
        # Of a vector its float32 numbers; of its comparison with a query a float32 and three float64.
        rows = max(1, self._piece_bytes // (4 * self._vectors.shape[1] + 28 * queries))
        for start in range(0, len(self._vectors), rows):
            yield start, torch.from_numpy(np.array(self._vectors[start : start + rows])).to(self._device)


@dataclass(frozen=True, eq=False)
class _Best:
    """The nearest so far of one query."""

    indices: Tensor
    squares: Tensor
    """float64: squared distances."""

    @classmethod
    def none(cls, device: torch.device) -> _Best:
        nothing = torch.empty(0, device=device)
        return cls(nothing.long(), nothing.double())

    def with_these(self, indices: Tensor, squares: Tensor, count: int) -> _Best:
        """The `count` nearest of these and the old; `indices` are above all old ones."""
        all_squares, order = torch.cat([self.squares, squares]).sort(stable=True)
        return _Best(torch.cat([self.indices, indices])[order[:count]], all_squares[:count])

    def limit(self, count: int) -> float:
        """The squared distance that a vector must not exceed to be among the nearest."""
        return float(self.squares[count - 1]) if len(self.squares) >= count else float("inf")


def check_queries(queries: npt.NDArray[np.float32], dimension: int) -> None:
    """CommandError where `queries` are not (Q, dimension)."""
    if queries.ndim != 2 or queries.shape[1] != dimension:
        raise CommandError(f"queries are {queries.shape}, the vectors have {dimension} numbers each")


def _candidates(
    queries: Tensor, piece: Tensor, best: list[_Best], count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each query ascending numbers in the piece, and their squared distances in float64."""
    lengths, own = (torch.einsum("nd,nd->n", each, each).double() for each in (piece, queries))
    squares = (queries @ piece.T).double().mul_(-2).add_(lengths).add_(own[:, None])
    # Each of the three inner products errs by less than D * eps / 2 times the product of the vectors' lengths
    # (Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1).
    errors = queries.shape[1] * torch.finfo(torch.float32).eps * (lengths.max() + own)
    enough = len(piece) >= count
    nearest = squares.kthvalue(count, dim=1).values if enough else torch.full_like(own, float("inf"))
    for query, row, error, kth, old in zip(queries, squares, errors, nearest, best, strict=True):
        near = torch.nonzero(row <= kth.clamp(max=old.limit(count)) + 2 * error)[:, 0]
        yield near, (piece[near].double() - query.double()).square().sum(1)

"""The nearest of many vectors by Euclidean distance: exact, in pieces, with a bounded amount of memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.data.image_reader import read_square
from alexnet.data.store import Split
from alexnet.errors import CommandError
from alexnet.evaluation.predictor import Photo, Predictor
from alexnet.io import atomic_write

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


ROWS_AT_ONCE = 1024
CANDIDATES = 4
"""So many times as many as are wanted come from the graph, in float16, and are then measured in float64."""

EXPANSION = 256
"""Vectors that a search keeps in view while it follows the graph: with more it is slower and misses less."""


class ApproximateIndex:
    """Answers as `ExactIndex` does of the vectors that the graph leads to; their distances are exact."""

    def __init__(self, vectors: npt.NDArray[np.float32], graph: Any) -> None:
        """`graph` is usearch's index of `vectors` (N, D), by their numbers."""
        self._vectors, self._graph = vectors, graph

    def search(self, queries: npt.NDArray[np.float32], count: int) -> Found:
        """As `Index` says."""
        check_queries(queries, self._vectors.shape[1])
        wanted = min(CANDIDATES * count, len(self._vectors))
        found: list[Found] = []
        for query in queries:
            near = np.sort(np.asarray(self._graph.search(query, wanted).keys, np.int64))
            best = ExactIndex(self._vectors[near]).search(query[None], count)
            found.append(Found(near[best.indices], best.distances))
        shape = (len(queries), min(count, len(self._vectors)))
        indices, distances = ([getattr(each, name)[0] for each in found] for name in ("indices", "distances"))
        return Found(np.array(indices, np.int64).reshape(shape), np.array(distances).reshape(shape))


def open_graph(
    vectors: npt.NDArray[np.float32], path: Path, progress: Callable[[int], None] = lambda count: None
) -> ApproximateIndex:
    """The index in the file at `path`, made if it is not there; the file is mapped, not read.

    It must be of these very vectors: whoever makes them anew removes it. `progress` is called with numbers of
    vectors. CommandError where usearch is not installed.
    """
    graph = _empty(vectors.shape[1])
    if not path.is_file():
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            rows = np.array(vectors[start : start + ROWS_AT_ONCE])
            graph.add(np.arange(start, start + len(rows)), rows)
            progress(len(rows))
        with atomic_write(path) as unfinished:
            graph.save(str(unfinished))
    graph.view(str(path))
    return ApproximateIndex(vectors, graph)


def refuse_without_usearch() -> None:
    """CommandError, which says what to type, where usearch is not installed."""
    if importlib.util.find_spec("usearch") is None:
        raise CommandError("the approximate search needs usearch: type pip install 'alexnet[neighbors]'")


def _empty(dimension: int) -> Any:
    refuse_without_usearch()
    from usearch.index import Index  # pyright: ignore

    return Index(ndim=dimension, metric="l2sq", dtype="f16", expansion_search=EXPANSION)


@dataclass(frozen=True)
class Neighbor:
    """A stored image that is near a photo."""

    number: int
    """Its place in the split."""
    key: str
    wnid: str
    name: str
    """WNID and name of its class; empty where that is not known."""
    distance: float
    """Euclidean, between the answers of the layer."""


class SimilarImages:
    """Photos in, the nearest images of a split out.

    Source: section 6 ("If two images produce feature activation vectors with a small Euclidean separation, we
    can say that the higher levels of the neural network consider them to be similar").
    """

    def __init__(self, classifier: Predictor, split: Split, layer: str, index: Index) -> None:
        """`index` holds the answers of `layer` to the images of `split`, in its order."""
        self.layer, self._classifier, self._split, self._index = layer, classifier, split, index

    def of(self, photos: Photo | Sequence[Photo], top: int = 6) -> list[list[Neighbor]]:
        """For each photo its `top` nearest images, the nearest first. Errors as of `Predictor.features`."""
        if top < 1:
            raise CommandError(f"top must be at least 1, got {top}")
        vectors = self._classifier.features(photos, self.layer)
        if not len(vectors):
            return []
        found = self._index.search(vectors, top)
        return [
            [self._neighbor(number, distance) for number, distance in zip(*row, strict=True)]
            for row in zip(found.indices.tolist(), found.distances.tolist(), strict=True)
        ]

    def pixels(self, number: int) -> npt.NDArray[np.uint8]:
        """(side, side, C) of the stored image with that place in the split."""
        header = self._split.manifest
        square = np.empty((header.side, header.side, header.channels), np.uint8)
        read_square(self._split, number, square)
        return square

    def _neighbor(self, number: int, distance: float) -> Neighbor:
        label = int(self._split.labels[number])
        known = self._split.manifest.classes[label] if label >= 0 else None
        wnid, name = (known.wnid, known.name) if known else ("", "")
        return Neighbor(number, self._split.key(number), wnid, name, distance)

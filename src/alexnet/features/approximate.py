"""Near vectors found by a graph instead of by looking at all: much faster, and now and then one is missed.

The graph is usearch's (`pip install 'alexnet[neighbours]'`), which needs no second OpenMP runtime beside
torch's and opens its file mapped into memory. `alexnet benchmark neighbours` measures what it misses.
Source: Malkov and Yashunin 2018, "Efficient and robust approximate nearest neighbor search using Hierarchical
Navigable Small World graphs".
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.errors import CommandError
from alexnet.features.neighbours import ExactIndex, Found, check_queries
from alexnet.files import replacing

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
        with replacing(path) as unfinished:
            graph.save(str(unfinished))
    graph.view(str(path))
    return ApproximateIndex(vectors, graph)


def refuse_without_usearch() -> None:
    """CommandError, which says what to type, where usearch is not installed."""
    if importlib.util.find_spec("usearch") is None:
        raise CommandError("the approximate search needs usearch: type pip install 'alexnet[neighbours]'")


def _empty(dimension: int) -> Any:
    refuse_without_usearch()
    from usearch.index import Index  # pyright: ignore

    return Index(ndim=dimension, metric="l2sq", dtype="f16", expansion_search=EXPANSION)

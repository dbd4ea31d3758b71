"""Speed of the neighbor search, and recall of the approximate one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.analysis.neighbors import ExactIndex, NearestVectors, open_graph
from benchmarks.timing import Measurement, median_seconds

IMAGES, QUERIES, WANTED = 10_000, 50, 6
"""About the number of training images of Imagenette, and that of neighbors in the paper's figure 4."""
UNITS, DIRECTIONS = 4096, 64
"""Dimension and rank of synthetic features of fc7, which are rectified."""


def measure(images: int = IMAGES) -> list[Measurement]:
    """Queries per second (exact compared with scikit-learn, graph compared with exact), and the recall of the
    graph.
    """
    from sklearn.neighbors import NearestNeighbors

    vectors, queries = synthetic_features(images, 0), synthetic_features(QUERIES, 1)
    exact, peer = ExactIndex(vectors), NearestNeighbors(n_neighbors=WANTED, algorithm="brute").fit(vectors)
    with tempfile.TemporaryDirectory() as folder:
        graph = open_graph(vectors, Path(folder) / "graph.usearch")
        seconds = median_seconds(
            {
                "exact": lambda: exact.search(queries, WANTED),
                "scikit-learn": lambda: peer.kneighbors(queries),
                "graph": lambda: graph.search(queries, WANTED),
            },
            rounds=3,
        )
        found = recall(graph.search(queries, WANTED), exact.search(queries, WANTED))
    rates = {name: QUERIES / each for name, each in seconds.items()}
    row, unit = f"{WANTED} of {images:,} x {UNITS:,}", "queries/s"
    return [
        Measurement(
            "neighbors",
            f"exact, {row}",
            rates["exact"],
            unit,
            peer="scikit-learn, brute",
            ratio=rates["exact"] / rates["scikit-learn"],
            target=">= 0.5",
        ),
        Measurement(
            "neighbors", f"graph, {row}", rates["graph"], unit, "exact", rates["graph"] / rates["exact"]
        ),
        Measurement("neighbors", f"graph, {row}: recall", found, "of 1", "exact", found, ">= 0.95"),
    ]


def recall(found: NearestVectors, wanted: NearestVectors) -> float:
    """The fraction in [0, 1] of the nearest vectors that were found."""
    rows = zip(found.indices.tolist(), wanted.indices.tolist(), strict=True)
    return float(np.mean([len({*row} & {*right}) / len(right) for row, right in rows]))


def synthetic_features(count: int, seed: int) -> npt.NDArray[np.float32]:
    """(count, UNITS) like features of a last hidden layer; another seed gives other images."""
    mixing = np.random.default_rng(0).normal(0, 1, (DIRECTIONS, UNITS)).astype(np.float32)
    images = np.random.default_rng((1, seed)).normal(0, 1, (count, DIRECTIONS)).astype(np.float32)
    return np.maximum(images @ mixing, 0)

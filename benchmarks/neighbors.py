"""How fast near images are found, and how many of them the graph misses."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.analysis.neighbors import ExactIndex, Found, open_graph
from benchmarks.timing import Measurement, median_seconds

IMAGES, QUERIES, WANTED = 10_000, 50, 6
"""As many images as Imagenette has for training, and as many near ones as the paper's figure 4 shows."""
UNITS, DIRECTIONS = 4096, 64
"""Made-up answers of fc7: rectified, and varying in far fewer directions than they have numbers."""


def measure(images: int = IMAGES) -> list[Measurement]:
    """Queries a second, exact beside scikit-learn's, by the graph beside exact, and the graph's recall."""
    from sklearn.neighbors import NearestNeighbors

    vectors, queries = made_up(images, 0), made_up(QUERIES, 1)
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
    beside = ("scikit-learn, brute", rates["exact"] / rates["scikit-learn"])
    return [
        Measurement("neighbors", f"exact, {row}", rates["exact"], unit, *beside, ">= 0.5"),
        Measurement(
            *("neighbors", f"graph, {row}", rates["graph"], unit),
            *("exact", rates["graph"] / rates["exact"]),
        ),
        Measurement("neighbors", f"graph, {row}: recall", found, "of 1", "exact", found, ">= 0.95"),
    ]


def recall(found: Found, wanted: Found) -> float:
    """The share in [0, 1] of the nearest that were found."""
    rows = zip(found.indices.tolist(), wanted.indices.tolist(), strict=True)
    return float(np.mean([len({*row} & {*right}) / len(right) for row, right in rows]))


def made_up(count: int, seed: int) -> npt.NDArray[np.float32]:
    """(count, UNITS) like answers of a net's last hidden layer; of another seed to other images."""
    net = np.random.default_rng(0).normal(0, 1, (DIRECTIONS, UNITS)).astype(np.float32)
    images = np.random.default_rng((1, seed)).normal(0, 1, (count, DIRECTIONS)).astype(np.float32)
    return np.maximum(images @ net, 0)

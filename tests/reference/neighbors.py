"""Slow, obvious reference implementation of the neighbor search."""

from __future__ import annotations

import numpy as np


def nearest(queries: np.ndarray, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(Q, count) indices and distances: each pair in float64, ties by index."""
    found = []
    for query in queries.astype(np.float64):
        distances = [float(np.sqrt(np.square(vector - query).sum())) for vector in vectors.astype(np.float64)]
        found.append(sorted((distance, number) for number, distance in enumerate(distances))[:count])
    numbers = [[number for _, number in row] for row in found]
    return np.array(numbers), np.array([[distance for distance, _ in row] for row in found])

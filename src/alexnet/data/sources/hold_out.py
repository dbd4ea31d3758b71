"""A validation split for photos that came without one."""

from __future__ import annotations

import hashlib

import numpy as np

from alexnet.data.sources.contract import SourceSplit, Subset


def hold_out(split: SourceSplit, fraction: float) -> tuple[Subset, Subset]:
    """(train, val): `val` is, of each class, the `fraction` of photos whose keys have the smallest SHA-256.

    A function of the names alone: no seed, the same on every machine, and a photo added later moves few
    others. Shares are rounded to whole photos; every class keeps at least one for training.
    """
    digests = b"".join(hashlib.sha256(split.key(index).encode()).digest()[:8] for index in range(len(split)))
    by_class = np.lexsort((np.frombuffer(digests, dtype=">u8"), split.labels))
    counts = np.bincount(split.labels)
    held = np.minimum(np.floor(counts * fraction + 0.5).astype(np.int64), np.maximum(counts - 1, 0))
    rank_in_class = np.arange(len(split)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(len(split), dtype=bool)
    chosen[by_class] = rank_in_class < np.repeat(held, counts)
    return Subset(split, np.flatnonzero(~chosen)), Subset(split, np.flatnonzero(chosen))

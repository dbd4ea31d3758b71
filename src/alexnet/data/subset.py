"""Deterministic choices of images, balanced over classes.

Images of a class are ranked by the SHA-256 of their keys: there is no seed, and every machine and every store
of the same photos gives the same choice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stratified_order(keys: Iterable[str], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N,) indices of all images in an order of which every prefix is balanced over classes.

    First one image of each class in label order, then a second one of each, and so on; a class that has no
    images left is skipped. `labels` are (N,).
    """
    return np.lexsort((labels, rank_in_class(_hashes(keys), labels)))


def stratified_split(
    keys: Iterable[str], labels: NDArray[np.integer], fraction: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(train, val) indices, each ascending: `fraction` of each class's images are held out for `val`.

    An image added later moves few others. Counts are rounded to whole images, and every class keeps at least
    one for training. `labels` are (N,), all of them 0 or more.
    """
    counts = np.bincount(labels)
    return hold_out_least(_hashes(keys), labels, np.floor(counts * fraction + 0.5))


def hold_out_least(
    values: NDArray[Any], labels: NDArray[np.integer], wanted: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(kept, held out) indices, each ascending: of each class the `wanted` (K,) least of `values` (N,).

    One image of each class is always kept.
    """
    most = np.maximum(np.bincount(labels) - 1, 0)
    held_out = rank_in_class(values, labels) < np.minimum(wanted, most)[labels]
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def grouped_split(
    groups: Sequence[str], labels: NDArray[np.integer], fraction: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As `stratified_split`, but photos of the same group, (N,) by name, are in the same split.

    Groups are taken for `val` in the order of their names' hashes if that brings the counts of its classes
    nearer to the wanted ones, and if every class keeps a photo for training.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.bincount(labels)
    wanted = np.floor(counts * fraction + 0.5).astype(np.int64)
    held_out = np.zeros(len(counts), np.int64)
    is_held_out = np.zeros(len(names), bool)
    members = np.split(np.argsort(group_of, kind="stable"), np.cumsum(np.bincount(group_of))[:-1])
    for group in np.argsort(_hashes(names.tolist()), kind="stable").tolist():
        classes, sizes = np.unique(labels[members[group]], return_counts=True)
        missing = wanted[classes] - held_out[classes]
        nearer = np.abs(missing - sizes).sum() < np.abs(missing).sum()
        if nearer and (held_out[classes] + sizes < counts[classes]).all():
            held_out[classes] += sizes
            is_held_out[group] = True
    chosen = is_held_out[group_of]
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def rank_in_class(values: NDArray[Any], labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N,) how many images of the same class have a smaller value; `values` and `labels` are (N,)."""
    by_class = np.lexsort((values, labels))
    ordered = labels[by_class]
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return ranks


def _hashes(keys: Iterable[str]) -> NDArray[Any]:
    digests = b"".join(hashlib.sha256(key.encode()).digest()[:8] for key in keys)
    return np.frombuffer(digests, dtype=">u8")

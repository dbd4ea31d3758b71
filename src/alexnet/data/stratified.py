"""Stratified splits: some examples of each class are held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def held_out(
    labels: npt.NDArray[Any], keys: npt.NDArray[Any], counts: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """(N,) which examples are held out: of class k, the `counts[k]` with the smallest `keys`.

    `labels` (N,) are from 0 to len(counts) - 1; no class has fewer examples than its count.
    """
    by_class = np.lexsort((keys, labels))
    sizes = np.bincount(labels, minlength=len(counts))
    rank_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[by_class] = rank_in_class < np.repeat(counts, sizes)
    return chosen

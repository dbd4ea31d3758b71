"""Speed of sparse coding compared with scikit-learn's `sparse_encode`, at equal error.

Both get the same dictionary and the same descriptors: SIFT, as in the recipe `sparse-coding`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.classic.codebooks import OnlineDictionary, draw, unit
from alexnet.classic.compression import Pca
from alexnet.classic.descriptors import DenseSift
from alexnet.classic.encoders import PENALTY
from alexnet.classic.sparse_coding import SparseCodes, lasso
from benchmarks.timing import Measurement, median_seconds

ATOMS, SIZE = 1024, 64
DESCRIPTORS, OF_THEIRS = 4096, 256
"""Number of descriptors encoded by ours, and by scikit-learn, which takes some milliseconds for each."""
TOLERANCE = 1e-4
"""Duality gap of our lasso, as a fraction of a descriptor's squared length."""


def measure(photos: Tensor) -> list[Measurement]:
    """Descriptors of photos (N, 3, S, S) that the lasso encodes per second, and the error of the codes.

    Both are compared with scikit-learn's; the error is the mean squared error of the reconstruction.
    """
    found = DenseSift(step=12, patches=(16, 32)).describe(photos).flatten(0, 1)
    sample = unit(Pca(SIZE).fit(found).transform(found))
    atoms = unit(OnlineDictionary(ATOMS, alpha=PENALTY).fit(sample).components_)
    descriptors = draw(sample, DESCRIPTORS, torch.Generator().manual_seed(1))
    few = descriptors[:OF_THEIRS]

    def ours(some: Tensor) -> SparseCodes:
        return lasso(some, atoms, PENALTY, TOLERANCE)

    def theirs() -> Any:
        from sklearn.decomposition import sparse_encode

        # In float64: in float32 its lasso runs to the last iteration, as its tolerance cannot be reached.
        given = few.double().numpy(), atoms.double().numpy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some descriptors do not converge there either
            return sparse_encode(*given, algorithm="lasso_cd", alpha=PENALTY)

    seconds = median_seconds({"ours": lambda: ours(descriptors), "theirs": theirs}, rounds=3)
    rate, peer = len(descriptors) / seconds["ours"], len(few) / seconds["theirs"]
    both = ours(few).reconstructed(atoms), torch.from_numpy(np.asarray(theirs(), np.float32)) @ atoms
    error, expected = (float((few - found).square().sum(1).mean()) for found in both)
    row, beside = f"coding by l1, {len(atoms):,} atoms", "scikit-learn, lasso_cd"
    return [
        Measurement("classic", row, rate, "descriptors/s", beside, rate / peer, ">= 5"),
        Measurement("classic", f"{row}: error", error, "squared length", beside, error / expected, "<= 1.01"),
    ]

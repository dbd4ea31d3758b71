"""How much faster descriptors are coded than by scikit-learn's `sparse_encode`, at equal error.

One core, one dictionary, both given the same descriptors of real photos: SIFT of the recipe `sparse-coding`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.benchmarks.timing import Measurement, median_seconds
from alexnet.classic.dense_sift import DenseSift
from alexnet.classic.dictionary import OnlineDictionary
from alexnet.classic.pca import Pca
from alexnet.classic.sparse_code import SparseCodes, lasso, matching_pursuit
from alexnet.classic.sparse_encoder import NONZEROS, PENALTY
from alexnet.classic.words import draw, unit
from alexnet.data.decode import decode
from alexnet.data.resize import to_square
from alexnet.data.sources import Source

PHOTOS, SIDE = 64, 224
ATOMS, SIZE = 1024, 64
DESCRIPTORS, OF_THEIRS = 4096, 256
"""Coded by ours, and by scikit-learn, which takes some milliseconds for each."""
TOLERANCE = 1e-4
"""Duality gap of our lasso, as a share of a descriptor's squared length."""


def measure(source: Source) -> list[Measurement]:
    """Descriptors a second by the lasso and by matching pursuit, and how well both reconstruct them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sample = descriptors_of(source)
        dictionary = OnlineDictionary(ATOMS, alpha=PENALTY).fit(sample).components_
        few = draw(sample, DESCRIPTORS, torch.Generator().manual_seed(1))
        return [
            *_rows(
                "l1",
                few,
                dictionary,
                lambda x: lasso(x, dictionary, PENALTY, TOLERANCE),
                "lasso_cd",
                alpha=PENALTY,
            ),
            *_rows(
                *("omp", few, dictionary, lambda x: matching_pursuit(x, unit(dictionary), NONZEROS), "omp"),
                n_nonzero_coefs=NONZEROS,
            ),
        ]
    finally:
        torch.set_num_threads(threads)


def descriptors_of(source: Source) -> Tensor:
    """(M, SIZE) of length one, of the first photos."""
    split = next(iter(source.splits.values()))
    photos = [to_square(decode(split[index].image), SIDE) for index in range(min(PHOTOS, len(split)))]
    images = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float()
    found = DenseSift(step=12, patches=(16, 32)).describe(images).flatten(0, 1)
    return unit(Pca(SIZE).fit_transform(found))


def _rows(
    name: str,
    descriptors: Tensor,
    dictionary: Tensor,
    code: Callable[[Tensor], SparseCodes],
    algorithm: str,
    **settings: Any,
) -> list[Measurement]:
    from sklearn.decomposition import sparse_encode

    atoms = unit(dictionary) if algorithm == "omp" else dictionary
    theirs_input = descriptors[:OF_THEIRS].numpy(), atoms.numpy()

    def theirs() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that float32 does not reach scikit-learn's tolerance
            return sparse_encode(*theirs_input, algorithm=algorithm, **settings)

    seconds = median_seconds({"ours": lambda: code(descriptors), "theirs": theirs}, rounds=3)
    rate, peer = len(descriptors) / seconds["ours"], len(theirs_input[0]) / seconds["theirs"]
    ours = code(descriptors[:OF_THEIRS]).reconstructed(atoms)
    errors = [
        float((descriptors[:OF_THEIRS] - found).square().sum(1).mean())
        for found in (ours, torch.from_numpy(np.asarray(theirs(), np.float32)) @ atoms)
    ]
    what = f"sparse_encode ({algorithm})"
    return [
        Measurement("classic", f"coding, {name}", rate, "descriptors/s", what, rate / peer, ">= 5"),
        Measurement("classic", what, peer, "descriptors/s"),
        Measurement(
            *(
                "classic",
                f"coding, {name}: error",
                errors[0],
                "squared length",
                what,
                errors[0] / errors[1],
                "<= 1.001",
            )
        ),
    ]

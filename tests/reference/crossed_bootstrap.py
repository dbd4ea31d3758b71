"""A crossed bootstrap with one loop for each thing that is drawn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np


def resampled_mean(difference: np.ndarray, seeds_drawn: Sequence[int], photos_drawn: Sequence[int]) -> float:
    """The mean of a table of seeds and photos, each drawn so often."""
    values = []
    for seed, times in enumerate(seeds_drawn):
        for _ in range(times):
            for photo, often in enumerate(photos_drawn):
                values += [float(difference[seed, photo])] * int(often)
    return statistics.fmean(values)


def crossed_error(
    differences: Sequence[np.ndarray], seeds: np.ndarray, photos: Sequence[np.ndarray]
) -> float:
    """The standard deviation of the sums of `resampled_mean` over all sets of photos, one per resample."""
    sums = [
        sum(
            resampled_mean(difference, seeds[resample], drawn[resample])
            for difference, drawn in zip(differences, photos, strict=True)
        )
        for resample in range(len(seeds))
    ]
    return statistics.stdev(sums)

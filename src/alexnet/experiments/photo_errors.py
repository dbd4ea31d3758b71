"""The photos that the models of a claim predict wrongly, and intervals over both seeds and photos.

A difference of errors varies with the seed and with the photos that it is measured on. A crossed bootstrap
draws both with replacement, independently of each other. Sources: Owen 2007, "The pigeonhole bootstrap",
Annals of Applied Statistics 1(2); one seed fewer is drawn than there are, so that the variance of a mean over
few seeds is not underestimated: McCarthy and Snowden 1985, "The bootstrap and finite population sampling".
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt

from alexnet.data.store import Split
from alexnet.evaluation.metrics import true_ranks
from alexnet.experiments.arms import Arm, ArmRun
from alexnet.experiments.claims import Claim, Comparison
from alexnet.experiments.experiment_dir import ExperimentDir
from alexnet.experiments.measures import ErrorOf, FeaturesError, Gap, Last, Measure, predictions
from alexnet.experiments.validation import (
    VALIDATION,
    VIEWS,
    class_probabilities,
    training_sample,
)
from alexnet.io import write_whole
from alexnet.models import bundle
from alexnet.runs.run_dir import find_weights

PHOTOS_FILE = "photos.npz"
RESAMPLES = 2000

Scores = npt.NDArray[np.int8]
"""What each photo adds to the number: 1 for a wrong prediction; -1 where the error is subtracted; 0 for a
correct one. The number of a run is the mean over the photos, summed over the sets of photos."""


def photo_scores(measure: Measure, run: ArmRun) -> dict[str, Scores] | None:
    """The (P,) scores of a measure's photos, by set of photos; None if it is not about errors of photos, or
    the run diverged.
    """
    if run.diverged:
        return None
    match measure:
        case Last():
            return {_name(run.store.split(VALIDATION)): _wrong(run, VIEWS)}
        case ErrorOf(views):
            return {_name(run.store.split(VALIDATION)): _wrong(run, views)}
        case Gap():
            sample = training_sample(run.config, run.store)
            trained = bundle.load(find_weights(run.run.path), run.device, needs_weights=True)
            wrong = true_ranks(class_probabilities(trained, sample), sample.labels.astype(np.int64)) > 0
            return {
                _name(run.store.split(VALIDATION)): _wrong(run, VIEWS),
                _name(sample): -wrong.astype(np.int8),
            }
        case FeaturesError():
            wrong = measure.wrong(run)
            if wrong is None or run.target is None:
                return None
            return {_name(run.target.split(VALIDATION)): wrong.astype(np.int8)}
        case _:
            return None


def _wrong(run: ArmRun, views: str) -> Scores:
    made = predictions(run, views)
    return (true_ranks(made.probabilities, made.labels) > 0).astype(np.int8)


def _name(split: Split) -> str:
    """The split with a checksum of its keys: sets of photos with the same name are the same."""
    return f"{split.name}-{crc32(chr(10).join(split.keys()).encode()):08x}"


@dataclass(frozen=True)
class PhotoErrors:
    """`photo_scores` of the runs of a claim, as far as they are known."""

    scores: Mapping[tuple[str, str], Mapping[str, Scores]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, Scores]]
    )
    """By measure and run."""

    @classmethod
    def of_claim(cls, claim: Claim, experiment: ExperimentDir, seeds: Sequence[int]) -> PhotoErrors:
        """Those of all comparisons whose numbers are differences of errors, after training."""
        found: dict[tuple[str, str], Mapping[str, Scores]] = {}
        wanted = [
            pair
            for each in claim.comparisons
            if not each.left_out and not each.ratio
            for pair in _sides(each)
        ]
        for arm, measure in dict.fromkeys(wanted):
            for seed in seeds:
                run = experiment.arm_run(arm, seed)
                scores = photo_scores(measure, run) if run.finished else None
                if scores is not None:
                    found[measure.id, run.name] = scores
        return cls(found)

    def difference(
        self, comparison: Comparison, runs: Mapping[Arm, Sequence[ArmRun]]
    ) -> list[npt.NDArray[np.float64]]:
        """The scores of the first arm minus those of the second: for each set of photos (S, P), one row per
        seed, in the order of `runs`.

        Empty if they are not known for all runs, or the comparison has several arms on one side.
        """
        sides = _sides(comparison)
        if comparison.ratio or len(sides) != 1 + bool(comparison.second):
            return []
        sums: dict[str, npt.NDArray[np.float64]] = {}
        for (arm, measure), sign in zip(sides, (1.0, -1.0), strict=False):
            rows = [self.scores.get((measure.id, run.name)) for run in runs[arm]]
            known = [row for row in rows if row is not None]
            if len(known) < len(rows) or len({tuple(row) for row in known}) != 1:
                return []
            for name in known[0]:
                scores = np.stack([row[name] for row in known]).astype(np.float64)
                sums[name] = np.asarray(sums.get(name, 0.0) + sign * scores, np.float64)
        return list(sums.values())

    def save(self, folder: Path) -> None:
        """Writes `photos.npz`: an array `MEASURE/RUN/PHOTOS` (P,) of int8 for each set of photos."""
        file = io.BytesIO()
        arrays = {
            f"{measure}/{run}/{photos}": scores
            for (measure, run), sets in self.scores.items()
            for photos, scores in sets.items()
        }
        np.savez_compressed(file, allow_pickle=False, **arrays)
        write_whole(folder / PHOTOS_FILE, file.getvalue())


SEEDS_ALONE = PhotoErrors()
"""Nothing is known about photos: intervals are over seeds."""


def read_photo_errors(folder: Path) -> PhotoErrors:
    """What `PhotoErrors.save` wrote; without any if there is no such file."""
    found: dict[tuple[str, str], dict[str, Scores]] = {}
    if (folder / PHOTOS_FILE).is_file():
        with np.load(folder / PHOTOS_FILE) as arrays:
            for name in arrays.files:
                measure, run, photos = name.split("/")
                found.setdefault((measure, run), {})[photos] = arrays[name]
    return PhotoErrors(found)


def _sides(comparison: Comparison) -> list[tuple[Arm, Measure]]:
    """The arms with the measure of each."""
    other = comparison.other_measure or comparison.measure
    return [(arm, comparison.measure) for arm in comparison.first] + [
        (arm, other) for arm in comparison.second
    ]


def crossed_error(differences: Sequence[npt.NDArray[np.float64]], resamples: int = RESAMPLES) -> float:
    """The standard error of the mean over seeds and photos, from a crossed bootstrap.

    `differences` are (S, P) for each set of photos, with at least two seeds; the mean is the sum of the means
    of all sets. The draws are always the same.
    """
    random = np.random.default_rng(0)
    seeds, sets = draw(random, [each.shape for each in differences], resamples)
    means = np.zeros(resamples)
    for difference, photos in zip(differences, sets, strict=True):
        # The mean over the photos of each resample, then over its seeds.
        means += np.einsum("bs,bs->b", seeds, photos @ difference.T) / photos.sum(1) / seeds.sum(1)
    return float(means.std(ddof=1))


def draw(
    random: np.random.Generator, shapes: Sequence[tuple[int, ...]], resamples: int
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]:
    """How often each resample draws each seed, (B, S), and each photo of each set, (B, P).

    All sets have the same seeds. A resample has one seed fewer than there are, and as many photos.
    """
    count = shapes[0][0]
    seeds = random.multinomial(count - 1, np.full(count, 1 / count), size=resamples)
    return seeds, [random.multinomial(size, np.full(size, 1 / size), size=resamples) for _, size in shapes]

"""Intervals over seeds and photos: the crossed bootstrap, and the outcomes that a claim keeps for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reference import crossed_bootstrap as slow

from alexnet.experiments.arms import Arm, ArmRun
from alexnet.experiments.claims import ABOVE_0, Comparison
from alexnet.experiments.measures import Gap, Last
from alexnet.experiments.photo_errors import PhotoErrors, crossed_error, draw, read_photo_errors
from alexnet.experiments.verdict import t_interval


def scores(seeds: int, photos: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, (seeds, photos)).astype(np.float64)


def test_the_bootstrap_is_that_of_loops() -> None:
    differences = [scores(3, 7, 1), scores(3, 4, 2)]
    seeds, photos = draw(np.random.default_rng(0), [each.shape for each in differences], 40)
    assert (seeds.sum(1) == 2).all() and [set(each.sum(1)) for each in photos] == [{7}, {4}]
    assert crossed_error(differences, 40) == pytest.approx(slow.crossed_error(differences, seeds, photos))


def test_without_spread_over_photos_the_interval_is_students() -> None:
    numbers = [0.02, 0.05, 0.03, 0.1]
    same = np.repeat(np.array(numbers)[:, None], 50, axis=1)
    student, crossed = t_interval(numbers), t_interval(numbers, crossed_error([same], 20_000))
    assert (crossed.low, crossed.high) == pytest.approx((student.low, student.high), rel=0.02)


def test_without_spread_over_seeds_the_error_is_that_of_the_photos() -> None:
    photos = scores(1, 400, 3)
    error = crossed_error([np.repeat(photos, 3, axis=0)], 20_000)
    assert error == pytest.approx(float(photos.std()) / np.sqrt(400), rel=0.03)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Differences with an effect of the seed, of the photo and of both: about 95 of 100 intervals cover 0."""
    random, covered = np.random.default_rng(4), 0
    for _ in range(200):
        seed, photo = random.normal(0, 0.1, (5, 1)), random.normal(0, 1, (1, 60))
        found = seed + photo + random.normal(0, 0.5, (5, 60))
        interval = t_interval(found.mean(1).tolist(), crossed_error([found], 300))
        covered += interval.low < 0 < interval.high
    assert covered >= 190


class _Run(ArmRun):
    """A run that has only a name."""

    def __init__(self, name: str):
        object.__setattr__(self, "called", name)

    @property
    def name(self) -> str:
        return self.called  # pyright: ignore[reportAttributeAccessIssue]


ONE, OTHER = Arm("one"), Arm("other")
RUNS: dict[Arm, list[ArmRun]] = {
    arm: [_Run(f"{arm.name}-seed-{seed}") for seed in range(3)] for arm in (ONE, OTHER)
}
COMPARISON = Comparison(id="it", words="", measure=Last(), first=(ONE,), second=(OTHER,), band=ABOVE_0)


def made(measure: str = "validation-error", sets: tuple[str, ...] = ("val-0",)) -> PhotoErrors:
    random = np.random.default_rng(5)
    return PhotoErrors(
        {
            (measure, run.name): {name: random.integers(0, 2, 6, dtype=np.int8) for name in sets}
            for runs in RUNS.values()
            for run in runs
        }
    )


def test_the_second_arm_is_subtracted_photo_by_photo() -> None:
    known = made()
    (difference,) = known.difference(COMPARISON, RUNS)
    one, other = (known.scores["validation-error", f"{arm}-seed-1"]["val-0"] for arm in ("one", "other"))
    assert difference.shape == (3, 6) and difference[1].tolist() == (one - other.astype(float)).tolist()
    both = replace(COMPARISON, measure=Gap())
    assert len(made("overfitting", ("val-0", "train-1")).difference(both, RUNS)) == 2


def test_photos_are_left_out_unless_they_are_known_for_all_runs() -> None:
    known = made()
    assert not PhotoErrors().difference(COMPARISON, RUNS)
    assert not known.difference(replace(COMPARISON, measure=Gap()), RUNS)
    assert not known.difference(replace(COMPARISON, ratio=True), RUNS)
    assert not known.difference(replace(COMPARISON, first=(ONE, OTHER)), RUNS)
    fewer = {key: value for key, value in known.scores.items() if key[1] != "one-seed-2"}
    assert not PhotoErrors(fewer).difference(COMPARISON, RUNS)
    elsewhere = {**known.scores, ("validation-error", "one-seed-0"): {"val-9": np.zeros(6, np.int8)}}
    assert not PhotoErrors(elsewhere).difference(COMPARISON, RUNS)


def test_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    known = made()
    known.save(tmp_path)
    again = read_photo_errors(tmp_path)
    assert {
        key: {name: each.tolist() for name, each in sets.items()} for key, sets in again.scores.items()
    } == {key: {name: each.tolist() for name, each in sets.items()} for key, sets in known.scores.items()}
    assert not read_photo_errors(tmp_path / "nowhere").scores

"""Verdicts: an interval from one number per seed, and a verdict from an interval and a band."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, TypeVar

import numpy as np
from scipy.special import stdtrit

from alexnet.data.store import Store
from alexnet.experiments.arms import Arm, ArmRun
from alexnet.experiments.claim_results import (
    ArmValues,
    Band,
    ClaimData,
    ClaimEnvironment,
    ClaimResult,
    ComparisonResult,
    Interval,
    MeasuredValue,
    Verdict,
)
from alexnet.experiments.claims import MIN_SEEDS, TRAINED, Claim, Comparison
from alexnet.experiments.experiment_dir import ExperimentDir
from alexnet.experiments.measures import EnsembleGain, Measure
from alexnet.experiments.photo_errors import SEEDS_ALONE, PhotoErrors, crossed_error
from alexnet.experiments.validation import TRAINING_ERROR
from alexnet.runs.environment import processor
from alexnet.text import percentage

_Name = TypeVar("_Name", str, Arm)
_UNLESS_HELD: tuple[Verdict, ...] = ("failed", "still learning", "untested")
COVERS_BOTH = "the interval covers values inside and outside the band"
NO_SPREAD = "every seed gives the same number: these models have learned too little to differ"
NOTHING_LEARNED = "no model is better than chance: train longer, or on more photos"
LEARNED = 0.95
"""Fraction of the error at chance level above which a model has learned nothing."""


def t_interval(numbers: Sequence[float], error: float | None = None) -> Interval:
    """Mean and Student's 95 % interval of independent numbers, two or more.

    `error` is the standard error of the mean if it is known otherwise, such as `crossed_error`.
    Source: Student 1908, "The probable error of a mean".
    """
    values = np.asarray(numbers, np.float64)
    mean = float(values.mean())
    if error is None:
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, 0.975) * error)
    return Interval(mean, mean - half, mean + half)


def judge(interval: Interval, band: Band, at_least: bool = False) -> tuple[Verdict, str]:
    """The verdict and its reason; the reason is empty if the interval settles it.

    `at_least`: the numbers are lower bounds, so that the true ones may be anywhere above.
    """
    low, high = interval.low, interval.high
    if low > band.low and (math.isinf(band.high) if at_least else high < band.high):
        return "held", ""
    if low >= band.high or (high <= band.low and not at_least):
        return "failed", ""
    return "untested", COVERS_BOTH


def still_learning(training_errors: Mapping[str, Sequence[float]]) -> str:
    """Which arms have a model whose training error is above `TRAINED`, with the highest; empty for none.

    `training_errors` are fractions by arm, those at the end of training of each seed.
    """
    highest = {arm: max(errors, default=0.0) for arm, errors in training_errors.items()}
    found = [f"{arm} {percentage(error)}" for arm, error in highest.items() if error > TRAINED]
    return f"training errors above {100 * TRAINED:g} %: {', '.join(found)}" if found else ""


def combine(results: Sequence[ComparisonResult]) -> tuple[Verdict, str]:
    """The verdict of a claim and its reason, from the comparisons that decide it.

    Failed if any failed, held if all are held; else still learning if any is. A reason that several
    comparisons share is listed once.
    """
    deciding = [result for result in results if result.decides]
    for wanted in _UNLESS_HELD:
        by_reason: dict[str, list[str]] = {}
        for result in deciding:
            if result.verdict == wanted:
                by_reason.setdefault(result.reason, []).append(result.words)
        if by_reason:
            found = [("; ".join(words), reason) for reason, words in by_reason.items()]
            return wanted, "; ".join(f"{words}: {reason}" if reason else words for words, reason in found)
    return "held", ""


def judge_claim(
    claim: Claim, experiment: ExperimentDir, photos: PhotoErrors, seeds: Sequence[int] | None = None
) -> ClaimResult:
    """The results of a claim's comparisons, its verdict, and the environment; `seeds` replaces its own.

    Intervals cover the photos, too, where `photos` has what the models predicted for each.
    """
    used = tuple(seeds or claim.seeds)
    comparisons = tuple(compare(comparison, experiment, used, photos) for comparison in claim.comparisons)
    runs = [run for run in experiment.arm_runs([claim], used) if run.run.config_file.is_file()]
    verdict, reason = combine(comparisons)
    return ClaimResult(
        id=claim.id,
        statement=claim.statement,
        source=claim.source,
        verdict=verdict,
        reason=reason,
        remarks=claim.remarks,
        seeds=used,
        comparisons=comparisons,
        arms={run.arm.name: run.config for run in runs},
        runs=tuple(run.result() for run in runs if run.run.metrics_file.is_file()),
        data=_data(experiment),
        environment=_environment(runs),
        commands=(command(claim, experiment, used),),
    )


def command(claim: Claim, experiment: ExperimentDir, seeds: Sequence[int]) -> str:
    """The command that repeats it, with all stores in a folder `stores`."""
    words = ["alexnet", "claims", claim.id, "--store", _typed(experiment.store)]
    words += ["--run", experiment.path.resolve().name]
    if experiment.other is not None and any(arm.photos != "all" for arm in claim.arms):
        words += ["--other-store", _typed(experiment.other)]
    if tuple(seeds) != claim.seeds:
        words += ["--seeds", ",".join(map(str, seeds))]
    return shlex.join([*words, *experiment.settings])


def _typed(store: Store) -> str:
    return f"stores/{store.path.resolve().name}"


def _data(experiment: ExperimentDir) -> ClaimData:
    store = experiment.store
    counts = {name: len(store.split(name)) for name in store.splits}
    about = experiment.about()
    settings = tuple(about.pop("settings"))
    return ClaimData(**about, settings=settings, photos=counts, classes=len(store.classes), side=store.side)


def _environment(runs: Sequence[ArmRun]) -> ClaimEnvironment:
    """The environment of the runs, without paths of one machine."""
    found = [run.run.environment() for run in runs if run.run.environment_file.is_file()]

    def distinct(name: str) -> tuple[Any, ...]:
        values = [getattr(each, name) for each in found]
        return tuple(value for place, value in enumerate(values) if value not in values[:place])

    return ClaimEnvironment(
        device=distinct("device"),
        processor=distinct("processor"),
        cores=distinct("cores"),
        python=distinct("python"),
        packages=distinct("packages"),
        commit=distinct("commit"),
        uncommitted_changes=any(each.uncommitted_changes for each in found),
        measured_on=processor(),
    )


def compare(
    comparison: Comparison,
    experiment: ExperimentDir,
    seeds: Sequence[int],
    photos: PhotoErrors = SEEDS_ALONE,
) -> ComparisonResult:
    """The measured numbers and the verdict; `untested`, with the reason, if seeds or numbers are missing."""
    blank = ComparisonResult(
        id=comparison.id,
        words=comparison.words,
        measure=comparison.measure.id,
        first=tuple(arm.name for arm in comparison.first),
        second=tuple(arm.name for arm in comparison.second),
        unit=comparison.unit,
        band=comparison.band,
        paper=comparison.paper,
        decides=comparison.decides,
        over="photos" if isinstance(comparison.measure, EnsembleGain) else "seeds",
    )
    if comparison.left_out:
        return replace(blank, reason=comparison.left_out)
    runs = {arm: [experiment.arm_run(arm, seed) for seed in seeds] for arm in dict.fromkeys(comparison.arms)}
    unfinished = [run.name for each in runs.values() for run in each if not run.finished]
    if unfinished:
        more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
        return replace(blank, reason=f"not trained yet: {unfinished[0]}{more}")
    found = _Compared(comparison, blank, runs, tuple(seeds), photos)
    if isinstance(comparison.measure, EnsembleGain):
        return found.over_photos(comparison.measure)
    return found.over_seeds()


def too_few(comparison: Comparison, seeds: Sequence[int]) -> str:
    """Why these seeds are too few for a verdict; empty if they are enough."""
    if len(seeds) < MIN_SEEDS:
        return f"{len(seeds)} seed{'s' * (len(seeds) != 1)}, but a verdict needs {MIN_SEEDS} or more"
    measure = comparison.measure
    if isinstance(measure, EnsembleGain) and len(seeds) < measure.models:
        return f"{measure.models} models are needed: type --seeds 0,1,2,3,4"
    return ""


def without_verdict(claims: Sequence[Claim], seeds: Sequence[int] | None) -> list[str]:
    """A line for each comparison with too few seeds, or one line if this concerns a whole claim.

    `seeds` replaces each claim's own.
    """
    lines: list[str] = []
    for claim in claims:
        tested = [each for each in claim.comparisons if not each.left_out]
        why = {each.words: reason for each in tested if (reason := too_few(each, seeds or claim.seeds))}
        if len(why) == len(tested) and len({*why.values()}) == 1:
            why = {"all of it": next(iter(why.values()))}
        lines.extend(f"{claim.id}: {words} will be untested: {reason}" for words, reason in why.items())
    return lines


def best_arm(values: Mapping[_Name, Sequence[MeasuredValue | None]]) -> _Name:
    """The arm with the lowest mean over its seeds; `values` are by arm.

    One arm for all seeds, so that no seed chooses for itself. Arms with missing values come last, and those
    with censored ones before them; of equals, the one that came closest is the best.
    """

    def rank(arm: _Name) -> tuple[int, int, float, float]:
        there = [value for value in values[arm] if value is not None]
        censored = sum(value.at_least for value in there)
        return (
            len(values[arm]) - len(there),
            censored,
            fmean(value.number for value in there) if there else 0.0,
            fmean(value.missed_by for value in there) if there else 0.0,
        )

    return min(values, key=rank)


def unbracketed(made: ComparisonResult) -> str:
    """Which arm is the best of a search although it is the first or last one tried; empty if none is.

    Beyond the end of such a search there may be a better arm, which would move the result towards the end of
    the band. Of arms whose values are all censored, the best is the one that came closest.
    """
    sides = [made.first] if math.isinf(made.band.high) else [made.first, made.second]
    for side in (side for side in sides if len(side) > 1):
        values = {each.arm: each.values for each in made.values if each.arm in side}
        best = best_arm(values)
        if best in (side[0], side[-1]):
            return f"{best} is the best of its kind, but the first or last that was tried"
    return ""


@dataclass(frozen=True)
class _Compared:
    """A comparison whose runs are all finished."""

    comparison: Comparison
    blank: ComparisonResult
    """The result without measured numbers."""
    runs: dict[Arm, list[ArmRun]]
    """The runs of each arm, in the order of the seeds."""
    seeds: tuple[int, ...]
    photos: PhotoErrors

    def over_seeds(self) -> ComparisonResult:
        comparison = self.comparison
        measures = comparison.measure, comparison.other_measure or comparison.measure
        sides = tuple(
            {arm: list[MeasuredValue | None]() for arm in arms}
            for arms in (comparison.first, comparison.second)
        )
        # Seed by seed, so that timings drift in the same way for all arms.
        for place in range(len(self.seeds)):
            for side, measure in zip(sides, measures, strict=True):
                for arm, found in side.items():
                    found.append(self._value(self.runs[arm][place], measure))
        measured = {
            (arm.name, measure.id): tuple(found)
            for side, measure in zip(sides, measures, strict=True)
            for arm, found in side.items()
        }
        made = replace(self.blank, values=tuple(ArmValues(*key, found) for key, found in measured.items()))
        return self._between(*(best_arm(side) for side in sides if side))._judged_over_seeds(made)

    def _between(self, first: Arm, second: Arm | None = None) -> _Compared:
        """The comparison of these two arms, the best ones of their sides, alone."""
        arms = (first, second) if second else (first,)
        comparison = replace(self.comparison, first=(first,), second=arms[1:])
        return replace(self, comparison=comparison, runs={arm: self.runs[arm] for arm in arms})

    def _judged_over_seeds(self, made: ComparisonResult) -> ComparisonResult:
        """`made` has the values of all arms, and `self` compares two of them, or has one."""
        comparison = self.comparison
        values = {(each.arm, each.measure): each.values for each in made.values}
        other = comparison.other_measure or comparison.measure
        first = values[comparison.first[0].name, comparison.measure.id]
        second = values[comparison.second[0].name, other.id] if comparison.second else (None,) * len(first)
        pairs = list(zip(first, second, strict=True))
        why = _why_no_numbers(comparison, pairs)
        numbers = () if why else tuple(_number(comparison, *pair) for pair in pairs)
        at_least = any(first is not None and first.at_least for first, _ in pairs)
        made = replace(made, numbers=numbers, count=len(numbers), at_least=at_least)
        if why := too_few(comparison, self.seeds) or why:
            return replace(made, reason=why)
        if comparison.unit == "points" and len({*numbers}) == 1:
            return replace(made, numbers=(), count=0, at_least=False, reason=NO_SPREAD)
        if why := unbracketed(made):
            return replace(made, interval=t_interval(numbers), reason=why)
        differences = self.photos.difference(comparison, self.runs)
        if not differences:
            return self._judged(made, t_interval(numbers))
        made = replace(made, photos=sum(each.shape[1] for each in differences))
        return self._judged(made, t_interval(numbers, crossed_error(differences)))

    def over_photos(self, measure: EnsembleGain) -> ComparisonResult:
        if why := too_few(self.comparison, self.seeds):
            return replace(self.blank, reason=why)
        runs = [run for arm in self.comparison.first for run in self.runs[arm]]
        numbers = measure.of_photos(runs)
        if numbers is None:
            return replace(self.blank, reason=f"{measure.models} models that did not diverge are needed")
        return self._judged(replace(self.blank, count=len(numbers)), t_interval(numbers))

    def _judged(self, made: ComparisonResult, interval: Interval) -> ComparisonResult:
        """As `judge`, but without a verdict if no model has learned anything: their errors do not differ."""
        runs = [run for each in self.runs.values() for run in each]
        if self.comparison.unit == "points" and not any(map(_has_learned, runs)):
            return replace(made, interval=interval, reason=NOTHING_LEARNED)
        measures = (self.comparison.measure, self.comparison.other_measure)
        if any(each is not None and each.of_trained for each in measures):
            errors = {
                arm.name: [run.tests[-1][TRAINING_ERROR] for run in each if not run.diverged]
                for arm, each in self.runs.items()
            }
            if learning := still_learning(errors):
                return replace(made, interval=interval, verdict="still learning", reason=learning)
        verdict, reason = judge(interval, self.comparison.band, made.at_least)
        return replace(made, interval=interval, verdict=verdict, reason=reason)

    def _value(self, run: ArmRun, measure: Measure) -> MeasuredValue | None:
        """From the scores of the photos where they are known, so that the interval is of the same numbers."""
        known = self.photos.scores.get((measure.id, run.name))
        if known is None:
            return measure.of(run)
        return MeasuredValue(float(sum(scores.mean() for scores in known.values())))


def _has_learned(run: ArmRun) -> bool:
    chance = 1 - 1 / len(run.store.classes)
    return not run.diverged and run.tests[-1]["top1_error"] < LEARNED * chance


def _why_no_numbers(
    comparison: Comparison, pairs: Sequence[tuple[MeasuredValue | None, MeasuredValue | None]]
) -> str:
    """Why there are no numbers; empty if there are."""
    for first, second in pairs:
        if first is None or (second is None and comparison.second):
            return "a model has no such number: it diverged, was trained for less, or is built otherwise"
        if second is not None and second.at_least:
            names = ", ".join(arm.name for arm in comparison.second)
            return f"{names} needed more than {second.number:g} {comparison.measure.words}"
    return ""


def _number(comparison: Comparison, first: MeasuredValue | None, second: MeasuredValue | None) -> float:
    assert first is not None
    if second is None:
        return first.number
    return first.number / second.number if comparison.ratio else first.number - second.number

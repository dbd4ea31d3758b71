"""From one number per seed to an interval, and from an interval and a band to a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from alexnet.experiments.claims import LEAST_SEEDS, Arm, ArmRun, Band, Claim, Comparison, Measure, Value
from alexnet.experiments.experiment_dir import ExperimentDir
from alexnet.experiments.measures import EnsembleGain

Verdict = Literal["held", "failed", "untested"]
COVERS_BOTH = "the interval covers both what holds and what does not"


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def t_interval(numbers: Sequence[float]) -> Interval:
    """Mean and Student's 95 % interval of independent numbers, two or more.

    Source: Student 1908, "The probable error of a mean".
    """
    values = np.asarray(numbers, np.float64)
    mean = float(values.mean())
    half = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def judge(interval: Interval, band: Band, at_least: bool = False) -> tuple[Verdict, str]:
    """The verdict and its reason; the reason is empty where the interval says all.

    `at_least`: the numbers are lower bounds, so that nothing is known of how far up they reach.
    """
    low, high = interval.low, interval.high
    if low > band.low and (math.isinf(band.high) if at_least else high < band.high):
        return "held", ""
    if low >= band.high or (high <= band.low and not at_least):
        return "failed", ""
    return "untested", COVERS_BOTH


def together(verdicts: Sequence[tuple[str, Verdict, str]]) -> tuple[Verdict, str]:
    """The verdict of a claim from those of what decides it: words, verdict, reason of each.

    Failed if any failed, held if all are held. A reason is said once for all that have it.
    """
    for wanted in ("failed", "untested"):
        by_reason: dict[str, list[str]] = {}
        for words, verdict, reason in verdicts:
            if verdict == wanted:
                by_reason.setdefault(reason, []).append(words)
        if by_reason:
            found = [("; ".join(words), reason) for reason, words in by_reason.items()]
            return wanted, "; ".join(f"{words}: {reason}" if reason else words for words, reason in found)
    return "held", ""


Values = Mapping[str, Sequence[Value | None]]
"""What was measured of each arm, seed by seed; None where it has no such number."""

NO_SPREAD = "every seed gives the same number: these nets have learned too little to differ"
NOTHING_LEARNED = "no net is better than guessing: train longer, or on more photos"
LEARNED = 0.95
"""Of the error of guessing: a net that ends above this share of it has learned nothing."""


@dataclass(frozen=True)
class Finding:
    """What one comparison found."""

    comparison: Comparison
    values: Values
    numbers: Sequence[float]
    """One for each seed, or each photo; none where something is missing."""
    interval: Interval | None
    verdict: Verdict
    reason: str
    """Why there is no verdict; empty where the interval says all."""
    at_least: bool = False
    """Some numbers are lower bounds: what they wait for did not come in the whole run."""


def findings(claim: Claim, workshop: ExperimentDir, seeds: Sequence[int] | None = None) -> list[Finding]:
    """What each of a claim's comparisons found, in order; `seeds` instead of the claim's own."""
    return [find(comparison, workshop, seeds or claim.seeds) for comparison in claim.comparisons]


def verdict(found: Sequence[Finding]) -> tuple[Verdict, str]:
    """The claim's verdict and its reason, from what decides it."""
    return together(
        [(each.comparison.words, each.verdict, each.reason) for each in found if each.comparison.decides]
    )


def find(comparison: Comparison, workshop: ExperimentDir, seeds: Sequence[int]) -> Finding:
    """Measures and judges; `untested`, with the reason, where seeds or numbers are missing."""
    if comparison.left_out:
        return _untested(comparison, {}, comparison.left_out)
    unfinished = [
        trial.name
        for arm in dict.fromkeys(comparison.arms)
        for seed in seeds
        if not (trial := workshop.trial(arm, seed)).finished
    ]
    if unfinished:
        more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
        return _untested(comparison, {}, f"not trained yet: {unfinished[0]}{more}")
    if isinstance(comparison.measure, EnsembleGain):
        return _of_photos(comparison, comparison.measure, workshop, seeds)
    return _of_seeds(comparison, workshop, seeds)


def too_few(comparison: Comparison, seeds: Sequence[int]) -> str:
    """Why these seeds are not enough for a verdict, whatever is measured; empty where they are."""
    if len(seeds) < LEAST_SEEDS:
        return f"{len(seeds)} seed{'s' * (len(seeds) != 1)}, a verdict takes {LEAST_SEEDS} or more"
    measure = comparison.measure
    if isinstance(measure, EnsembleGain) and len(seeds) < measure.nets:
        return f"it takes {measure.nets} nets: type --seeds 0,1,2,3,4"
    return ""


def without_verdict(claims: Sequence[Claim], seeds: Sequence[int] | None) -> list[str]:
    """A line for each comparison that the seeds are too few for, or one where that is a whole claim.

    `seeds` instead of each claim's own.
    """
    lines: list[str] = []
    for claim in claims:
        tested = [each for each in claim.comparisons if not each.left_out]
        why = {each.words: reason for each in tested if (reason := too_few(each, seeds or claim.seeds))}
        if len(why) == len(tested) and len({*why.values()}) == 1:
            why = {"all of it": next(iter(why.values()))}
        lines.extend(f"{claim.id}: {words} will be untested: {reason}" for words, reason in why.items())
    return lines


def least(values: Sequence[Value | None]) -> Value | None:
    """The lowest number; one that was not reached counts only where none was. None where there is none."""
    numbers = [value for value in values if value is not None]
    reached = [value for value in numbers if not value.at_least]
    return min(reached or numbers, key=lambda value: value.number, default=None)


def _of_seeds(comparison: Comparison, workshop: ExperimentDir, seeds: Sequence[int]) -> Finding:
    # Seed by seed, so that what is timed here drifts alike for all arms.
    other = comparison.other_measure or comparison.measure
    values: dict[str, list[Value | None]] = {}
    pairs: list[tuple[Value | None, Value | None]] = []
    for seed in seeds:
        first = _side(comparison.first, comparison.measure, workshop, seed)
        second = _side(comparison.second, other, workshop, seed)
        for name, value in {**first, **second}.items():
            values.setdefault(name, []).append(value)
        pairs.append((least([*first.values()]), least([*second.values()])))
    why = _why_no_numbers(comparison, pairs)
    numbers = [] if why else [_number(comparison, *pair) for pair in pairs]
    at_least = any(first is not None and first.at_least for first, _ in pairs)
    why = too_few(comparison, seeds) or why
    if why:
        return Finding(comparison, values, numbers, None, "untested", why, at_least)
    if comparison.unit == "points" and len({*numbers}) == 1:
        return _untested(comparison, values, NO_SPREAD)
    interval = t_interval(numbers)
    found = _judged(interval, comparison, workshop, seeds, at_least)
    return Finding(comparison, values, numbers, interval, *found, at_least)


def _of_photos(
    comparison: Comparison, measure: EnsembleGain, workshop: ExperimentDir, seeds: Sequence[int]
) -> Finding:
    if why := too_few(comparison, seeds):
        return _untested(comparison, {}, why)
    numbers = measure.of_photos([workshop.trial(arm, seed) for arm in comparison.first for seed in seeds])
    if numbers is None:
        return _untested(comparison, {}, f"it takes {measure.nets} nets that did not diverge")
    interval = t_interval(numbers)
    return Finding(comparison, {}, numbers, interval, *_judged(interval, comparison, workshop, seeds))


def _judged(
    interval: Interval,
    comparison: Comparison,
    workshop: ExperimentDir,
    seeds: Sequence[int],
    at_least: bool = False,
) -> tuple[Verdict, str]:
    """As `judge`, but for errors of nets that have learned nothing: they are alike, whatever the nets."""
    trials = [workshop.trial(arm, seed) for arm in dict.fromkeys(comparison.arms) for seed in seeds]
    if comparison.unit == "points" and not any(map(_has_learned, trials)):
        return "untested", NOTHING_LEARNED
    return judge(interval, comparison.band, at_least)


def _has_learned(trial: ArmRun) -> bool:
    guessing = 1 - 1 / len(trial.store.classes)
    return not trial.diverged and trial.tests[-1]["top1_error"] < LEARNED * guessing


def _side(
    arms: Sequence[Arm], measure: Measure, workshop: ExperimentDir, seed: int
) -> dict[str, Value | None]:
    return {f"{arm.name}: {measure.words}": measure.of(workshop.trial(arm, seed)) for arm in arms}


def _why_no_numbers(comparison: Comparison, pairs: Sequence[tuple[Value | None, Value | None]]) -> str:
    """Why there are no numbers; empty where there are."""
    for first, second in pairs:
        if first is None or (second is None and comparison.second):
            return "a net has no such number: it diverged, was trained for less, or is built otherwise"
        if second is not None and second.at_least:
            names = ", ".join(arm.name for arm in comparison.second)
            return f"{names} needed more than {second.number:g} {comparison.measure.words}"
    return ""


def _number(comparison: Comparison, first: Value | None, second: Value | None) -> float:
    assert first is not None
    if second is None:
        return first.number
    return first.number / second.number if comparison.ratio else first.number - second.number


def _untested(comparison: Comparison, values: Values, reason: str) -> Finding:
    return Finding(comparison, values, [], None, "untested", reason)

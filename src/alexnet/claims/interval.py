"""From one number per seed to an interval, and from an interval and a band to a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from alexnet.claims.claim import Band

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

"""Schedules as tables: the rate of every step of a run, built by walking through it."""

from __future__ import annotations

import math


def warmed_up(rates: list[float], warmup_steps: int) -> list[float]:
    """A straight line from 0 to the first rate, which it reaches in its last step, then `rates`."""
    return [rates[0] * number / warmup_steps for number in range(1, warmup_steps + 1)] + rates


def step(first: float, factor: float, every: int, steps: int) -> list[float]:
    rates, rate = [], first
    for number in range(steps):
        if number and number % every == 0:
            rate *= factor
        rates.append(rate)
    return rates


def milestones(first: float, factor: float, drops: list[int], steps: int) -> list[float]:
    rates, rate = [], first
    for number in range(steps):
        rate *= factor ** drops.count(number)
        rates.append(rate)
    return rates


def cosine(first: float, min_lr_ratio: float, steps: int) -> list[float]:
    last = first * min_lr_ratio
    middle, half = (first + last) / 2, (first - last) / 2
    return [middle + half * math.cos(math.pi * number / steps) for number in range(steps)]


def four_phases(steps: int) -> list[float]:
    """Source: the rates of released net 170, in its own three digits."""
    boundaries = [steps * quarter / 4 for quarter in (1, 2, 3, 4)]
    rates = [0.01, 0.00158, 0.00025, 0.00004]
    return [
        next(rate for rate, end in zip(rates, boundaries, strict=True) if number < end)
        for number in range(steps)
    ]


def plateau_drops(errors: list[float], patience: int, min_improvement: float) -> list[int]:
    """Number of plateaus after each error, searched for in the whole list each time."""
    counts = []
    for length in range(1, len(errors) + 1):
        best, since, count = math.inf, 0, 0
        for error in errors[:length]:
            if error <= best - min_improvement:
                best, since = error, 0
            else:
                since += 1
            if since == patience:
                count, since = count + 1, 0
        counts.append(count)
    return counts

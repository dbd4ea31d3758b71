"""Counts and percentages in lines of text, written alike everywhere."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `1,200 epochs`, `2 batches`."""
    plural = f"{noun}es" if noun.endswith(("tch", "s", "x")) else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def first_few(names: Sequence[str], most: int) -> str:
    """`a, b, c`, or `a, b, ...` if there are more than `most`."""
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def percentage(fraction: float) -> str:
    """`16.7 %`; two decimals below 1 %, as in tables."""
    return f"{100 * fraction:.{2 if 0 < fraction < 0.01 else 1}f} %"


def duration(seconds: float) -> str:
    """`0.031 s`, `12 s`, `5 min` or `2 h 10 min`."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

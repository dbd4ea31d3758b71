"""Counts and percentages in lines of text, written alike everywhere."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `1,200 epochs`, `2 batches`."""
    plural = f"{noun}es" if noun.endswith(("tch", "s", "x")) else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def percentage(fraction: float) -> str:
    """`16.7 %`; two decimals below 1 %, as in tables."""
    return f"{100 * fraction:.{2 if 0 < fraction < 0.01 else 1}f} %"

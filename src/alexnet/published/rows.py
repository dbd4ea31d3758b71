"""Types of published results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    """One published result."""

    system: str
    data: str
    """Data set and split: `ILSVRC-2012 val`."""
    views: str
    """Views as in evaluations: `ten`, `dense@256,384,512`; empty if unknown."""
    top1: float | None
    """Error; None if none was published."""
    top5: float | None
    source: str
    recipe: str = ""
    """Our recipe for the same system, if there is one."""


@dataclass(frozen=True)
class BoxRow:
    """One published result of localization or detection."""

    system: str
    data: str
    value: float
    """Top-5 error of class and box, or mean average precision; 0 to 1."""
    source: str


@dataclass(frozen=True)
class Gain:
    """Reductions of the error by one ingredient, according to the paper; fractions."""

    ingredient: str
    top1: float
    top5: float | None
    source: str


VAL = "ILSVRC-2012 val"
TEST = "ILSVRC-2012 test"

"""What a published result is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One published result."""

    system: str
    data: str
    """Data set and part: `ILSVRC-2012 val`."""
    views: str
    """As in evaluations: `ten`, `dense@256,384,512`; or empty where the publication does not say."""
    top1: float | None
    """Error; None where none was published."""
    top5: float | None
    source: str
    recipe: str = ""
    """Our recipe of the same system, if there is one."""


@dataclass(frozen=True)
class BoxRow:
    """One published result of where things are."""

    system: str
    data: str
    value: float
    """Top-5 error of class and box, or mean average precision; 0 to 1."""
    source: str


@dataclass(frozen=True)
class Gain:
    """What the paper says one ingredient is worth: points of error it takes away, as fractions."""

    ingredient: str
    top1: float
    top5: float | None
    source: str


VAL = "ILSVRC-2012 val"
TEST = "ILSVRC-2012 test"

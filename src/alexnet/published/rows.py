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


VAL = "ILSVRC-2012 val"
TEST = "ILSVRC-2012 test"

"""Trials of attacks, how each ended, and the table of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from alexnet.errors import AlexNetError

Outcome = Literal["noticed", "harmless", "silent wrong", "traceback", "left over"]
HELD: tuple[Outcome, ...] = ("noticed", "harmless")
"""A clear error in one line, or the same result as without the attack."""
FAILED: tuple[Outcome, ...] = ("silent wrong", "traceback", "left over")


@dataclass(frozen=True)
class Trial:
    """One attack and its outcome."""

    attack: str
    """Such as `mutation of a store`."""
    what: str
    """The file, and what was done to it."""
    seed: int
    outcome: Outcome
    detail: str = ""

    @property
    def held(self) -> bool:
        """Whether the program did what is promised."""
        return self.outcome in HELD


def judged(observe: Callable[[], Any], wanted: Any) -> tuple[Outcome, str]:
    """The outcome of `observe`, which would return `wanted` without an attack; and what it was instead."""
    try:
        found = observe()
    except AlexNetError as error:
        return ("traceback" if "\n" in str(error) else "noticed"), str(error)
    except Exception:  # that is what is looked for
        return "traceback", " | ".join(traceback.format_exc().splitlines()[-3:])
    return ("harmless", "") if found == wanted else ("silent wrong", repr(found)[:2000])


def table(trials: Iterable[Trial]) -> list[str]:
    """A row for each attack: how often it was tried, held and failed."""
    by_attack: dict[str, list[Trial]] = {}
    for each in trials:
        by_attack.setdefault(each.attack, []).append(each)
    columns = ("tried", "held", *FAILED)
    lines = [
        " | ".join((f"{'attack':28}", *columns)),
        " | ".join(("-" * 28, *("-" * len(each) for each in columns))),
    ]
    for attack, found in sorted(by_attack.items()):
        counts = [len(found), sum(each.held for each in found)]
        counts += [sum(each.outcome == outcome for each in found) for outcome in FAILED]
        cells = (f"{count:>{len(column)},}" for count, column in zip(counts, columns, strict=True))
        lines.append(" | ".join((f"{attack:28}", *cells)))
    return lines

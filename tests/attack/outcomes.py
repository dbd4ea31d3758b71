"""Trials of attacks, and how each ended."""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal
from unittest import mock

from alexnet.cli.main import main
from alexnet.errors import AlexNetError

Outcome = Literal["noticed", "harmless", "silent wrong", "traceback", "unexpected", "left over"]
HELD: tuple[Outcome, ...] = ("noticed", "harmless")
"""A clear error in one line, or the same result as without the attack."""


@dataclass(frozen=True)
class Trial:
    """One attack and its outcome."""

    attack: str
    """Such as `mutation of a store`; the first word is one of `tools.attacks.GROUPS`."""
    what: str
    """The file, and what was done to it."""
    seed: int
    outcome: Outcome
    detail: str = ""
    moments: int = 0
    """At which the attacked command can be killed; 0 for other attacks."""

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


def judged_as_command(work: Callable[[], object]) -> tuple[Outcome, str]:
    """The outcome of `work` as a command: what the command line prints of it, and its exit code."""
    errors = io.StringIO()
    command = mock.patch.dict(sys.modules, {"alexnet.cli.recipes": SimpleNamespace(command=lambda: work())})
    with command, contextlib.redirect_stderr(errors):
        code = main(["recipes"])
    shown = errors.getvalue()
    if "Traceback" in shown or shown.count("\n") != int(code != 0):
        return "traceback", shown[-2000:]
    if shown.startswith("alexnet: unexpected"):
        return "unexpected", shown
    return ("noticed" if code else "harmless"), shown

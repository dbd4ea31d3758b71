"""Mutates one file at a time, and sorts what comes of it."""

from __future__ import annotations

import random
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from attack.mutations import MUTATIONS, Mutation, mutate
from attack.subject import OBSERVED, Subject, attempt

from alexnet.errors import AlexNetError

Outcome = Literal["noticed", "harmless", "silent wrong", "traceback"]


@dataclass(frozen=True)
class Trial:
    """One damaged file and its outcome."""

    part: str
    file: str
    mutation: str
    seed: int
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class MutationAttack:
    """A subject, and what is observed of it undamaged."""

    subject: Subject
    scratch: Path
    usual: dict[str, list[Any]]

    @classmethod
    def on(cls, subject: Subject, scratch: Path) -> MutationAttack:
        """Observes the undamaged subject, in copies."""
        usual: dict[str, list[Any]] = {}
        for part, observers in OBSERVED.items():
            usual[part] = []
            for observe in observers:
                copy = subject.copy(scratch / "copy")
                usual[part].append(observe(copy))
                shutil.rmtree(copy.folder)
        return cls(subject, scratch, usual)

    def trials(self, part: str, seed: int, files: Sequence[Path] | None = None) -> list[Trial]:
        """One mutation of one file of a part, for each thing that is observed of it."""
        chance = random.Random(seed)
        file = chance.choice(files or self.subject.files(part)).relative_to(self.subject.folder)
        return self.trial(part, file, chance.choice(MUTATIONS), seed)

    def trial(self, part: str, file: Path, mutation: Mutation, seed: int) -> list[Trial]:
        """The outcomes of a mutation of a file; none if it would not change it."""
        found: list[Trial] = []
        for observe, wanted in zip(OBSERVED[part], self.usual[part], strict=True):
            copy = self.subject.copy(self.scratch / "copy")
            try:
                if mutate(copy.folder / file, mutation, random.Random(seed)):
                    outcome, detail = _outcome(attempt_all(observe, copy), wanted)
                    found.append(Trial(part, str(file), mutation.__name__, seed, outcome, detail))
            finally:
                shutil.rmtree(copy.folder)
        return found


def attempt_all(observe: Any, copy: Subject) -> Any:
    """As `attempt`, with other exceptions in place of what is observed."""
    try:
        return attempt(observe, copy)
    except Exception:
        return traceback.format_exc().splitlines()


def _outcome(found: Any, wanted: Any) -> tuple[Outcome, str]:
    if isinstance(found, AlexNetError):
        text = str(found)
        return ("noticed", text) if "\n" not in text else ("traceback", text)
    if isinstance(found, list) and found[:1] == ["Traceback (most recent call last):"]:
        return "traceback", " | ".join(found[-3:])
    return ("harmless", "") if found == wanted else ("silent wrong", f"{found!r}"[:2000])

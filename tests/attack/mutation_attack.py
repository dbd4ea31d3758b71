"""Damages one file at a time of a store, a run, or a model of another form."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from attack.mutations import MUTATIONS, Mutation, mutate
from attack.outcomes import Trial, judged
from attack.subject import OBSERVED, Observer, Subject


@dataclass(frozen=True)
class MutationAttack:
    """A subject, and what is observed of it undamaged."""

    subject: Subject
    scratch: Path
    observed: Mapping[str, Sequence[Observer]]
    """What is observed of each part."""
    usual: Mapping[str, list[Any]]

    @classmethod
    def on(
        cls, subject: Subject, scratch: Path, observed: Mapping[str, Sequence[Observer]] = OBSERVED
    ) -> MutationAttack:
        """Observes the undamaged subject, in copies."""
        usual: dict[str, list[Any]] = {}
        for part, observers in observed.items():
            usual[part] = []
            for observe in observers:
                copy = subject.copy(scratch / "copy")
                usual[part].append(observe(copy))
                shutil.rmtree(copy.folder)
        return cls(subject, scratch, observed, usual)

    def trials(self, part: str, seed: int) -> list[Trial]:
        """A random mutation of a random file of a part, for each thing that is observed of it."""
        chance = random.Random(seed)
        file = chance.choice(self.subject.files(part)).relative_to(self.subject.folder)
        return self.trials_of(part, file, chance.choice(MUTATIONS), seed)

    def trials_of(self, part: str, file: Path, mutation: Mutation, seed: int) -> list[Trial]:
        """The outcomes of a mutation of a file; none if it would not change it."""
        found: list[Trial] = []
        for observe, wanted in zip(self.observed[part], self.usual[part], strict=True):
            copy = self.subject.copy(self.scratch / "copy")
            try:
                if mutate(copy.folder / file, mutation, random.Random(seed)):
                    outcome, detail = judged(partial(observe, copy), wanted)
                    what = f"{mutation.__name__} of {file}"
                    found.append(Trial(f"mutation of {part}", what, seed, outcome, detail))
            finally:
                shutil.rmtree(copy.folder)
        return found

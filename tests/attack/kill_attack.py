"""Kills commands at the moments at which they change the file system, and repeats them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tiny
from attack.kills import count, killed_at
from attack.outcomes import Trial, judged
from attack.subject import (
    EXPORT,
    PHOTOS,
    RUN,
    STOPPED,
    STORE,
    Subject,
    observe_export,
    observe_prepare,
    observe_resumed,
    observe_run,
    train_here,
)

import alexnet
from alexnet.analysis.features import features_of
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.evaluation.inference import InferenceOptions
from alexnet.interop.export import export
from alexnet.runs.run_dir import RunDir


class Command(NamedTuple):
    """What is killed, and what must be the same when it is repeated."""

    before: Callable[[Subject], object]
    """Removes what the command would find done."""
    work: Callable[[Subject], object]
    observe: Callable[[Subject], Any]


def _prepare(subject: Subject) -> None:
    source = open_source(subject.folder / PHOTOS)
    settings = tiny.PrepareSettings(side=tiny.SIDE_PIXELS, encoding="raw")
    prepare(source, subject.folder / STORE, settings, workers=1)


def _evaluate(subject: Subject) -> None:
    alexnet.evaluate(subject.folder / RUN, Store.open(subject.folder / STORE), device="cpu")


def _features(subject: Subject) -> None:
    store = Store.open(subject.folder / STORE)
    features_of(RunDir(subject.folder / RUN), store, options=InferenceOptions(device="cpu"))


def _removing(*names: str) -> Callable[[Subject], None]:
    def remove(subject: Subject) -> None:
        for name in names:
            shutil.rmtree(subject.folder / name, ignore_errors=True)

    return remove


COMMANDS = {
    "train": Command(_removing(), lambda it: train_here(it, STOPPED, resume=True), observe_resumed),
    "export": Command(_removing(), lambda it: export(it.folder / RUN, it.folder / EXPORT), observe_export),
    "evaluate": Command(_removing(f"{RUN}/predictions"), _evaluate, observe_run),
    "similar": Command(_removing(f"{RUN}/features"), _features, observe_run),
    "prepare": Command(_removing(STORE), _prepare, observe_prepare),
}


@dataclass(frozen=True)
class KillAttack:
    """A subject, and for each command its moments and what is observed afterwards."""

    subject: Subject
    scratch: Path
    moments: dict[str, int]
    usual: dict[str, Any]

    @classmethod
    def on(cls, subject: Subject, scratch: Path) -> KillAttack:
        """Runs each command once, in a copy, to count the moments at which it can be killed."""
        moments: dict[str, int] = {}
        usual: dict[str, Any] = {}
        for name, command in COMMANDS.items():
            copy = subject.copy(scratch / "copy")
            command.before(copy)
            moments[name] = count(partial(command.work, copy))
            usual[name] = command.observe(copy)
            shutil.rmtree(copy.folder)
        return cls(subject, scratch, moments, usual)

    def random_trial(self, name: str, seed: int) -> Trial:
        """A kill of a command at a random moment."""
        return self.trial(name, random.Random(seed).randrange(self.moments[name]), seed)

    def trial(self, name: str, moment: int, seed: int = 0) -> Trial:
        """A kill of a command at a moment; then it is repeated."""
        command, copy = COMMANDS[name], self.subject.copy(self.scratch / "copy")
        try:
            command.before(copy)
            with killed_at(moment) as killer:
                command.work(copy)
            what = f"killed after {moment} changes, the last {killer.names[-1:]}"

            def again() -> Any:
                command.work(copy)
                return command.observe(copy)

            outcome, detail = judged(again, self.usual[name])
            left = [
                path for path in copy.folder.rglob(".*") if path.suffix == ".part" or "temporary" in path.name
            ]
            if left and outcome == "harmless":
                outcome, detail = "left over", str(left[0])
            return Trial(f"kill of {name}", what, seed, outcome, detail)
        finally:
            shutil.rmtree(copy.folder)

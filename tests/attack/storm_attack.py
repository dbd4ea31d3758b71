"""Storms of signals: 20 of them within 2 seconds, at random moments of a command or of a training.

Of Ctrl-C alone, or, where a command can be resumed, also of SIGTERM, of SIGUSR1, or of all three.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import tiny
from attack.outcomes import Outcome, Trial
from attack.subject import PHOTOS, RUN, SETTINGS, STORE, Subject

from alexnet import stopping
from alexnet.runs.checkpoints import checkpoint_folders, read_checkpoint
from alexnet.runs.run_dir import RunDir

SIGNALS, SECONDS = 20, 2.0
KINDS = ((signal.SIGINT,), (signal.SIGTERM,), (signal.SIGUSR1,), stopping.SIGNALS)
"""The signals of a storm."""
START = """
import os, signal
from alexnet import stopping
from alexnet.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored

def begun(take_over=stopping.take_over):
    stopping.take_over = take_over
    take_over()
    os.write(1, b"begun\\n")

stopping.take_over = begun
raise SystemExit(main())
"""
"""What the command `alexnet` does; it reports when its first lines have run. Before, a Ctrl-C is Python's."""
LATEST = {"plain command": 1, "training": 2}
"""The latest beginning of a storm, in units of the time that `predict` takes on this machine."""
HANGING_SECONDS = 600
"""After this time a command that no signal ends is killed, and has failed."""
INTERRUPTED, STOPPED = 130, 75


@dataclass(frozen=True)
class StormAttack:
    """Commands that read the subject, and a training that they stop."""

    subject: Subject
    scratch: Path
    usual_seconds: float
    """How long `predict` takes."""

    @classmethod
    def on(cls, subject: Subject, scratch: Path) -> StormAttack:
        """Of the subject's run and store; runs `predict` once."""
        start = time.monotonic()
        words = (
            "predict",
            subject.folder / PHOTOS / "val",
            "--model",
            subject.folder / RUN,
            "--device",
            "cpu",
        )
        command = [sys.executable, "-m", "alexnet", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True)
        return cls(subject, scratch, time.monotonic() - start)

    def trials(self, seed: int) -> list[Trial]:
        """A storm of a plain command, and one of a training."""
        chance = random.Random(f"storm {seed}")
        run, store, photos = (self.subject.folder / name for name in (RUN, STORE, PHOTOS))
        plain = chance.choice(
            (
                ("predict", photos / "val", "--model", run, "--device", "cpu"),
                ("evaluate", run, "--store", store, "--device", "cpu"),
                ("inspect", photos),
            )
        )
        found = [self._trial("plain command", plain, {INTERRUPTED}, chance, seed)]
        new = self.scratch / "stormed"
        training = ("train", tiny.RECIPE, "--store", store, "--run", new, *SETTINGS, "schedule.epochs=100000")
        trial = self._trial("training", (*training, "--device", "cpu"), {INTERRUPTED, STOPPED}, chance, seed)
        damaged = [each for each in checkpoint_folders(RunDir(new).checkpoints) if _is_damaged(each)]
        if damaged:
            trial = Trial(trial.attack, trial.what, seed, "silent wrong", str(damaged))
        if left := [*new.rglob(".*.part")]:
            trial = Trial(trial.attack, trial.what, seed, "left over", str(left))
        shutil.rmtree(new, ignore_errors=True)
        return [*found, trial]

    def _trial(
        self, kind: str, words: Sequence[object], codes: set[int], chance: random.Random, seed: int
    ) -> Trial:
        signals = chance.choice(KINDS) if words[0] in stopping.RESUMED_BY else (signal.SIGINT,)
        if signal.SIGINT not in signals:
            codes = {STOPPED}
        elif len(signals) > 1:
            codes = {INTERRUPTED, STOPPED}
        code, errors, sent = storm(list(map(str, words)), signals, LATEST[kind] * self.usual_seconds, chance)
        lines = [line for line in errors.splitlines() if line.startswith("alexnet: ")]
        ended = code in codes and len(lines) == 1
        # It was at its end before the first signal, or when that came.
        done = code == 0 and not lines
        outcome: Outcome = "noticed" if ended else "harmless"
        if "Traceback" in errors or "Exception ignored" in errors or not (ended or done):
            outcome = "traceback"
        what = f"{words[0]}, {sent} of {[each.name for each in signals]}, exit code {code}"
        return Trial(f"storm on a {kind}", what, seed, outcome, errors[-2000:])


def storm(
    words: list[str], signals: Sequence[signal.Signals], latest: float, chance: random.Random
) -> tuple[int, str, int]:
    """The exit code and the error output of a command in a storm, and the number of signals that it got.

    It begins within `latest` seconds. The signals go to the process or, as from a terminal, to its group.
    """
    send = chance.choice((os.kill, os.killpg))
    begin, length = chance.uniform(0, latest), SECONDS * chance.choice((1, 0.1))
    moments = sorted(begin + chance.uniform(0, length) for _ in range(SIGNALS))
    command = [sys.executable, "-c", START, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            start, sent = time.monotonic(), 0
            for moment in moments:
                while process.poll() is None and time.monotonic() - start < moment:
                    time.sleep(0.001)
                if process.poll() is not None:
                    break
                send(process.pid, chance.choice(signals))
                sent += 1
            with suppress(subprocess.TimeoutExpired):
                process.wait(HANGING_SECONDS)
        finally:
            process.kill()
        _, errors = process.communicate()
    return process.returncode, errors.decode(errors="backslashreplace"), sent


def _is_damaged(folder: Path) -> bool:
    return bool(read_checkpoint(folder).damaged_files())

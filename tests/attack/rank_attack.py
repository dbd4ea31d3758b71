"""Signals to one of two processes of `torchrun`, in the first seconds of a training and later."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny
from attack.outcomes import Outcome, Trial
from attack.subject import STORE, Subject, digest_of, without_times

import alexnet
from alexnet.runs.metrics_log import read_metrics
from alexnet.stopping import SIGNALS

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--")
SETTINGS = (*tiny.SETTINGS, "schedule.epochs=2", "training.checkpoint_every_minutes=0")
LOST = (signal.SIGKILL, *(number for number in SIGNALS if number != signal.SIGINT))
"""What one of the processes receives."""
HANGING_SECONDS = 600


@dataclass(frozen=True)
class RankAttack:
    """A training in two processes, and how it ends without an attack."""

    store: Path
    scratch: Path
    usual: Any
    usual_seconds: float
    """From the start of the two processes to the end."""

    @classmethod
    def on(cls, subject: Subject, scratch: Path) -> RankAttack:
        """On the subject's store; trains once."""
        store, run, start = subject.folder / STORE, scratch / "two", time.monotonic()
        code, errors = _train(store, run)
        assert code == 0, errors
        return cls(store, scratch, _observe(run), time.monotonic() - start)

    def trials(self, seed: int) -> list[Trial]:
        """A signal to one process; the same command with `--resume` ends with the same weights."""
        chance = random.Random(f"rank {seed}")
        number, rank = chance.choice(LOST), chance.randrange(2)
        moment = self.usual_seconds * chance.uniform(0, chance.choice((0.5, 1)))
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            code, errors = _train(self.store, folder / "run", loses=(rank, number, moment))
            what = f"{number.name} to rank {rank} after {moment:.1f} s, exit code {code}"
            outcome, detail = self._judged(rank, code, errors, folder / "run")
        finally:
            shutil.rmtree(folder)
        return [Trial("rank of torchrun", what, seed, outcome, detail)]

    def _judged(self, rank: int, code: int, errors: str, run: Path) -> tuple[Outcome, str]:
        own = [line for line in errors.splitlines() if line.startswith("alexnet: ")]
        # `torchrun` has its own table and traceback of the process that failed first.
        of_torchrun = re.search(rf"rank\s*: {rank} \(local_rank", errors)
        named = of_torchrun or any(
            f"rank {rank} of 2 has ended" in line or "could not connect" in line or "stopped by" in line
            for line in own
        )
        # Gloo itself prints lines about its connections.
        if "gloo" in "".join(own).lower() or "unexpected" in errors or (code and not named):
            return "traceback", errors
        if code not in (0, 1):
            return "unexpected", f"exit code {code}: {errors}"
        code, errors = _train(self.store, run, "--resume")
        if code:
            return "unexpected", f"resumed: exit code {code}: {errors}"
        if (found := _observe(run)) != self.usual:
            return "silent wrong", repr(found)
        left = [path for path in run.rglob(".*") if path.suffix == ".part" or "temporary" in path.name]
        return ("left over", str(left)) if left else ("noticed", " | ".join(own))


def _train(
    store: Path, run: Path, *more: str, loses: tuple[int, signal.Signals, float] | None = None
) -> tuple[int, str]:
    """The exit code and the error output of `torchrun`, of whose processes one may get a signal.

    `loses` is its rank, the signal, and the seconds from the start of the processes until then.
    """
    words = ("train", tiny.RECIPE, "--store", store, "--run", run, "--device", "cpu", *SETTINGS, *more)
    command = [sys.executable, *TORCHRUN, "alexnet", *map(str, words)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, start_new_session=True, text=True, **pipes) as process:
        try:
            if loses is not None:
                rank, number, seconds = loses
                pid = _process_of_rank(process, rank)
                time.sleep(seconds)
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            _, errors = process.communicate(timeout=HANGING_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, errors = process.communicate()
            return process.returncode, f"no end after {HANGING_SECONDS} seconds: {errors}"
    return process.returncode, errors


def _process_of_rank(torchrun: subprocess.Popen[str], rank: int) -> int:
    """The number of the process, as soon as there is one."""
    while torchrun.poll() is None:
        children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
        for child in children:
            with suppress(OSError):
                if f"\0RANK={rank}\0".encode() in Path(f"/proc/{child}/environ").read_bytes():
                    return int(child)
        time.sleep(0.01)
    raise RuntimeError(f"torchrun ended with code {torchrun.returncode}")


def _observe(run: Path) -> Any:
    """The weights of both checkpoints and the log."""
    lines = [line for line in read_metrics(run / "metrics.jsonl") if line["event"] in ("train", "validation")]
    nets = [
        alexnet.load(run / "checkpoints" / name / "weights.safetensors", device="cpu").model
        for name in ("last", "best")
    ]
    return [digest_of(*net.state_dict().values()) for net in nets], without_times(lines)

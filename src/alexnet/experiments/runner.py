"""Trains lists of runs: those that are missing or unfinished, resumable, with a time limit, in one process or
many.

Ensembles, claims and recorded results are such lists. Distributing them over machines is left to existing
tools: `command_lines` gives one command for each run, which a SLURM array, GNU parallel or Ray may start in
any order.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from alexnet import distributed
from alexnet.checksum import known_sha256
from alexnet.config import RunConfig
from alexnet.data.store import Store
from alexnet.errors import Busy, CommandError, Diverged, Stopped
from alexnet.experiments.spec import RunSpec, chain, without_dependents
from alexnet.io import exclusive_lock, write_whole
from alexnet.progress import Progress, no_progress
from alexnet.runs.checkpoints import checkpoint_folders, recorded_lines
from alexnet.runs.metrics_log import has_finished, read_metrics
from alexnet.runs.run_dir import CHECKPOINTS, RunDir, find_weights
from alexnet.tasks.config import task_info
from alexnet.text import percentage
from alexnet.training import checkpoint
from alexnet.training.run import (
    create_run,
    differences,
    initialized_config,
    make_validation,
    train_run,
    write_environment,
)
from alexnet.training.trainer import Evaluate, TrainOptions
from alexnet.training.transfer import InitFrom

State = Literal["missing", "unfinished", "stale", "diverged", "finished"]
DIVERGED = "diverged.txt"
"""File in a run directory with the reason, if training produced NaN or Inf and that counts as a result."""
LOCKS = "locks"
"""Folder next to the run directories; a process that trains a run holds the lock with its name."""


@dataclass(frozen=True)
class Status:
    """The state of a run."""

    state: State
    changes: tuple[str, ...] = ()
    """If it is stale, the differences between the run and its spec: `key: old -> new`."""

    @property
    def pending(self) -> bool:
        """Whether there is something left to train."""
        return self.state in ("missing", "unfinished")


def diverged(run: RunDir) -> bool:
    """Whether the run ended because training produced NaN or Inf."""
    return (run.path / DIVERGED).is_file()


def changes_since(run: RunDir, spec: RunSpec, store_digest: str = "", weights_sha256: str = "") -> list[str]:
    """The differences between a run (or a recorded one) and its spec; empty if there are none.

    `store_digest` is the digest of the spec's store and `weights_sha256` that of the weights it would be
    initialized from; if empty, they are not compared.
    """
    config, wanted = run.config(), spec.config()
    if spec.init_from and not wanted.data.color_mean and not wanted.data.color_std:
        # They follow from the weights that it was initialized from (`initialized_config`).
        config = replace(config, data=replace(config.data, color_mean=(), color_std=()))
    found = differences(config, wanted)
    old = run.environment().store_digest
    if store_digest and old and old != store_digest:
        found.append(f"store: {old[:12]} -> {store_digest[:12]}")
    log = read_metrics(run.metrics_file) if weights_sha256 else []
    begun = [line.get("weights_sha256") for line in log if line["event"] == "init-from"]
    if begun and begun[-1] != weights_sha256:
        found.append(f"weights of {spec.init_from}: {str(begun[-1])[:12]} -> {weights_sha256[:12]}")
    return found


def refuse_changed(run: RunDir, changes: Sequence[str]) -> None:
    """CommandError if there are changes since a run was trained."""
    if changes:
        raise CommandError(
            f"{run.path} was trained with other settings ({'; '.join(changes)}): move it away or choose "
            "another folder"
        )


@dataclass(frozen=True)
class Runner:
    """Trains runs, each in a run directory in `folder`."""

    folder: Path
    specs: tuple[RunSpec, ...]
    """All runs that may be trained, including those that others are initialized from."""
    device: torch.device
    validation: Callable[[RunConfig, Store], Evaluate] = make_validation
    """Makes the function that validates a run during training."""
    for_comparison: bool = False
    """Whether a run that diverges is a result instead of an error, and only the weights of finished runs are
    kept."""
    progress: Callable[[str], Progress] = lambda name: no_progress
    log: Callable[[str], None] = lambda line: None
    locks: Path | None = None
    """The folder with the locks of runs; None for `folder`/locks."""
    _stores: dict[Path, Store] = field(default_factory=dict[Path, Store])

    def run(self, spec: RunSpec) -> RunDir:
        """The run directory, trained or not."""
        return RunDir(self.folder / spec.name)

    def status(self, spec: RunSpec) -> Status:
        """The state of the run; `stale` if it was trained with another configuration, store or weights."""
        run = self.run(spec)
        if not run.config_file.is_file():
            return Status("missing")
        weights = self._initial_weights(spec)
        sha256 = known_sha256(weights) if weights is not None else ""
        if changes := changes_since(run, spec, self._store(spec).digest, sha256):
            return Status("stale", tuple(changes))
        if diverged(run):
            return Status("diverged")
        return Status("finished" if has_finished(run.metrics_file) else "unfinished")

    def pending(self, specs: Sequence[RunSpec] | None = None) -> list[RunSpec]:
        """The runs of `specs` (default: all) that are not finished; CommandError if one is stale."""
        wanted = self.specs if specs is None else specs
        return [spec for spec in wanted if self._checked(spec).pending]

    def command_lines(self, command: Sequence[str], specs: Sequence[RunSpec] | None = None) -> list[str]:
        """A line `COMMAND --only NAME` for each pending run, independent and resumable.

        A run that another is initialized from has no line: the command of that other run trains it first.
        """
        return [
            shlex.join([*command, "--only", spec.name]) for spec in without_dependents(self.pending(specs))
        ]

    def tidy(self, specs: Sequence[RunSpec] | None = None) -> None:
        """Does what processes that were killed after the last update of a run have left to do.

        Of the runs of `specs` (default: all) that are finished, and that no other process is using.
        """
        for spec in self.specs if specs is None else specs:
            if not self._checked(spec).pending:
                with self.claimed(spec, wait=False) as ours:
                    if ours and distributed.is_main():
                        self._tidy(self.run(spec).checkpoints)

    def _tidy(self, folder: Path) -> None:
        checkpoint.tidy(folder)
        if self.for_comparison:
            checkpoint.keep_last_weights(folder)
        elif len(checkpoint_folders(folder)) > len(CHECKPOINTS):
            checkpoint.finish(folder, recorded_lines(folder))

    def train(
        self,
        specs: Sequence[RunSpec] | None = None,
        *,
        deadline: float | None = None,
        wait: bool = True,
        label: str = "",
    ) -> bool:
        """Trains the unfinished runs of `specs` (default: all); returns whether all of them are finished.

        Runs that other processes train are skipped, or waited for with `wait`. Stopped, after saving, at a
        signal or where `time.monotonic()` has reached `deadline`. CommandError if a run is stale. Titles
        begin with `label`.
        """
        wanted = self.specs if specs is None else specs
        self.pending(wanted)  # raises errors before any of them is trained
        self.tidy(wanted)
        for number, spec in enumerate(wanted, start=1):
            title = f"\n# {label}{number} of {len(wanted)}: {spec.name} ({spec.recipe}, seed {spec.seed})"
            if not self._checked(spec).pending:
                self.log(f"{title}\nalready trained")
                continue
            for each in chain(self.specs, spec.name):
                own = title if each is spec else f"\n# {each.name} ({each.recipe}, seed {each.seed})"
                if not self._train_unless_locked(each, own, deadline, wait):
                    break
        finished = not self.pending(wanted)
        distributed.barrier()  # so that no process exits while another still receives
        return finished

    def _train_unless_locked(self, spec: RunSpec, title: str, deadline: float | None, wait: bool) -> bool:
        """Trains the run unless another process does; returns whether it is finished."""
        if not self._checked(spec).pending:
            return True
        with self.claimed(spec, wait) as ours:
            if ours and self._checked(spec).pending:
                self.log(title)
                self._train(spec, deadline)
            return ours

    def _train(self, spec: RunSpec, deadline: float | None) -> None:
        run = self.run(spec)
        weights = self._initial_weights(spec)
        try:
            store = self._store(spec)
            init_from = None if weights is None else InitFrom(weights)
            log = (lambda line: None) if self.for_comparison else self.log
            begin = partial(_begin, spec.config(), store, run, self.device, init_from, log)
            config, resume = distributed.broadcast_result(begin)
            options = TrainOptions(
                self.device,
                resume=resume,
                minutes=None if deadline is None else max(0.0, (deadline - time.monotonic()) / 60),
                init_from=init_from,
                progress=self.progress(spec.name),
                log=self.log,
            )
            result = train_run(config, store, run, options, self.validation)
        except Stopped as stopped:
            raise Stopped(f"{spec.name}: checkpoint saved; run the same command again to resume") from stopped
        except Diverged as error:
            if not self.for_comparison:
                raise
            write_whole(run.path / DIVERGED, f"{error}\n".encode())
            self.log(f"{spec.name} diverged: {error}")
        else:
            words = task_info(spec.config().training.loss).logged.validation
            error = result.errors["top1_error"]
            self.log(
                f"finished: {words} {percentage(error)} (best {percentage(result.best_top1_error)}) on val"
            )
        if self.for_comparison:
            checkpoint.keep_last_weights(run.checkpoints)

    @contextmanager
    def claimed(self, spec: RunSpec, wait: bool) -> Generator[bool]:
        """Locks the run; yields whether this process has the lock. With `wait` it waits for other processes.

        CommandError instead of waiting where several processes train together (`torchrun`).
        """
        with ExitStack() as stack:
            yield distributed.broadcast_result(lambda: self._lock(spec, wait, stack))

    def _lock(self, spec: RunSpec, wait: bool, stack: ExitStack) -> bool:
        lock = (self.locks or self.folder / LOCKS) / spec.name
        lock.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(exclusive_lock(lock))
        except Busy:
            if not wait:
                return False
            if distributed.world_size() > 1:
                raise
            self.log(f"waiting for another process that trains {spec.name}")
            stack.enter_context(exclusive_lock(lock, wait=True))
        return True

    def _checked(self, spec: RunSpec) -> Status:
        """As `status`, the same in all processes; CommandError if the run is stale."""
        status = distributed.broadcast_result(lambda: self.status(spec))
        refuse_changed(self.run(spec), status.changes)
        return status

    def _store(self, spec: RunSpec) -> Store:
        if spec.store not in self._stores:
            self._stores[spec.store] = Store.open(spec.store)
        return self._stores[spec.store]

    def _initial_weights(self, spec: RunSpec) -> Path | None:
        """The weights a run is initialized from; None if there are none, or none yet."""
        before = RunDir(self.folder / spec.init_from)
        if not spec.init_from or not has_finished(before.metrics_file):
            return None
        return find_weights(before.path)


def _begin(
    config: RunConfig,
    store: Store,
    run: RunDir,
    device: torch.device,
    init_from: InitFrom | None,
    log: Callable[[str], None],
) -> tuple[RunConfig, bool]:
    """Makes the run directory if it is missing, and logs what will be trained there.

    Returns the run's configuration and whether the directory existed.
    """
    if run.config_file.is_file():
        config = run.config()
        write_environment(config, store, run, device)
        return config, True
    if init_from is not None:
        config = initialized_config(config, store, init_from)
    create_run(config, store, run, device, init_from, log)
    return config, False

"""Which recorded results are missing or stale, and how long it takes to make them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from alexnet.experiments.runner import changes_since
from alexnet.models.summary import summarize
from alexnet.runs.metrics_log import has_finished, read_metrics, training_seconds
from alexnet.runs.results import EvalResult, ViewSet, read_results
from alexnet.runs.run_dir import RunDir
from tools.recorded_run import Recorded, RecordedEnsemble, RecordedRun
from tools.recorded_runs import ALL, RUNS, run_named

UPDATE_SECONDS = 0.002
"""Minimum seconds of an update, however small the model; for runs that have not been recorded yet."""
CORES = 2
"""Cores of the machines on which the recorded runs were made without a GPU."""
CHANNEL_SECONDS = 0.03
"""Seconds of a channel of a classic pipeline for a photo of 224 pixels; likewise."""


def why_to_make(recorded: Recorded, results: Path) -> str:
    """Why the result must be made: "missing", or what has changed since; empty if it is up to date."""
    folder = results / recorded.name
    found = read_results(folder) if folder.is_dir() else []
    kept = ("wrong.json",) if isinstance(recorded, RecordedEnsemble) else ("wrong.json", "config.json")
    if not found or not all((folder / name).is_file() for name in kept):
        return "missing"
    if {str(result.views) for result in found} != {*recorded.views}:
        return "not tested with all views"
    if isinstance(recorded, RecordedEnsemble):
        return _why_ensemble(recorded, found, results)
    if recorded.init_from and why_to_make(run_named(recorded.init_from), results):
        return f"stale: {recorded.init_from}, from which it is initialized, is"
    weights = _weights_sha256(results / recorded.init_from) if recorded.init_from else ""
    changed = changes_since(RunDir(folder), recorded.spec(), weights_sha256=weights)
    return f"stale: {'; '.join(changed)}" if changed else ""


def stale_notes(results: Path, names: Iterable[str]) -> list[str]:
    """A note for a table with those of these results that were made with other settings than today's."""
    wanted = {*names}
    known = (each for each in ALL if each.name in wanted)
    stale = [f"`{each.name}`" for each in known if why_to_make(each, results).startswith("stale")]
    return (
        [f"Made with earlier settings of their recipes, to be made again: {', '.join(stale)}."]
        if stale
        else []
    )


def _weights_sha256(folder: Path) -> str:
    """SHA-256 of the weights of a recorded run, which `record` adds to its environment."""
    return json.loads((folder / "environment.json").read_text(encoding="utf-8"))["weights_sha256"]


def _why_ensemble(ensemble: RecordedEnsemble, found: Sequence[EvalResult], results: Path) -> str:
    for name in ensemble.members:
        if why_to_make(run_named(name), results):
            return f"stale: its member {name} is"
    for result in found:
        present = {name: _errors(results / name, result.views) for name in ensemble.members}
        if result.members != present:
            return f"stale: its members were others, or had other errors, with {result.views} views"
    return ""


Rates = Sequence[tuple[RecordedRun, float]]
"""Recorded runs with their seconds of training per multiply-add of a forward pass."""


def measured_rates(results: Path, device: Literal["cpu", "cuda"]) -> Rates:
    """The rates of the recorded runs that were trained on such a device."""
    return [
        (run, seconds / (_epochs(results / run.name) * _operations_an_epoch(run)))
        for run in RUNS
        if (seconds := training_seconds(results / run.name / "metrics.jsonl"))
        and RunDir(results / run.name).environment().device.startswith(device)
    ]


def expected_minutes(recorded: Recorded, rates: Rates, work: Path) -> float | None:
    """Expected minutes of training, from the times of recorded runs on one kind of device; None if unknown.

    0 for a run that has been trained under `work`.
    """
    if isinstance(recorded, RecordedEnsemble):
        return 0.0
    if has_finished(work / "runs" / recorded.name / "metrics.jsonl"):
        return 0.0
    # Arithmetic is not what limits small models: runs of the same recipe are the best guide.
    alike = [rate for run, rate in rates if run.recipe == recorded.recipe]
    config = recorded.config()
    if config.classic is not None and not alike:
        seconds = CHANNEL_SECONDS * len(config.classic.channels) * recorded.training_images
        return seconds * (config.data.image_size / 224) ** 2 / 60
    used = alike or [rate for _, rate in rates]
    if not used:
        return None
    updates = config.schedule.epochs * recorded.training_images / config.training.batch_size
    operations = config.schedule.epochs * _operations_an_epoch(recorded)
    return max(median(used) * operations, UPDATE_SECONDS * updates) / 60


@dataclass(frozen=True)
class Budget:
    """What training is expected to cost, on CPUs or on a GPU; None if it is unknown."""

    core_hours: float | None
    gpu_minutes: float | None

    @classmethod
    def of_all(cls, budgets: Sequence[Budget]) -> Budget:
        """The sum of those that are known."""
        return cls(
            sum(each.core_hours or 0.0 for each in budgets), sum(each.gpu_minutes or 0.0 for each in budgets)
        )

    def __str__(self) -> str:
        cores = "unknown on CPUs" if self.core_hours is None else f"about {self.core_hours:.1f} core hours"
        gpu = "unknown on a GPU" if self.gpu_minutes is None else f"{self.gpu_minutes:.1f} minutes of a GPU"
        return f"{cores} or {gpu}"


def expected_budgets(wanted: Sequence[Recorded], results: Path, work: Path) -> list[Budget]:
    """What training of each is expected to cost, from the times of recorded runs."""
    on_cpu, on_gpu = measured_rates(results, "cpu"), measured_rates(results, "cuda")
    budgets: list[Budget] = []
    for recorded in wanted:
        minutes = expected_minutes(recorded, on_cpu, work)
        cores = None if minutes is None else minutes * CORES / 60
        budgets.append(Budget(cores, expected_minutes(recorded, on_gpu, work)))
    return budgets


def to_make(results: Path) -> list[tuple[Recorded, str]]:
    """The results that are not up to date, in the order in which to make them, each with the reason."""
    return [(recorded, why) for recorded in ALL if (why := why_to_make(recorded, results))]


def _operations_an_epoch(run: RecordedRun) -> float:
    """Multiply-adds of one pass over the training images."""
    return summarize(run.config()).multiply_adds * run.training_images


def _epochs(folder: Path) -> int:
    return max(1, read_metrics(folder / "metrics.jsonl")[-1]["epoch"])


def _errors(folder: Path, views: ViewSet) -> int:
    return next(result.top1_errors for result in read_results(folder) if result.views == views)

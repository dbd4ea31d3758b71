"""Which recorded results are missing or stale, and how long it takes to make them."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
CHANNEL_SECONDS = 0.03
"""Seconds of a channel of a classic pipeline for a photo of 224 pixels; likewise."""


def why_to_make(recorded: Recorded, results: Path) -> str:
    """Why the result must be made: "missing", or what has changed since; empty if it is up to date."""
    folder = results / recorded.name
    found = read_results(folder) if folder.is_dir() else []
    if not found or not (folder / "wrong.json").is_file():
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


def expected_minutes(
    recorded: Recorded, results: Path, work: Path, device: Literal["cpu", "cuda"]
) -> float | None:
    """Expected minutes of training, from the times of recorded runs on such devices; None if unknown.

    0 for a run that has been trained under `work`.
    """
    if isinstance(recorded, RecordedEnsemble):
        return 0.0
    if has_finished(work / "runs" / recorded.name / "metrics.jsonl"):
        return 0.0
    per_operation = {
        run: seconds / (_epochs(results / run.name) * _operations_an_epoch(run))
        for run in RUNS
        if (seconds := training_seconds(results / run.name / "metrics.jsonl"))
        and RunDir(results / run.name).environment().device.startswith(device)
    }
    # Arithmetic is not what limits small models: runs of the same recipe are the best guide.
    alike = [rate for run, rate in per_operation.items() if run.recipe == recorded.recipe]
    config = recorded.config()
    if config.classic is not None and not alike:
        seconds = CHANNEL_SECONDS * len(config.classic.channels) * recorded.training_images
        return seconds * (config.data.image_size / 224) ** 2 / 60
    rates = alike or list(per_operation.values())
    if not rates:
        return None
    updates = config.schedule.epochs * recorded.training_images / config.training.batch_size
    operations = config.schedule.epochs * _operations_an_epoch(recorded)
    return max(median(rates) * operations, UPDATE_SECONDS * updates) / 60


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

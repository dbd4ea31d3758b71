"""Which recorded results are missing or stale, and how long it takes to make them."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any, Literal

from alexnet.config import RunConfig, from_dict
from alexnet.models.summary import summarize
from alexnet.runs.metrics_log import has_finished, read_metrics, training_seconds
from alexnet.runs.results import read_evaluations
from alexnet.training.resume import differences
from tools.recorded_run import Recorded, RecordedEnsemble, RecordedRun
from tools.recorded_runs import ALL, RUNS, run_named

UPDATE_SECONDS = 0.002
"""That an update takes however small the net is; for what has not been recorded yet."""
CHANNEL_SECONDS = 0.03
"""That a channel of a classic pipeline takes for a photo of 224 pixels, likewise."""


def why_to_make(recorded: Recorded, results: Path) -> str:
    """Why the result must be made: "missing", or what has changed since; empty where it is up to date."""
    folder = results / recorded.name
    entries = read_evaluations(folder) if folder.is_dir() else []
    if not entries or not (folder / "wrong.json").is_file():
        return "missing"
    if {entry["views"] for entry in entries} != {*recorded.views}:
        return "not tested with all views"
    if isinstance(recorded, RecordedEnsemble):
        return _why_ensemble(recorded, results)
    changed = differences(from_dict(RunConfig, _json(folder / "config.json")), recorded.config())
    if changed:
        return f"stale: {'; '.join(changed)}"
    if recorded.init_from and why_to_make(run_named(recorded.init_from), results):
        return f"stale: {recorded.init_from}, which it begins with, is"
    return _why_begun_otherwise(recorded, results)


def _why_begun_otherwise(run: RecordedRun, results: Path) -> str:
    """Why a recorded run that begins with another is stale although neither's settings have changed."""
    if not run.init_from:
        return ""
    present = _json(results / run.init_from / "environment.json").get("weights_sha256")
    began = [
        line for line in read_metrics(results / run.name / "metrics.jsonl") if line["event"] == "init-from"
    ]
    with_those = began and began[-1].get("weights_sha256") == present
    return "" if with_those else f"stale: it began with other weights than {run.init_from} has"


def _why_ensemble(ensemble: RecordedEnsemble, results: Path) -> str:
    for name in ensemble.members:
        if why_to_make(run_named(name), results):
            return f"stale: its member {name} is"
    counted = {entry["views"]: entry["members"] for entry in read_evaluations(results / ensemble.name)}
    for views in ensemble.views:
        present = {name: _errors(results / name, views) for name in ensemble.members}
        if counted[views] != present:
            return f"stale: its members were others, or made other errors, with {views} views"
    return ""


def expected_minutes(
    recorded: Recorded, results: Path, work: Path, device: Literal["cpu", "cuda"]
) -> float | None:
    """Minutes of training, from what the recorded runs took on such devices; None where nothing tells.

    None of it is left for a run that has been trained under `work`.
    """
    if isinstance(recorded, RecordedEnsemble):
        return 0.0
    if has_finished(work / "runs" / recorded.name / "metrics.jsonl"):
        return 0.0
    per_operation = {
        run: seconds / (_epochs(results / run.name) * _operations_an_epoch(run))
        for run in RUNS
        if (seconds := training_seconds(results / run.name / "metrics.jsonl"))
        and _json(results / run.name / "environment.json")["device"].startswith(device)
    }
    # Small nets wait for other things than arithmetic: those of the same recipe tell most.
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
    """What is not up to date, in the order to make it, each with the reason."""
    return [(recorded, why) for recorded in ALL if (why := why_to_make(recorded, results))]


def _operations_an_epoch(run: RecordedRun) -> float:
    """Multiply-adds of one pass over the training images."""
    return summarize(run.config()).multiply_adds * run.training_images


def _epochs(folder: Path) -> int:
    return max(1, read_metrics(folder / "metrics.jsonl")[-1]["epoch"])


def _errors(folder: Path, views: str) -> int:
    return next(entry["top1_errors"] for entry in read_evaluations(folder) if entry["views"] == views)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))

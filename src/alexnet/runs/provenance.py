"""Origin of weights: the run that trained them, its progress, and its errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from alexnet import __version__
from alexnet.runs.metrics_log import has_finished, read_metrics
from alexnet.runs.results import EvalResult, read_results
from alexnet.runs.run_dir import RunDir, find_weights


def provenance(run: RunDir, checkpoint: str = "last") -> dict[str, Any]:
    """What is known about a checkpoint's weights, as saved in exported files, ready for JSON.

    `run` (its name), `recipe`, `checkpoint`, `finished`, `alexnet` (this program's version), `seed`, `epochs`
    and `updates` done, `store` and `store_digest`, `errors` (fractions, as measured by `evaluate`),
    `began_with` (path and SHA-256 of the weights it was initialized from, or None). For imported weights only
    `imported` (file, SHA-256 and program) is known of their training. DataError if `evaluation.json` is
    broken.
    """
    config, environment = run.config(), run.environment()
    known = {
        "run": run.path.resolve().name,
        "recipe": config.recipe,
        "checkpoint": checkpoint,
        "finished": not training_progress(run),
        "alexnet": __version__,
        "errors": _errors(run, checkpoint),
    }
    if environment.imported is not None:
        return {**known, "imported": environment.imported.to_dict()}
    done = position(run, checkpoint)
    return {
        **known,
        "seed": config.training.seed,
        "epochs": done.epoch,
        "updates": done.step,
        "store": environment.store,
        "store_digest": environment.store_digest,
        "began_with": _initialized_from(run),
    }


@dataclass(frozen=True)
class Position:
    """The progress of training at a checkpoint; None if unknown."""

    epoch: int | None = None
    step: int | None = None
    """Number of updates."""


def position(run: RunDir, checkpoint: str = "last") -> Position:
    """The position of a run's checkpoint; CommandError if there is none."""
    meta = find_weights(run.path, checkpoint).with_name("meta.json")
    values = json.loads(meta.read_text(encoding="utf-8")) if meta.is_file() else {}
    return Position(values.get("epoch"), values.get("step"))


def stale_note(run: RunDir, tested: EvalResult) -> str:
    """A clause if a run was trained on since an evaluation of it; else empty.

    Empty too for the evaluation of several runs, and where the weights no longer exist.
    """
    if len(tested.runs) != 1 or not run.checkpoints.is_dir():
        return ""
    now, then = position(run, tested.runs[0].checkpoint).step, tested.runs[0].updates
    if now is None or then is None or now == then:
        return ""
    return f"{run.path.name} was evaluated at update {then:,} and has been trained to update {now:,} since"


def training_progress(run: RunDir) -> str:
    """The progress of an unfinished run, such as `epoch 3 of 40, update 1,200`; empty if it is finished.

    It is that of its last checkpoint, or of its log if there is none. Imported weights are finished.
    """
    if run.environment().imported is not None or has_finished(run.metrics_file):
        return ""
    reached = position(run) if (run.checkpoints / "last").exists() else Position()
    log = read_metrics(run.metrics_file) if run.metrics_file.is_file() else []
    if reached.step is None and log:
        reached = Position(log[-1]["epoch"], log[-1]["step"])
    if reached.step is None:
        return "its beginning"
    return f"epoch {reached.epoch} of {run.config().schedule.epochs}, update {reached.step:,}"


def _initialized_from(run: RunDir) -> dict[str, str] | None:
    log = read_metrics(run.metrics_file) if run.metrics_file.is_file() else []
    begun = [line for line in log if line["event"] == "init-from"]
    return {key: begun[-1].get(key, "") for key in ("path", "weights_sha256")} if begun else None


def _errors(run: RunDir, checkpoint: str) -> list[dict[str, Any]]:
    """The contents of `RUN/evaluation.json` for these weights, without the errors of each class."""
    results, updates = read_results(run.path), position(run, checkpoint).step
    of_these = [
        each for each in results if (each.runs[0].checkpoint, each.runs[0].updates) == (checkpoint, updates)
    ]
    return [
        {
            "split": each.split,
            "views": str(each.views),
            "images": each.images,
            "top1_error": each.top1.error,
            "top1_interval": list(each.top1.interval),
            "top5_error": each.top5 and each.top5.error,
            "top5_interval": each.top5 and list(each.top5.interval),
            "store": each.store,
            "store_digest": each.store_digest,
        }
        for each in of_these
    ]

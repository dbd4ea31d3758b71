"""Where a run's weights come from: what has to be known of them wherever they go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alexnet import __version__
from alexnet.errors import DataError
from alexnet.runs.evaluations import NAME, read_evaluations
from alexnet.runs.folder import RunFolder
from alexnet.runs.metrics_log import has_finished, read_metrics
from alexnet.runs.weights import find_weights

_ERRORS = ("split", "views", "images", "top1_error", "top1_interval", "top5_error", "top5_interval")


def provenance(run: RunFolder, checkpoint: str = "last") -> dict[str, Any]:
    """What is known of a checkpoint's weights, ready for JSON.

    `run` (its name), `recipe`, `checkpoint`, `finished`, `alexnet` (this program's version), `seed`, `epochs`
    and `updates` done, `store` and `store_digest`, `errors` (fractions, as `evaluate` found them),
    `began_with` (path and SHA-256 of the weights it was given first, or None); `imported` (file, SHA-256 and
    program) where the weights are another program's, of which the rest is not known.
    """
    config, environment = run.config(), run.environment()
    known = {
        "run": run.path.resolve().name,
        "recipe": config.recipe,
        "checkpoint": checkpoint,
        "finished": not how_far(run),
        "alexnet": __version__,
        "errors": _errors(run, checkpoint),
    }
    if "imported" in environment:
        return {**known, "imported": environment["imported"]}
    done = position(run, checkpoint)
    return {
        **known,
        "seed": config.training.seed,
        "epochs": done.get("epoch"),
        "updates": done.get("step"),
        "store": environment.get("store", ""),
        "store_digest": environment.get("store_digest", ""),
        "began_with": _began_with(run),
    }


def gone_on(run: RunFolder, entry: Mapping[str, Any]) -> str:
    """Where a run has been trained further since an entry of its `evaluation.json`: a clause; else empty.

    Empty too of an ensemble's entry, and where the weights are no longer there.
    """
    if len(entry["runs"]) != 1 or not run.checkpoints.is_dir():
        return ""
    tested = entry["runs"][0]
    now, then = position(run, tested["checkpoint"]).get("step"), tested.get("updates")
    if now is None or then is None or now == then:
        return ""
    return f"{run.path.name} was tested at update {then:,} and has gone on to {now:,} since"


def how_far(run: RunFolder) -> str:
    """How far an unfinished run got, such as `epoch 3 of 40, update 1,200`; empty where it is finished.

    That of its last checkpoint, or of its log where it has none. What was imported is finished.
    """
    if "imported" in run.environment() or has_finished(run.metrics_file):
        return ""
    saved = position(run) if (run.checkpoints / "last").exists() else {}
    reached = saved or next(reversed(_log(run)), None)
    if not reached:
        return "its beginning"
    return f"epoch {reached['epoch']} of {run.config().schedule.epochs}, update {reached['step']:,}"


def _log(run: RunFolder) -> list[dict[str, Any]]:
    return read_metrics(run.metrics_file) if run.metrics_file.is_file() else []


def _began_with(run: RunFolder) -> dict[str, str] | None:
    begun = [line for line in _log(run) if line["event"] == "init-from"]
    return {key: begun[-1].get(key, "") for key in ("path", "weights_sha256")} if begun else None


def position(run: RunFolder, checkpoint: str = "last") -> dict[str, Any]:
    """`epoch` and `step` (updates done) of a run's checkpoint; empty where that is not known."""
    meta = find_weights(run.path, checkpoint).with_name("meta.json")
    return json.loads(meta.read_text(encoding="utf-8")) if meta.is_file() else {}


def _errors(run: RunFolder, checkpoint: str) -> list[dict[str, Any]]:
    """What `RUN/evaluation.json` says of these weights, without what it says of each class."""
    entries, updates = read_evaluations(run.path), position(run, checkpoint).get("step")
    try:
        return [_shortened(entry) for entry in entries if _is_of(entry["runs"][0], checkpoint, updates)]
    except (LookupError, TypeError) as error:
        raise DataError(f"{run.path / NAME} is broken ({error!r}): remove it and evaluate again") from error


def _is_of(tested: Mapping[str, Any], checkpoint: str, updates: int | None) -> bool:
    """Whether this checkpoint was tested, and the run has not gone on since."""
    return tested["checkpoint"] == checkpoint and tested.get("updates", "not told") == updates


def _shortened(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry.get(key) for key in (*_ERRORS, "store", "store_digest")}

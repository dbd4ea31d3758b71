"""Where and with what a run was made: versions, commit, device, store, command line."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from alexnet import __version__
from alexnet.errors import DataError
from alexnet.hardware import cpu_count
from alexnet.runs.metrics_log import has_finished, read_metrics
from alexnet.runs.results import NAME, read_evaluations
from alexnet.runs.run_dir import RunDir, find_weights

PACKAGES = ("alexnet", "torch", "numpy", "pillow", "simplejpeg", "pyarrow", "safetensors")


def describe(
    device: str, store_digest: str, command: Sequence[str], processes: int = 1, store: str = ""
) -> dict[str, Any]:
    """What `RUN/environment.json` holds; `device` is in words, `command` the words of the command line.

    `store` is the name of the store's folder.

    `commit` and `uncommitted_changes` (a diff) are empty where the program does not run from a checkout.
    """
    commit, changes = _checkout(Path(__file__).parent)
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(command),
        "device": device,
        "processor": processor(),
        "cores": cpu_count(),
        "processes": processes,
        "store": store,
        "store_digest": store_digest,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": commit,
        "uncommitted_changes": changes,
    }


def processor() -> str:
    """The processor's name as its maker gives it, or its kind."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _checkout(folder: Path) -> tuple[str, str]:
    """Commit and diff of the checkout that `folder` is tracked in, or two empty texts."""
    if not _git(folder, "ls-files", "--error-unmatch", "."):
        return "", ""
    package = str(folder.parent)
    new_files = _git(folder, "ls-files", "--others", "--exclude-standard", "--", package)
    changes = _git(folder, "diff", "HEAD", "--", package)
    return _git(folder, "rev-parse", "HEAD"), "\n".join(part for part in (new_files, changes) if part)


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


_ERRORS = ("split", "views", "images", "top1_error", "top1_interval", "top5_error", "top5_interval")


def provenance(run: RunDir, checkpoint: str = "last") -> dict[str, Any]:
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
        "finished": not training_progress(run),
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


def stale_note(run: RunDir, entry: Mapping[str, Any]) -> str:
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


def training_progress(run: RunDir) -> str:
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


def _log(run: RunDir) -> list[dict[str, Any]]:
    return read_metrics(run.metrics_file) if run.metrics_file.is_file() else []


def _began_with(run: RunDir) -> dict[str, str] | None:
    begun = [line for line in _log(run) if line["event"] == "init-from"]
    return {key: begun[-1].get(key, "") for key in ("path", "weights_sha256")} if begun else None


def position(run: RunDir, checkpoint: str = "last") -> dict[str, Any]:
    """`epoch` and `step` (updates done) of a run's checkpoint; empty where that is not known."""
    meta = find_weights(run.path, checkpoint).with_name("meta.json")
    return json.loads(meta.read_text(encoding="utf-8")) if meta.is_file() else {}


def _errors(run: RunDir, checkpoint: str) -> list[dict[str, Any]]:
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

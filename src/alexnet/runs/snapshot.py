"""A copy of a run that does not change while it is read, even if the run is still being trained."""

from __future__ import annotations

import shutil
from pathlib import Path

from alexnet.checksum import Damaged
from alexnet.errors import WorkError
from alexnet.runs.checkpoints import find_checkpoint
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.provenance import training_progress
from alexnet.runs.run_dir import CHECKPOINTS, RunDir, has_weights

SHARED_FOLDERS = ("features", "predictions")
"""Caches that remain in the run itself: their files identify the weights to which they belong."""
_TRIES = 5
"""A checkpoint may be replaced while it is copied, rarely twice."""


def snapshot(path: Path, folder: Path) -> Path:
    """The run directory itself if it will not change, else a copy of its present state in `folder`.

    The copy keeps the names of the run directory and of its parent, and lacks what only training needs.
    WorkError if checkpoints are replaced faster than they can be copied.
    """
    if not has_weights(RunDir(path)) or not training_progress(RunDir(path)):
        return path
    for attempt in range(_TRIES):
        copy = folder / str(attempt) / path.resolve().parent.name / path.resolve().name
        try:
            _copy(path, copy)
            if (path / "metrics.jsonl").exists():  # with what the copied checkpoint was saved after
                read_metrics(copy / "metrics.jsonl")
        except (FileNotFoundError, shutil.Error, Damaged):
            continue
        return copy
    raise WorkError(
        f"{path} writes its checkpoints faster than they can be read: wait until its training is finished"
    )


def _copy(path: Path, copy: Path) -> None:
    copy.mkdir(parents=True)
    # The log first: it must not record an end that the copied checkpoint has not reached.
    for file in (*path.glob("*.json"), *path.glob("*.jsonl")):
        shutil.copyfile(file, copy / file.name)
    for name in CHECKPOINTS:
        found = find_checkpoint(path / "checkpoints", name)
        place = path / "checkpoints" / name if found is None else found.path
        if not place.exists():
            continue
        step = place.resolve(strict=True)
        target = copy / "checkpoints" / step.name
        if not target.exists():
            shutil.copytree(step, target, ignore=shutil.ignore_patterns("state.pt"))
        if step.name != name:  # in a copied run the links may have become folders
            (copy / "checkpoints" / name).symlink_to(step.name)
    for name in SHARED_FOLDERS:
        (path / name).mkdir(exist_ok=True)
        (copy / name).symlink_to((path / name).resolve())

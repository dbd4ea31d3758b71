"""A run that does not change while it is looked at, though it may be trained on meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

from alexnet.errors import WorkError
from alexnet.runs.provenance import training_progress
from alexnet.runs.run_dir import CHECKPOINTS, RunDir

KEPT = ("features", "predictions")
"""What is found and kept in the run itself: it says by itself which weights it is of."""
_TRIES = 5
"""A checkpoint may be replaced while it is copied, seldom twice."""


def still(path: Path, around: Path) -> Path:
    """The run's folder where nothing will change in it, else that of a copy as it is now, in `around`.

    The copy keeps the names of the folder and of the one it lies in, and lacks what only training needs.
    WorkError where checkpoints come and go faster than they can be copied.
    """
    if not (path / "checkpoints" / "last").exists() or not training_progress(RunDir(path)):
        return path
    for attempt in range(_TRIES):
        copy = around / str(attempt) / path.resolve().parent.name / path.resolve().name
        try:
            _copy(path, copy)
        except (FileNotFoundError, shutil.Error):
            continue
        return copy
    raise WorkError(f"{path} writes its checkpoints faster than they can be read: wait until it is trained")


def _copy(path: Path, copy: Path) -> None:
    copy.mkdir(parents=True)
    # The log comes first: it must not tell of an end that the checkpoint has not seen.
    for file in (*path.glob("*.json"), *path.glob("*.jsonl")):
        shutil.copyfile(file, copy / file.name)
    for name in CHECKPOINTS:
        place = path / "checkpoints" / name
        if not place.exists():
            continue
        step = place.resolve(strict=True)
        target = copy / "checkpoints" / step.name
        if not target.exists():
            shutil.copytree(step, target, ignore=shutil.ignore_patterns("state.pt"))
        if step.name != name:  # else links became folders when somebody copied the run
            (copy / "checkpoints" / name).symlink_to(step.name)
    for name in KEPT:
        (path / name).mkdir(exist_ok=True)
        (copy / name).symlink_to((path / name).resolve())

"""Checkpoints as they are read: which one is the last, which the best, and whether their weights are whole.

`RUN/checkpoints/step-00001234/` holds `weights.safetensors`, `state.pt` (if it can be trained on) and
`meta.json`: its step, errors, whether it was the best when it was saved, the SHA-256 of the other two, and a
faster digest of the weights.
Last and best follow from these files alone. The links `last` and `best` are for people; a kill may leave them
behind, and the next command that writes there, or `alexnet verify`, moves them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alexnet.checksum import Damaged, known_sha256
from alexnet.errors import DataError, WorkError
from alexnet.json_reader import read_object

WEIGHTS, STATE, META = "weights.safetensors", "state.pt", "meta.json"
STEP_PREFIX, REPLACED_PREFIX = "step-", ".replaced-"
"""Names of checkpoints, and of one whose place another version of the same step is about to take."""

TENSORS_XXH3 = "tensors_xxh3_128"
"""In `meta.json` and in the metadata of a model file: the digest of the tensors that loading compares."""
_TRIES = 5
"""A checkpoint may be removed while it is read, rarely twice."""
CheckpointName = Literal["last", "best"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint with readable `meta.json`; its other files are not checked yet."""

    path: Path
    meta: dict[str, Any]

    @property
    def step(self) -> int:
        """Number of updates."""
        return self.meta["step"]

    @property
    def weights(self) -> Path:
        """The model file."""
        return self.path / WEIGHTS

    @property
    def has_state(self) -> bool:
        """Whether it has more than weights."""
        return STATE in self.meta["sha256"]

    @property
    def was_best(self) -> bool:
        """Whether it had the lowest validation error so far when it was saved."""
        meta = self.meta
        if "best" in meta:
            return meta["best"]
        # Earlier versions: a network that was just validated, or the only checkpoint of other runs.
        if "validated_step" not in meta:
            return True
        return meta["validated_step"] == meta["step"] and self.top1_error == meta["best_error"]

    @property
    def top1_error(self) -> float:
        """The error of the last validation before it was saved, a fraction; infinite without one."""
        return self.meta.get("errors", {}).get("top1_error", math.inf)

    @property
    def log_lines(self) -> int:
        """Lines that the log had when it was saved; 0 in those of earlier versions."""
        return self.meta.get("log_lines", 0)

    def damaged_files(self) -> list[str]:
        """The names of its files that are missing or differ from their SHA-256."""
        found: list[str] = []
        for name, wanted in self.meta["sha256"].items():
            file = self.path / name
            if not file.is_file() or known_sha256(file) != wanted:
                found.append(name)
        return found


def checkpoint_folders(folder: Path) -> list[Path]:
    """The checkpoints in `RUN/checkpoints`, the one with the most updates first."""
    found = [*folder.glob(f"{REPLACED_PREFIX}{STEP_PREFIX}*"), *folder.glob(f"{STEP_PREFIX}*")]
    steps = {step: path for path in found if (step := step_in_name(path)) is not None}
    return [steps[step] for step in sorted(steps, reverse=True)]


def read_meta(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint's `meta.json`, empty without one; Damaged if it is damaged."""
    file = path / META
    if not file.is_file():
        return {}
    try:
        return read_object(file, dict, "is damaged", _way_on(path))
    except DataError as error:
        raise Damaged(str(error)) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a folder; Damaged if its `meta.json` is damaged or is that of another step."""
    file = path / META
    try:
        found = Checkpoint(path, read_meta(path))
        if found.step != step_in_name(path):
            raise Damaged(f"{file} is damaged: it is of step {found.step}", _way_on(path))
        if WEIGHTS not in found.meta["sha256"]:
            raise Damaged(f"{file} is damaged: it has no SHA-256 of {WEIGHTS}", _way_on(path))
    except (KeyError, TypeError) as error:
        raise Damaged(f"{file} is damaged ({error!r})", _way_on(path)) from error
    return found


def find_checkpoint(folder: Path, name: CheckpointName = "last") -> Checkpoint | None:
    """The last or best checkpoint in `RUN/checkpoints`, by their contents; None without one.

    Damaged if a `meta.json` that decides it is.
    """
    for _ in range(_TRIES):
        paths = checkpoint_folders(folder)
        try:
            found = [read_checkpoint(path) for path in paths[:1]]
            if name == "best" or not all(each.has_state for each in found):
                found += [read_checkpoint(path) for path in paths[1:]]
        except Damaged:
            if paths != checkpoint_folders(folder):
                continue  # one was removed meanwhile, since there are newer ones
            raise
        if not found:
            return None
        return last_of(found) if name == "last" else best_of(found)
    raise WorkError(f"{folder} is written faster than it can be read: wait until its training is finished")


def recorded_lines(folder: Path) -> int:
    """Lines that the run's log had when the last checkpoint was saved; 0 if unknown."""
    try:
        found = find_checkpoint(folder)
    except Damaged:
        return 0
    return 0 if found is None else found.log_lines


def last_of(found: Sequence[Checkpoint]) -> Checkpoint:
    """The one with the most updates, of those with a state if any has one.

    In an earlier version the best, without a state, could be of a later step that was given up.
    """
    return max([each for each in found if each.has_state] or found, key=lambda each: each.step)


def best_of(found: Sequence[Checkpoint]) -> Checkpoint | None:
    """The one with the lowest error of those that were the best when they were saved; None without any."""
    best = [each for each in found if each.was_best and each.step <= last_of(found).step]
    lowest = min((each.top1_error for each in best), default=math.inf)
    equal = [each for each in best if each.top1_error == lowest]
    # Of an earlier version's, the first of equals was the best; now only a lower error makes one the best.
    recorded = [each.step for each in equal if "best" in each.meta]
    step = max(recorded) if recorded else min((each.step for each in equal), default=None)
    return next((each for each in equal if each.step == step), None)


def recorded_tensors(path: Path) -> str | None:
    """The digest of the tensors of a checkpoint's weights in the `meta.json` beside them.

    None if nothing is recorded, as for an exported file and in checkpoints of earlier versions.
    """
    return read_meta(path.parent).get(TENSORS_XXH3) if path.name == WEIGHTS else None


def check_weights(path: Path) -> bool:
    """Compares a checkpoint's weights with the SHA-256 in the `meta.json` beside them.

    Returns False if nothing is recorded, as for an exported file; Damaged if they differ. A file is read once
    in a process.
    """
    if path.name != WEIGHTS:
        return False
    wanted = read_meta(path.parent).get("sha256", {}).get(WEIGHTS)
    if wanted is not None and known_sha256(path) != wanted:
        raise damaged_weights(path)
    return wanted is not None


def damaged_weights(path: Path) -> Damaged:
    """The error for a checkpoint's weights that differ from a digest in the `meta.json` beside them."""
    return Damaged(f"{path} is damaged: it differs from its digest in {META}", _way_on(path.parent))


def step_in_name(path: Path) -> int | None:
    """The step in the name of a checkpoint's folder; None for another folder."""
    digits = path.name.removeprefix(REPLACED_PREFIX).removeprefix(STEP_PREFIX)
    return int(digits) if digits.isdecimal() else None


def _way_on(path: Path) -> str:
    """What to do about a damaged checkpoint, or about the one that a link leads to."""
    if path.is_symlink():
        path = path.with_name(path.readlink().name)
    return f"remove {path} and type `alexnet train` with --resume to continue from the one before it"

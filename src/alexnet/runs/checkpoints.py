"""Checkpoints as they are read: which one is the last, which the best, and whether their weights are whole.

`RUN/checkpoints/step-00001234/` holds `weights.safetensors`, `state.pt` (if it can be trained on) and
`meta.json`: its step, errors, whether it was the best when it was saved, the SHA-256 of the other two, and a
faster digest of the weights.
Last and best follow from these files alone. The links `last` and `best` are for people; a kill may leave them
behind, and the next command that writes there, or `alexnet verify`, moves them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from alexnet.checksum import Damaged, known_sha256
from alexnet.errors import DataError, WorkError
from alexnet.json_reader import read_object
from alexnet.serialization import from_dict

WEIGHTS, STATE, META = "weights.safetensors", "state.pt", "meta.json"
STEP_PREFIX, REPLACED_PREFIX = "step-", ".replaced-"
"""Names of checkpoints, and of one whose place another version of the same step is about to take."""

TENSORS_XXH3 = "tensors_xxh3_128"
"""In the metadata of a model file, as in `meta.json`: the digest of the tensors that loading compares."""
_TRIES = 5
"""A checkpoint may be removed while it is read, rarely twice."""
CheckpointName = Literal["last", "best"]


@dataclass(frozen=True, kw_only=True)
class TimeUsed:
    """How long a training took so far, and how long its parts take, in seconds."""

    used: float
    """Of the run, over all resumes."""
    update_seconds: float
    """Of one update; 0 if unknown."""
    validation_seconds: float = 0.0
    """Of the last validation; 0 if unknown."""
    saving_seconds: float = 0.0
    """Of the last checkpoint; 0 if unknown."""


@dataclass(frozen=True, kw_only=True)
class NetworkProgress:
    """How far a network is trained, for `--resume`; by default it is not trained here yet."""

    epoch: int | None = None
    """Epochs that are complete; None before training."""
    batch: int = 0
    """Updates in this epoch."""
    validated_step: int | None = None
    """Number of updates at the last validation."""
    phase: int = 0
    """Of the schedule, at the last update."""
    errors: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of the last validation."""
    best_error: float | None = None
    """Lowest top-1 validation error, a fraction; None without one."""
    waited: int = 0
    """Validations since the best one."""
    seconds: float = 0.0
    """Of the updates, over all resumes."""
    minutes: float | None = None
    """`schedule.minutes`; None in checkpoints of earlier versions."""
    total_steps: int | None = None
    """Planned updates; None in checkpoints of earlier versions."""
    pace: TimeUsed | None = None
    """None in checkpoints of earlier versions."""
    store_digest: str = ""
    """Of the store that it is trained on."""


@dataclass(frozen=True, kw_only=True)
class PipelineResult:
    """How the training of a classic pipeline ended, which has one checkpoint."""

    epochs: int
    """Epochs of the classifiers."""
    errors: dict[str, Any]
    """Of the validation after training."""
    best_top1_error: float
    """Top-1 validation error, a fraction."""
    seconds: float
    """Of training."""


@dataclass(frozen=True, kw_only=True)
class CheckpointMeta:
    """The contents of `meta.json`: what a checkpoint holds, and how far training was."""

    step: int
    """Number of updates; of a classic pipeline, of photos that were encoded."""
    sha256: dict[str, str] = field(default_factory=dict[str, str])
    """Of the other files, by name."""
    tensors_xxh3_128: str | None = None
    """The digest of the weights that loading compares; None in checkpoints of earlier versions."""
    best: bool | None = None
    """Whether it had the lowest validation error so far; None in checkpoints of earlier versions."""
    log_lines: int = 0
    """Lines that the log had when it was saved; 0 in checkpoints of earlier versions."""
    training: NetworkProgress | PipelineResult = field(default_factory=NetworkProgress)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the progress of a network is not nested, a pipeline's is `result`."""
        values = asdict(self)
        training = values.pop("training")
        return values | ({"result": training} if isinstance(self.training, PipelineResult) else training)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CheckpointMeta:
        """From what `to_dict` returned; unknown keys are ignored. ConfigError for values of a wrong type."""
        training = (
            from_dict(PipelineResult, values["result"])
            if "result" in values
            else from_dict(NetworkProgress, _of_fields(NetworkProgress, values))
        )
        if not isinstance(training.errors.get("top1_error", 0.0), int | float):
            raise ValueError("top1_error is not a number")
        common = _of_fields(cls, {name: value for name, value in values.items() if name != "training"})
        return replace(from_dict(cls, common), training=training)


def _of_fields(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: values[each.name] for each in fields(kind) if each.name in values}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint with readable `meta.json`; its other files are not checked yet."""

    path: Path
    meta: CheckpointMeta

    @property
    def step(self) -> int:
        """Number of updates."""
        return self.meta.step

    @property
    def weights(self) -> Path:
        """The model file."""
        return self.path / WEIGHTS

    @property
    def has_state(self) -> bool:
        """Whether it has more than weights."""
        return STATE in self.meta.sha256

    @property
    def was_best(self) -> bool:
        """Whether it had the lowest validation error so far when it was saved."""
        if self.meta.best is not None:
            return self.meta.best
        # Earlier versions: a network that was just validated, or the only checkpoint of other runs.
        training = self.meta.training
        if isinstance(training, PipelineResult) or training.validated_step is None:
            return True
        return training.validated_step == self.step and self.top1_error == training.best_error

    @property
    def top1_error(self) -> float:
        """The error of the last validation before it was saved, a fraction; infinite without one."""
        return self.meta.training.errors.get("top1_error", math.inf)

    def damaged_files(self) -> list[str]:
        """The names of its files that are missing or differ from their SHA-256."""
        found: list[str] = []
        for name, wanted in self.meta.sha256.items():
            file = self.path / name
            if not file.is_file() or known_sha256(file) != wanted:
                found.append(name)
        return found


def checkpoint_folders(folder: Path) -> list[Path]:
    """The checkpoints in `RUN/checkpoints`, the one with the most updates first."""
    found = [*folder.glob(f"{REPLACED_PREFIX}{STEP_PREFIX}*"), *folder.glob(f"{STEP_PREFIX}*")]
    steps = {step: path for path in found if (step := step_in_name(path)) is not None}
    return [steps[step] for step in sorted(steps, reverse=True)]


def read_meta(path: Path) -> CheckpointMeta | None:
    """The contents of a checkpoint's `meta.json`, None without one; Damaged if it is damaged."""
    file = path / META
    if not file.is_file():
        return None
    try:
        return read_object(file, CheckpointMeta.from_dict, "is damaged", _way_on(path))
    except DataError as error:
        raise Damaged(str(error)) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a folder; Damaged if its `meta.json` is damaged or is that of another step."""
    file, meta = path / META, read_meta(path)
    if meta is None:
        raise Damaged(f"{file} is missing", _way_on(path))
    if meta.step != step_in_name(path):
        raise Damaged(f"{file} is damaged: it is of step {meta.step}", _way_on(path))
    if WEIGHTS not in meta.sha256:
        raise Damaged(f"{file} is damaged: it has no SHA-256 of {WEIGHTS}", _way_on(path))
    return Checkpoint(path, meta)


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
    return 0 if found is None else found.meta.log_lines


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
    recorded = [each.step for each in equal if each.meta.best is not None]
    step = max(recorded) if recorded else min((each.step for each in equal), default=None)
    return next((each for each in equal if each.step == step), None)


def recorded_tensors(path: Path) -> str | None:
    """The digest of the tensors of a checkpoint's weights in the `meta.json` beside them.

    None if nothing is recorded, as for an exported file and in checkpoints of earlier versions.
    """
    meta = read_meta(path.parent) if path.name == WEIGHTS else None
    return None if meta is None else meta.tensors_xxh3_128


def check_weights(path: Path) -> bool:
    """Compares a checkpoint's weights with the SHA-256 in the `meta.json` beside them.

    Returns False if nothing is recorded, as for an exported file; Damaged if they differ. A file is read once
    in a process.
    """
    meta = read_meta(path.parent) if path.name == WEIGHTS else None
    wanted = None if meta is None else meta.sha256.get(WEIGHTS)
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

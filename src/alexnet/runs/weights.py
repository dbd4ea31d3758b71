"""Where a run folder keeps its weights."""

from __future__ import annotations

from pathlib import Path

from alexnet.errors import CommandError
from alexnet.runs.ensemble_folder import is_ensemble
from alexnet.runs.folder import why_no_run

CHECKPOINTS = ("last", "best")
"""`best` was chosen by its error on the validation images, so testing it on them flatters it a little."""


def find_weights(path: Path, checkpoint: str = "last") -> Path:
    """The weights of a run folder, of the checkpoint named.

    A file is returned as it is. CommandError where there is nothing.
    """
    if checkpoint not in CHECKPOINTS:
        raise CommandError(f"no checkpoint {checkpoint!r}; it must be {' or '.join(CHECKPOINTS)}")
    if path.is_file():
        return path
    if is_ensemble(path):
        raise CommandError(f"{path} is an ensemble: name one of its nets, such as {_a_net(path)}")
    if not path.is_dir():
        raise CommandError(f"no run folder or model file at {path}")
    file = path / "checkpoints" / checkpoint / "weights.safetensors"
    if not (path / "config.json").is_file() and not file.is_file():
        raise CommandError(why_no_run(path))
    if not file.is_file():
        raise CommandError(f"no weights at {file.parent}; train it first")
    return file


def _a_net(ensemble: Path) -> Path:
    return min((file.parent for file in ensemble.glob("*/config.json")), default=ensemble / "seed-0")

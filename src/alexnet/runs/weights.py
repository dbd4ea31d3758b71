"""Where a run folder keeps its weights."""

from __future__ import annotations

from pathlib import Path

from alexnet.errors import CommandError

CHECKPOINTS = ("best", "last")


def find_weights(path: Path, checkpoint: str = "") -> Path:
    """The weights of a run folder: of the checkpoint named, else of the best, else of the last.

    A file is returned as it is. CommandError where there is nothing.
    """
    if checkpoint and checkpoint not in CHECKPOINTS:
        raise CommandError(f"no checkpoint {checkpoint!r}; it must be {' or '.join(CHECKPOINTS)}")
    if path.is_file():
        return path
    if not path.is_dir():
        raise CommandError(f"no run folder or model file at {path}")
    names = [checkpoint] if checkpoint else CHECKPOINTS
    files = [path / "checkpoints" / name / "weights.safetensors" for name in names]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise CommandError(f"no {checkpoint or 'trained'} weights in {path / 'checkpoints'}; train it first")
    return found

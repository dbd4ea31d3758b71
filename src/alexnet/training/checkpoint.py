"""Checkpoints on disk: directories that are created atomically, and links to the last and the best.

`RUN/checkpoints/step-00001234/` holds `weights.safetensors` (the validated model, as a model file),
`state.pt` (the rest: tensors and plain values, no code) and `meta.json` (position, errors, SHA-256 of the
other two). `last` and `best` are relative links. While a run is trained, the last checkpoint, the one before
it and the weights of the best are kept; of a finished run, the last one and the weights of the best.
`state.pt` may be twice as large as the weights; without it (`drop_state`) a run can be used, but not trained
on.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from alexnet.errors import DataError, WorkError
from alexnet.io import file_sha256, write_json

WEIGHTS, STATE, META = "weights.safetensors", "state.pt", "meta.json"
_PREFIX, _TEMPORARY = "step-", ".temporary-"


@dataclass(frozen=True)
class Checkpoint:
    """A complete, undamaged checkpoint; without its state it can be used, but not trained on."""

    path: Path
    meta: dict[str, Any]

    @property
    def weights(self) -> Path:
        """The model file."""
        return self.path / WEIGHTS

    @property
    def has_state(self) -> bool:
        """Whether it has more than weights."""
        return STATE in self.meta["sha256"]

    def state(self) -> dict[str, Any]:
        """The saved state, on the CPU. DataError if the file has other contents."""
        try:
            return torch.load(self.path / STATE, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise DataError(
                f"{self.path / STATE} is refused: it contains more than tensors and plain values, and "
                "loading it could execute code; delete that checkpoint"
            ) from error


def write(
    folder: Path,
    step: int,
    write_weights: Callable[[Path], None],
    state: dict[str, Any],
    meta: dict[str, Any],
    best: bool,
) -> None:
    """Adds the checkpoint of `step`, links `last` and (if `best`) `best` to it, and removes what is no longer
    kept.

    `write_weights(path)` writes the model file. WorkError if this fails; older checkpoints are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{_TEMPORARY}{os.getpid()}"
    try:
        _discard(temporary)
        temporary.mkdir()
        write_weights(temporary / WEIGHTS)
        torch.save(state, temporary / STATE)
        hashes = {name: file_sha256(temporary / name) for name in (WEIGHTS, STATE)}
        text = json.dumps({"step": step, **meta, "sha256": hashes}, indent=2)
        (temporary / META).write_text(text + "\n", encoding="utf-8")
        _publish(temporary, folder / _name(step), best)
    except (OSError, RuntimeError, WorkError) as error:  # torch reports a full disk as a RuntimeError
        raise WorkError(
            f"cannot write a checkpoint in {folder} ({error}): free some space, then type --resume"
        ) from error
    finally:
        _discard(temporary)
    _prune(folder, step)


def newest(folder: Path, log: Callable[[str], None]) -> Checkpoint | None:
    """The newest undamaged checkpoint, or None if there is none at all; damaged ones are logged.

    Only the last one may be without its state. DataError if all are damaged.
    """
    paths = _checkpoints(folder)
    for path in paths:
        meta: dict[str, Any] = {}
        try:
            meta = json.loads((path / META).read_text(encoding="utf-8"))
            damaged = [name for name, wanted in meta["sha256"].items() if file_sha256(path / name) != wanted]
        except (OSError, ValueError, KeyError) as error:
            damaged = [str(error)]
        if not damaged:
            found = Checkpoint(path, meta)
            if found.has_state or path.resolve() == (folder / "last").resolve():
                return found
            continue
        log(f"{path} is damaged ({', '.join(damaged)}); using the one before it")
    if paths:
        raise DataError(f"all checkpoints in {folder} are damaged: delete {folder.parent} and train again")
    return None


def finish(folder: Path, keep_state: bool = True) -> None:
    """Keeps of a finished run the last checkpoint, and the weights of the best if that is another one.

    Without `keep_state` only the weights of the last one are kept, too: it cannot be trained on.
    """
    last, best = ((folder / name).resolve() for name in ("last", "best"))
    for path in _checkpoints(folder):
        if path.resolve() not in (last, best):
            _discard(path)
        elif path.resolve() != last or not keep_state:
            drop_state(path)


def drop_state(path: Path) -> None:
    """Keeps only the weights of a checkpoint; a kill leaves it with or without its state."""
    meta = json.loads((path / META).read_text(encoding="utf-8"))
    if meta["sha256"].pop(STATE, None):
        write_json(path / META, meta)
    (path / STATE).unlink(missing_ok=True)


def _publish(temporary: Path, final: Path, best: bool) -> None:
    """Syncs the finished directory, renames it to its final name, then moves the links."""
    for file in [*temporary.iterdir(), temporary]:
        _sync(file)
    if final.exists():  # left over from a run that was killed after this step
        _discard(final)
    temporary.rename(final)
    _sync(final.parent)
    for name in ("last", "best") if best else ("last",):
        link = final.parent / f"{_TEMPORARY}{name}"
        link.unlink(missing_ok=True)
        link.symlink_to(final.name)
        link.replace(final.parent / name)
    _sync(final.parent)


def _prune(folder: Path, step: int) -> None:
    """Removes all checkpoints but `step`, the one before it and the best's weights; later ones will be made
    again.
    """
    best = (folder / "best").resolve()
    paths = _checkpoints(folder)
    here = paths.index(folder / _name(step))
    for path in [*paths[:here], *paths[here + 2 :]]:
        if path.resolve() != best:
            _discard(path)
        else:
            drop_state(path)
    for path in folder.glob(f"{_TEMPORARY}*"):
        _discard(path)


def _name(step: int) -> str:
    return f"{_PREFIX}{step:08}"


def _checkpoints(folder: Path) -> list[Path]:
    """All checkpoints, newest first."""
    return sorted(folder.glob(f"{_PREFIX}*"), reverse=True)


def _discard(path: Path) -> None:
    """Renames a directory before it is removed, so that a kill leaves no incomplete one under its name."""
    if path.is_symlink() or not path.exists():
        path.unlink(missing_ok=True)
        return
    doomed = path if path.name.startswith(_TEMPORARY) else path.with_name(f"{_TEMPORARY}{path.name}")
    path.rename(doomed)
    shutil.rmtree(doomed)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

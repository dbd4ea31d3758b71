"""Checkpoints on disk, as they are written: directories that are created atomically.

`runs.checkpoints` describes their files and finds which one is the last and which the best. While a run is
trained, the last checkpoint, the one before it and the weights of the best are kept; of a finished run, the
last one and the weights of the best. `state.pt` (tensors and plain values, no code) may be twice as large as
the weights; without it (`drop_state`) a run can be used, but not trained on.

A kill at any moment leaves a set of checkpoints from which last and best follow. It may also leave links to
older checkpoints and temporary directories: `tidy` moves and removes these when training starts again.
"""

from __future__ import annotations

import errno
import math
import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from alexnet.checksum import Damaged, with_checksum, write_json_with_checksum
from alexnet.errors import DataError, WorkError
from alexnet.io import file_sha256, is_left_over, sync, write_json
from alexnet.runs.checkpoints import (
    META,
    REPLACED_PREFIX,
    STATE,
    STEP_PREFIX,
    WEIGHTS,
    Checkpoint,
    CheckpointMeta,
    NetworkProgress,
    PipelineResult,
    best_of,
    checkpoint_folders,
    last_of,
    read_checkpoint,
    step_in_name,
)
from alexnet.stopping import Shield

_TEMPORARY = ".temporary-"
_NO_LINKS = (errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""Errors of a file system without symbolic links, and of Windows for a user who may not create them."""


def load_state(found: Checkpoint) -> dict[str, Any]:
    """The saved state, on the CPU. DataError if the file has other contents."""
    try:
        return torch.load(found.path / STATE, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(
            f"{found.path / STATE} is refused: it contains more than tensors and plain values, and "
            "loading it could execute code; delete that checkpoint"
        ) from error


def write(
    folder: Path,
    step: int,
    write_weights: Callable[[Path], str],
    state: dict[str, Any],
    training: NetworkProgress | PipelineResult,
    *,
    best: bool,
    log_lines: int = 0,
) -> None:
    """Adds the checkpoint of `step`, links `last` and (if `best`) `best` to it, and removes what is no longer
    kept.

    `write_weights(path)` writes the model file and returns the digest of its tensors; the log has `log_lines`
    lines. A signal waits until all is written. WorkError if this fails; older checkpoints are kept.
    """
    meta = CheckpointMeta(step=step, best=best, log_lines=log_lines, training=training)
    with Shield():
        _write(folder, write_weights, state, meta)


def _write(
    folder: Path, write_weights: Callable[[Path], str], state: dict[str, Any], meta: CheckpointMeta
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{_TEMPORARY}{os.getpid()}"
    try:
        _discard(temporary)
        temporary.mkdir()
        xxh3 = write_weights(temporary / WEIGHTS)
        torch.save(state, temporary / STATE)
        hashes = {name: file_sha256(temporary / name) for name in (WEIGHTS, STATE)}
        whole = replace(meta, sha256=hashes, tensors_xxh3_128=xxh3)
        write_json(temporary / META, with_checksum(whole.to_dict()))
        for later in _later(folder, meta.step):  # given up when an earlier one was resumed from
            _discard(later)
        _publish(temporary, folder / _name(meta.step))
        _move_links(folder)
    except (OSError, RuntimeError, WorkError) as error:  # torch reports a full disk as a RuntimeError
        raise WorkError(
            f"cannot write a checkpoint in {folder} ({error}): free some space, then type --resume"
        ) from error
    finally:
        _discard(temporary)
    _prune(folder)


def newest(folder: Path, log: Callable[[str], None]) -> Checkpoint | None:
    """The newest undamaged checkpoint, or None if there is none at all; damaged ones are logged.

    Only the last one may be without its state. DataError if all are damaged.
    """
    paths = checkpoint_folders(folder)
    for path in paths:
        try:
            found = read_checkpoint(path)
        except Damaged:
            log(f"{path} is damaged ({META}); using the one before it")
            continue
        if damaged := found.damaged_files():
            log(f"{path} is damaged ({', '.join(damaged)}); using the one before it")
        elif found.has_state or path == paths[0]:
            return found
    if paths:
        raise DataError(f"all checkpoints in {folder} are damaged: delete {folder.parent} and train again")
    return None


def best_kept_error(folder: Path, last: Checkpoint) -> float:
    """The top-1 error of the best checkpoint up to `last`, a fraction; infinite if none is kept."""
    best = best_of([each for each in _undamaged(folder) if each.step < last.step] + [last])
    return math.inf if best is None else best.top1_error


def tidy(folder: Path) -> None:
    """Moves the links to the last and best checkpoint, and removes what killed processes left.

    Only for the process that has the run's lock. Damaged checkpoints stay, and so do the links to them.
    """
    if not folder.is_dir():
        return
    for path in checkpoint_folders(folder):
        if path.name.startswith(REPLACED_PREFIX):
            path.rename(folder / path.name.removeprefix(REPLACED_PREFIX))
    _discard_temporary(folder)
    for path in checkpoint_folders(folder):
        for left in filter(is_left_over, path.iterdir()):
            left.unlink()
    _move_links(folder)


def finish(folder: Path, log_lines: int, keep_state: bool = True) -> None:
    """Keeps of a finished run the last checkpoint, and the weights of the best if that is another one.

    Without `keep_state` only the weights of the last one are kept, too: it cannot be trained on. The last one
    records that the log has `log_lines` lines.
    """
    found = _undamaged(folder)
    last, best = last_of(found), best_of(found)
    keep = {each.path for each in (last, best) if each is not None}
    for path in set(checkpoint_folders(folder)) - keep:
        _discard(path)
    if best is not None and best is not last:
        drop_state(best.path)
    # After the others: the last one is recognized by its state as long as one of them has its own.
    _write_meta(last, replace(last.meta, log_lines=log_lines))
    if not keep_state:
        drop_state(last.path)
    _move_links(folder)


def keep_last_weights(folder: Path) -> None:
    """Keeps only the weights of the last checkpoint, if there is one."""
    found = _undamaged(folder)
    if not found:
        return
    last = last_of(found)
    for path in set(checkpoint_folders(folder)) - {last.path}:
        _discard(path)
    drop_state(last.path)
    _move_links(folder)


def drop_state(path: Path) -> None:
    """Keeps only the weights of a checkpoint; a kill leaves it with or without its state."""
    found = read_checkpoint(path)
    if found.has_state:
        hashes = {name: digest for name, digest in found.meta.sha256.items() if name != STATE}
        _write_meta(found, replace(found.meta, sha256=hashes))
    (path / STATE).unlink(missing_ok=True)


def _write_meta(found: Checkpoint, meta: CheckpointMeta) -> None:
    write_json_with_checksum(found.path / META, meta.to_dict())


def _publish(temporary: Path, final: Path) -> None:
    """Syncs the finished directory and renames it to its final name."""
    for file in [*temporary.iterdir(), temporary]:
        sync(file)
    replaced = final.with_name(f"{REPLACED_PREFIX}{final.name}")
    if final.exists():  # of a run that was killed after this step; it counts until the new one is there
        _discard(replaced)
        final.rename(replaced)
    temporary.rename(final)
    sync(final.parent)
    _discard(replaced)


def _move_links(folder: Path) -> None:
    """Points the links at the last and the best checkpoint; nothing else depends on them.

    Does nothing where links cannot be created.
    """
    paths, found = checkpoint_folders(folder), _undamaged(folder)
    if paths and paths[0] not in [each.path for each in found]:
        return  # until it is known from which one the run resumes
    for name, wanted in (("last", last_of(found) if found else None), ("best", best_of(found))):
        link = folder / name
        if wanted is None:
            if link.is_symlink() and not link.exists():
                link.unlink()
        elif not link.is_symlink() or link.readlink() != Path(wanted.path.name):
            if link.is_dir() and not link.is_symlink():  # a copied run has folders in place of links
                _discard(link)
            new = folder / f"{_TEMPORARY}{name}"
            new.unlink(missing_ok=True)
            try:
                new.symlink_to(wanted.path.name)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                continue
            new.replace(link)
    sync(folder)


def _prune(folder: Path) -> None:
    """Removes all checkpoints but the last, the one before it and the best's weights."""
    best = best_of(_undamaged(folder))
    for path in checkpoint_folders(folder)[2:]:
        if best is not None and path == best.path:
            drop_state(path)
        else:
            _discard(path)
    _discard_temporary(folder)


def _undamaged(folder: Path) -> list[Checkpoint]:
    """The checkpoints whose `meta.json` is not damaged, the newest first."""
    found: list[Checkpoint] = []
    for path in checkpoint_folders(folder):
        with suppress(Damaged):
            found.append(read_checkpoint(path))
    return found


def _later(folder: Path, step: int) -> list[Path]:
    """The checkpoints after `step`, the newest first."""
    return [path for path in checkpoint_folders(folder) if (step_in_name(path) or 0) > step]


def _discard_temporary(folder: Path) -> None:
    for prefix in (_TEMPORARY, REPLACED_PREFIX):
        for path in folder.glob(f"{prefix}*"):
            _discard(path)


def _name(step: int) -> str:
    return f"{STEP_PREFIX}{step:08}"


def _discard(path: Path) -> None:
    """Renames a directory before it is removed, so that a kill leaves no incomplete one under its name."""
    if path.is_symlink() or not path.exists():
        path.unlink(missing_ok=True)
        return
    doomed = path if path.name.startswith(_TEMPORARY) else path.with_name(f"{_TEMPORARY}{path.name}")
    path.rename(doomed)
    shutil.rmtree(doomed)

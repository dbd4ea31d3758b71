"""A run folder of weights that were trained elsewhere: whatever takes a run takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from alexnet.errors import CommandError, WorkError
from alexnet.files import appearing, file_sha256
from alexnet.models import model_file
from alexnet.models.model_file import Loaded
from alexnet.runs import environment
from alexnet.runs.folder import RunFolder
from alexnet.training import checkpoint

_POSITION: Mapping[str, Any] = {"epoch": 0, "errors": {}, "store_digest": ""}


def refuse_taken(run: Path) -> None:
    """CommandError where `run` is a file or a folder that holds something."""
    if run.is_file() or (run.is_dir() and any(run.iterdir())):
        raise CommandError(f"{run} exists: give another folder for the imported net")


def write_run(run: Path, net: Loaded, source: Path, form: str, command: Sequence[str]) -> RunFolder:
    """The run folder of `net`, read from the file `source` of the program `form`; whole or not there.

    `command` is the command line, for `environment.json`, which also names the file and its SHA-256.
    CommandError where `run` is taken; WorkError where the disk refuses.
    """
    refuse_taken(run)
    imported = {"file": source.name, "sha256": file_sha256(source), "as": form}
    try:
        with appearing(run) as unfinished:
            folder = RunFolder.create(unfinished, net.config)
            folder.write_environment({**environment.describe("", "", command), "imported": imported})
            write = partial(model_file.write, net=net)
            checkpoint.write(folder.checkpoints, 0, write, {}, dict(_POSITION), best=True)
    except WorkError as error:
        raise WorkError(
            f"cannot write {run} ({_reason(error)}): free some space, or choose another place"
        ) from error
    return RunFolder(run)


def _reason(error: BaseException) -> object:
    """What was first said; the places named since then are those of a folder that nobody has heard of."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "strerror", None) or error

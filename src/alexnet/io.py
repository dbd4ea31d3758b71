"""Files that appear whole or not at all, whatever kills the process that writes them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alexnet.errors import Busy, CommandError, WorkError

_UNFINISHED = ".part"


class CannotWrite(WorkError):  # noqa: N818 - it says what happened
    """The disk is full, or refuses; what was at the path is still there."""


@contextmanager
def atomic_write(path: Path) -> Generator[Path]:
    """A temporary path beside `path`: what is written there takes the place of `path` at the end, synced.

    Makes the folder. CannotWrite where the disk refuses.
    """
    unfinished = unfinished_path(path)
    try:
        with writing(path):
            yield unfinished
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Makes the folder of `path`; CannotWrite where the disk refuses what is done to it meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def atomic_dir(folder: Path) -> Generator[Path]:
    """A temporary path beside `folder`: the folder made there takes that name at the end.

    `folder` must not exist, or be empty. CannotWrite where the disk refuses; then nothing is left.
    """
    unfinished = unfinished_path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}.*{_UNFINISHED}"):
            if not _is_alive(left):
                shutil.rmtree(left, ignore_errors=True)
        yield unfinished
        unfinished.rename(folder)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_alive(unfinished: Path) -> bool:
    """Whether the process that is to finish it is still there."""
    number = unfinished.name.removesuffix(_UNFINISHED).rpartition(".")[2]
    return not number.isdigit() or Path("/proc", number).exists() or not Path("/proc/self").exists()


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    return CannotWrite(
        f"cannot write {path} ({error.strerror or error}): free some space, or choose another place"
    )


def unfinished_path(path: Path) -> Path:
    """Where this process writes what is to become `path`: hidden, beside it."""
    return path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")


@contextmanager
def exclusive_lock(folder: Path, wait: bool = False) -> Generator[None]:
    """Nobody else who asks for the same folder gets it meanwhile.

    Where somebody has it, Busy, or with `wait` not before it is free. A killed process holds nothing. Where
    the file system cannot lock, nobody is kept out.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(descriptor)
        raise Busy(f"another process is at work on {folder}: wait for it, or stop it") from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def refuse_unwritable(out: Path) -> None:
    """CommandError where no file could be made at `out`; asked before long work, nothing is left there."""
    folder = next(each for each in out.absolute().parents if each.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CommandError(f"cannot write {out} ({error.strerror}): give --out another place") from error


def write_whole(path: Path, contents: bytes) -> None:
    """Puts `contents` in place of what is at `path`."""
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(contents)


def write_json(path: Path, document: Any) -> None:
    """Puts a JSON document, indented, in place of what is at `path`."""
    write_whole(path, (json.dumps(document, indent=2) + "\n").encode())


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_left_over(path: Path) -> bool:
    """Whether it was being written by a process that was killed."""
    return path.name.startswith(".") and path.name.endswith(_UNFINISHED)

"""Atomic files and directories, and locks: a killed process leaves nothing half-written."""

from __future__ import annotations

import glob
import hashlib
import importlib
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alexnet.errors import AlexNetError, Busy, CommandError, WorkError

_UNFINISHED = ".part"
_fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None
"""None on Windows."""


class CannotWrite(WorkError):  # noqa: N818 - it names the problem
    """The disk is full or not writable; an earlier file at the path is unchanged."""


@contextmanager
def atomic_write(path: Path) -> Generator[Path]:
    """Yields a temporary path beside `path`; at the end its file is synced and replaces `path`.

    Creates the parent directory, and removes what killed writers of `path` left. CannotWrite if the disk is
    full or not writable.
    """
    unfinished = unfinished_path(path)
    try:
        with writing(path):
            remove_left_over(path)
            yield unfinished
            sync(unfinished)
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Creates the parent directory of `path`; turns an OSError within the context into CannotWrite."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except AlexNetError:
        raise
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def atomic_dir(folder: Path) -> Generator[Path]:
    """Yields a temporary path beside `folder`; the directory created there is renamed to `folder` at the end.

    `folder` must not exist or be empty. CannotWrite if the disk is full or not writable; then nothing
    remains.
    """
    unfinished = unfinished_path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_left_over(folder)
        yield unfinished
        unfinished.rename(folder)
    except AlexNetError:
        raise
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_left_over(path: Path) -> None:
    """Removes the temporary files and folders of `path` whose writers were killed on this machine.

    Others may be being written.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_UNFINISHED}"):
        if is_abandoned(left):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def is_abandoned(path: Path) -> bool:
    """Whether it is a temporary path of a process that ran on this machine and no longer does.

    Other machines may see the same disk. A path of an earlier version has no host and counts as of this one.
    """
    writer = re.fullmatch(r"(?:(.+)-)?([0-9]+)", path.name.removesuffix(_UNFINISHED).rpartition(".")[2])
    if not is_left_over(path) or writer is None:
        return False
    host, number = writer.groups()
    return host in (None, host_name()) and not is_running(int(number))


def is_running(process: int) -> bool:
    """Whether a process of this machine exists and is no zombie; True on Windows, where it is unknown."""
    if sys.platform == "win32":  # os.kill(process, 0) would end it
        return True
    try:
        os.kill(process, 0)
    except PermissionError:  # of another user
        return True
    except (ProcessLookupError, OverflowError):
        return False
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:  # no /proc, as on macOS, or it has just ended
        return not Path("/proc/self").exists()


def _cannot_write(path: Path, error: OSError) -> CannotWrite:
    return CannotWrite(
        f"cannot write {path} ({error.strerror or error}): free some space, or choose another path"
    )


def unfinished_path(path: Path) -> Path:
    """The temporary path of this process for `path`: `.NAME.HOST-PID.part`, hidden, beside it."""
    return path.with_name(f".{path.name}.{host_name()}-{os.getpid()}{_UNFINISHED}")


def host_name() -> str:
    """The name of this machine, as part of a file's name without dots."""
    return re.sub("[^A-Za-z0-9-]", "_", platform.node())


@contextmanager
def exclusive_lock(folder: Path, wait: bool = False) -> Generator[None]:
    """Holds the lock of a directory, which one process at a time can have.

    Busy if another process holds it; with `wait` it waits instead. The lock of a killed process is
    released. It does nothing if the file system does not support locks. On Windows, where a directory cannot
    be locked, it locks a file beside it.
    """
    if _fcntl is None:
        with _locked_file(folder, wait):
            yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _fcntl.flock(descriptor, _fcntl.LOCK_EX | (0 if wait else _fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(descriptor)
        raise _busy(folder) from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _locked_file(folder: Path, wait: bool) -> Generator[None]:
    import filelock

    place = folder.absolute()
    lock = filelock.FileLock(place.with_name(f".{place.name}.lock"), timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise _busy(folder) from error
    try:
        yield
    finally:
        lock.release()


def _busy(folder: Path) -> Busy:
    return Busy(f"another process is using {folder}: wait for it, or stop it")


def sync(path: Path) -> None:
    """Makes a file, or the names in a folder, durable.

    Windows syncs only files opened for writing, and cannot open folders: nothing is done for them there.
    """
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except PermissionError:
        if is_folder:
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_at(path: Path, offset: int, size: int) -> bytes:
    """`size` bytes of a file from `offset` in one request; fewer only at the end of the file.

    Thread-safe, as there is no shared position.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)


def refuse_unwritable(out: Path) -> None:
    """CommandError if no file can be created at `out`; to be called before long work, leaves no file."""
    folder = next(each for each in out.absolute().parents if each.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CommandError(f"cannot write {out} ({error.strerror}): choose another path") from error


def write_whole(path: Path, contents: bytes) -> None:
    """Writes `contents` to `path` atomically."""
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(contents)


def write_json(path: Path, document: Any) -> None:
    """Writes an indented JSON document to `path` atomically."""
    write_whole(path, (json.dumps(document, indent=2) + "\n").encode())


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_left_over(path: Path) -> bool:
    """Whether it is a temporary path that a killed process left."""
    return path.name.startswith(".") and path.name.endswith(_UNFINISHED)

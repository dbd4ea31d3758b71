"""Checksums of small files, kept within them: a changed digit is noticed when the file is read.

A JSON object has the checksum as its last entry, a list in each of its objects, a log in each of its lines.
So no kill can separate a file from its checksum. Objects without one, of earlier versions, are not checked.
It protects against damage, not against intent. The digests of large files are in the small ones: of weights
in `meta.json`, of shards in `header.json`.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from alexnet.errors import DataError
from alexnet.io import file_sha256, write_json

CHECKSUM = "checksum"
"""The key of the checksum in a JSON object."""
CHANGED = f'or remove its entry "{CHECKSUM}" if you changed the file yourself'
_RESTORE = f"restore it, {CHANGED}"
_DIGITS = 16
"""Of SHA-256, in hexadecimal: 64 bits."""


class Damaged(DataError):  # noqa: N818 - what happened to the file
    """The contents of a file are not those that were written."""


def with_checksum(values: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its checksum as the last entry."""
    plain: dict[str, Any] = json.loads(json.dumps(values))
    plain.pop(CHECKSUM, None)
    return {**plain, CHECKSUM: _checksum(plain)}


def without_checksum(document: Any, path: Path, hint: str = _RESTORE) -> Any:
    """What was read from the JSON file at `path`, compared with its checksums, which are removed.

    Damaged, with `hint` as what to do, if an object, or an object in a list, differs from its own.
    """
    if isinstance(document, list):
        return [_verified(each, path, hint) for each in document]  # pyright: ignore[reportUnknownVariableType]
    return _verified(document, path, hint)


def write_json_with_checksum(path: Path, values: Mapping[str, Any]) -> None:
    """Writes the object, with its checksum, as indented JSON to `path` atomically."""
    write_json(path, with_checksum(values))


def has_checksum(document: Any) -> bool:
    """Whether a JSON document has checksums: in itself, or in all objects of a list that is not empty."""
    if isinstance(document, list):
        return bool(document) and all(map(has_checksum, document))  # pyright: ignore[reportUnknownArgumentType]
    return isinstance(document, dict) and CHECKSUM in document


class FileVersion(NamedTuple):
    """A file as it is now; another one when it is replaced or written again."""

    path: Path
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FileVersion:
        """The version of an existing file."""
        status = path.stat()
        return cls(path.resolve(), status.st_ino, status.st_size, status.st_mtime_ns)


def known_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; computed once in a process unless the file is replaced or changed."""
    return _known_sha256(FileVersion.of(path))


@functools.cache
def _known_sha256(version: FileVersion) -> str:
    return file_sha256(version.path)


def _verified(value: Any, path: Path, hint: str) -> Any:
    if not isinstance(value, dict) or CHECKSUM not in value:
        return value  # pyright: ignore[reportUnknownVariableType]
    values: dict[str, Any] = {**value}
    wanted = values.pop(CHECKSUM)
    if wanted != _checksum(values):
        raise Damaged(f"{path} is damaged, its contents differ from its checksum", hint)
    return values


def _checksum(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

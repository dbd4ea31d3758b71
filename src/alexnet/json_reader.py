"""Reads JSON of unknown origin: it becomes the wanted value, or an error names the file and the reason."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from alexnet.checksum import CHANGED, without_checksum
from alexnet.errors import CommandError, DataError

MAX_BYTES = 2**28
"""Of a JSON file, far above any that this program writes."""
MAX_DEPTH = 50
"""Of lists and objects in each other."""
_MAX_DIGITS = 20
"""Of a whole number: one of 64 bits has no more."""

_Value = TypeVar("_Value")
# What parsers raise for a value of another shape: a list in place of a number, a missing key, ...
WRONG_SHAPE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RecursionError,
    CommandError,
)


class NewerVersion(ValueError):  # noqa: N818 - what was found
    """A file of a later version of this program."""


def read_object(
    path: Path, parse: Callable[[Mapping[str, Any]], _Value], problem: str, remedy: str
) -> _Value:
    """What `parse` makes of the JSON object in the file.

    DataError, `PATH PROBLEM (reason): REMEDY`, if the file has no JSON object, or `parse` does not accept it;
    also if the file cannot be read. A DataError of `parse` itself is passed on.
    """
    return read_document(path, lambda value: parse(as_object(value)), problem, remedy)


def read_document(path: Path, parse: Callable[[Any], _Value], problem: str, remedy: str) -> _Value:
    """The same for a file that may have something else than an object. Damaged if its checksum differs."""
    with refusing(path, problem, remedy):
        return parse(without_checksum(read_json(path), path, f"{remedy}, {CHANGED}"))


@contextmanager
def refusing(path: Path, problem: str, remedy: str) -> Generator[None]:
    """Turns what parsers raise for values of another shape into a DataError that names the file."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error})") from error
    except NewerVersion as error:
        raise DataError(f"{path} {error}") from error
    except DataError:
        raise
    except WRONG_SHAPE as error:
        raise DataError(f"{path} {problem} ({reason_of(error)}): {remedy}") from error


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text in UTF-8. ValueError for anything else, and beyond `MAX_DEPTH` and 64 bits."""
    try:
        value = json.loads(
            text.decode("utf-8-sig") if isinstance(text, bytes) else text, parse_int=_whole_number
        )
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _check_depth(value)
    return value


def as_object(value: Any) -> Mapping[str, Any]:
    """The JSON object; ValueError, which names its type, for any other value."""
    if not isinstance(value, dict):
        raise ValueError(f"{_NAMES.get(type(value), 'a value')} instead of an object")
    return cast(dict[str, Any], value)


def reason_of(error: BaseException) -> str:
    """Why a value was not accepted, in words."""
    if isinstance(error, KeyError):
        return f"no {error.args[0]!r}" if error.args else "a missing key"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    return str(error) or type(error).__name__


_TOO_DEEP = f"nested more than {MAX_DEPTH} times"
_NAMES = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def read_json(path: Path) -> Any:
    """The value in a JSON file, with its checksum.

    ValueError as `parse_json`, and for a file that is not regular or has more than `MAX_BYTES`; OSError.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"{status.st_size:,} bytes, more than {MAX_BYTES:,}")
    return parse_json(path.read_bytes())


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _check_depth(value: Any) -> None:
    level: list[Any] = [value] if isinstance(value, list | dict) else []
    for _ in range(MAX_DEPTH):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for values in inner for each in values if isinstance(each, list | dict)]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def check_version(version: Any, newest: int) -> None:
    """NewerVersion for the number of a later format version, ValueError for what is no version."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise ValueError(f"format version {version!r} is not a number")
    if version > newest:
        raise NewerVersion(f"has format version {version}, this program reads {newest}: update alexnet")

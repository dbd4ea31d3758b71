"""Frozen dataclasses to plain values for JSON and back, strictly: an unknown key or a wrong type is an error.

Text is accepted where a number is wanted, so that a command line's `key=value` goes the same way.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from alexnet.errors import CommandError

Kind = TypeVar("Kind")


class ConfigError(CommandError):
    """A key that does not exist, or a value of the wrong type or outside its range."""


def to_dict(config: object) -> dict[str, Any]:
    """The configuration as plain dicts, lists, strings and numbers, ready for JSON."""
    return json.loads(json.dumps(dataclasses.asdict(typing.cast(Any, config))))


def from_dict(kind: type[Kind], values: Mapping[str, Any], where: str = "") -> Kind:
    """The dataclass `kind` from what `to_dict` gave; ConfigError on unknown keys and wrong types."""
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise ConfigError(unknown_key(where + key, [where + name for name in hints]))
    try:
        return kind(**{key: _coerce(hints[key], value, where + key) for key, value in values.items()})
    except TypeError as error:  # such as: missing 1 required positional argument: 'at'
        raise ConfigError(
            f"{where.rstrip('.') or kind.__name__}: {str(error).partition('() ')[2]}"
        ) from error


def unknown_key(name: str, names: list[str]) -> str:
    """The line that says a key does not exist and which is the nearest that does."""
    by_last = {candidate.rsplit(".", 1)[-1]: candidate for candidate in names}
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    near = near or [
        by_last[last] for last in difflib.get_close_matches(name.rsplit(".", 1)[-1], by_last, n=1)
    ]
    return f"unknown key {name!r}; the nearest is {near[0]!r}" if near else f"unknown key {name!r}"


def _coerce(hint: Any, value: Any, where: str) -> Any:
    """`value` (from JSON, or a command line's text) as the type `hint`; ConfigError if it does not fit."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # always `Something | None`
        return None if value is None else _coerce(typing.get_args(hint)[0], value, where)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a JSON object, got {value!r}")
        return from_dict(typing.cast(type, hint), value, where + ".")
    origin = typing.get_origin(hint)
    if origin is Literal:
        return _choice(typing.get_args(hint), value, where)
    if origin is tuple:
        return _tuple(typing.get_args(hint), value, where)
    if origin is list:
        return list(_tuple((*typing.get_args(hint), ...), value, where))
    if origin is dict:
        return {
            key: _coerce(typing.get_args(hint)[1], entry, f"{where}.{key}") for key, entry in value.items()
        }
    return _scalar(hint, value, where)


def _choice(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in choices:
        raise ConfigError(f"{where}={value!r} must be one of {', '.join(choices)}")
    return value


def _tuple(parts: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"{where}={value!r} is no JSON ({error}): type a list, such as {_example(parts[0])}"
            ) from error
    if not isinstance(value, list):
        raise ConfigError(f"{where} must be a JSON list, such as {_example(parts[0])}")
    hints = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
    if len(hints) != len(value):
        raise ConfigError(f"{where} must have {len(hints)} entries, got {len(value)}")
    return tuple(_coerce(hint, entry, where) for hint, entry in zip(hints, value, strict=True))


def _example(part: Any) -> str:
    """A list of such entries."""
    if not dataclasses.is_dataclass(part):
        return {int: "[1, 2]", str: '["1x1", "3x1"]'}.get(part, "[0.3, 1.0]")
    name = dataclasses.fields(part)[0].name
    return f'[{{"{name}": ...}}]'


_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _scalar(hint: type, value: Any, where: str) -> Any:
    """int, float, bool or str; text is parsed, other types must already be right."""
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[hint]
    error = ConfigError(f"{where} must be {wanted}, got {value!r}")
    if hint is bool:
        word = value if isinstance(value, bool) else _WORDS.get(str(value).lower())
        if word is None:
            raise error
        return word
    if (
        isinstance(value, bool)
        or (hint is int and isinstance(value, float))
        or (hint is str and not isinstance(value, str))
    ):
        raise error
    try:
        return hint(value)
    except (TypeError, ValueError):
        raise error from None

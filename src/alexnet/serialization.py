"""Converts frozen dataclasses to plain values for JSON and back, strictly: an unknown key or a wrong type is
an error.

Text is accepted for numbers and lists, so that `key=value` on a command line is parsed in the same way.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from alexnet.errors import CommandError
from alexnet.text import nearest

_Kind = TypeVar("_Kind")


class ConfigError(CommandError):
    """A key that does not exist, or a value of the wrong type or outside its range."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The values that a number of a configuration may have: `lr: Annotated[float, Range(above=0)]`.

    For a list of numbers it is the range of each.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """`at least 1`, `above 0` or `in [0, 1)`."""
        high = self.at_most if self.below is None else self.below
        if high is None:
            return f"at least {self.at_least:g}" if self.above is None else f"above {self.above:g}"
        low = f"[{self.at_least:g}" if self.above is None else f"({self.above:g}"
        return f"in {low}, {high:.10g}{']' if self.below is None else ')'}"


@functools.cache
def ranges_of(kind: type) -> Mapping[str, Range]:
    """The ranges of the fields of a configuration's dataclass that have one."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = ((name, part) for name, hint in hints.items() for part in getattr(hint, "__metadata__", ()))
    return {name: part for name, part in found if isinstance(part, Range)}


def range_checks(section: object, where: str) -> Iterator[tuple[bool, str]]:
    """For each field with a range, whether its value is in it, and the message if it is not.

    `where` precedes the names of the fields, as in `from_dict`.
    """
    for name, allowed in ranges_of(type(section)).items():
        value = getattr(section, name)
        numbers = value if isinstance(value, tuple) else (value,)
        shown = list(numbers) if isinstance(value, tuple) else value
        yield all(each in allowed for each in numbers), f"{where}{name}={shown} must be {allowed}"


class UnknownKeyError(ConfigError):
    """A key that does not exist; the message has the nearest existing key."""

    def __init__(self, key: str, names: Sequence[str]):
        near = _nearest(key, names)
        super().__init__(f"unknown key {key!r}" + (f"; the nearest is {near!r}" if near else ""))
        self.key = key


def to_dict(config: object) -> dict[str, Any]:
    """The configuration as plain dicts, lists, strings and numbers, ready for JSON."""
    return json.loads(json.dumps(dataclasses.asdict(typing.cast(Any, config))))


def from_dict(kind: type[_Kind], values: Mapping[str, Any], where: str = "") -> _Kind:
    """The dataclass `kind` from what `to_dict` returned; ConfigError on unknown keys and wrong types.

    A class whose field types depend on other values has a class method `types_for(values)` that returns them.
    `where` precedes the keys in messages.
    """
    hints = typing.get_type_hints(kind)
    if hasattr(kind, "types_for"):
        hints |= typing.cast(Any, kind).types_for(values)
    for key in values:
        if key not in hints:
            raise UnknownKeyError(where + key, [where + name for name in hints])
    try:
        return kind(**{key: _coerce(hints[key], value, where + key) for key, value in values.items()})
    except TypeError as error:  # such as: missing 1 required positional argument: 'at'
        raise ConfigError(
            f"{where.rstrip('.') or kind.__name__}: {str(error).partition('() ')[2]}"
        ) from error


def _nearest(key: str, names: Sequence[str]) -> str:
    """The existing key most similar to `key`, by its whole name or else by its last part; empty if there is
    none.
    """
    section, _, last = key.rpartition(".")
    # Of the same section first: a long name of a section would make all its keys near.
    within = {name.removeprefix(f"{section}."): name for name in names if name.startswith(f"{section}.")}
    by_last = {name.rpartition(".")[2]: name for name in reversed(names)}
    return within.get(nearest(last, within)) or by_last.get(nearest(last, by_last), "")


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
    return value if hint is Any else _scalar(hint, value, where)


def _choice(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in choices:
        raise ConfigError(f"{where}={value!r} must be one of {', '.join(choices)}")
    return value


def _tuple(parts: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    example = _example(tuple[*parts])
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"{where}={value!r} is not JSON ({error}): type a list, such as {example}"
            ) from error
    if not isinstance(value, list):
        raise ConfigError(f"{where} must be a JSON list, such as {example}")
    hints = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
    if len(hints) != len(value):
        raise ConfigError(f"{where} must have {len(hints)} entries, got {len(value)}")
    return tuple(_coerce(hint, entry, where) for hint, entry in zip(hints, value, strict=True))


def _example(hint: Any) -> str:
    """A value of that type, as JSON."""
    if dataclasses.is_dataclass(hint):
        return f'{{"{dataclasses.fields(hint)[0].name}": ...}}'
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return json.dumps(parts[0])
    if typing.get_origin(hint) is tuple:
        return f"[{', '.join(_example(part) for part in parts if part is not Ellipsis)}]"
    return {int: "1", float: "0.5", str: '"text"', bool: "true"}.get(hint, "...")


_MAX_INTEGER = 2**63 - 1
_BOOLEANS = {
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
        word = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
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
        parsed = hint(value)
    except (TypeError, ValueError, OverflowError):
        raise error from None
    if isinstance(parsed, int) and abs(parsed) > _MAX_INTEGER:
        raise ConfigError(f"{where} must be a number of at most 64 bits")
    return parsed

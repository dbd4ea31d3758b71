"""Every key of a configuration with its meaning, type, default and range, for `alexnet config` and `help`.

The meaning is the docstring under the field of its dataclass, the range that of its annotation
(`serialization.Range`), which is also what is checked.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from alexnet import recipes
from alexnet.classic.config import SHARED_KEYS
from alexnet.config import RunConfig, flatten
from alexnet.models.config import VARIANTS, architecture, family_of
from alexnet.serialization import ranges_of, to_dict


@dataclass(frozen=True)
class ConfigKey:
    """A key that a setting `key=value` can have."""

    name: str
    """Its dotted name, such as `schedule.epochs`."""
    short: str
    """The shortest ending of it that no other key of the configuration has, such as `epochs`."""
    meaning: str
    kind: str
    """What its value is, such as `a whole number` or `one of a, b`."""
    default: Any
    """As a plain value for JSON. For a constant of an architecture it is that of the variant."""
    range: str
    """Such as `at least 1`; empty for all values of its kind."""
    parts: tuple[ConfigKey, ...] = ()
    """The fields of each object, if the value is a list of objects."""
    family: str = ""
    """The models that have it, if not all do: the values of `model.name`, or `classic pipelines`."""


def keys_of(config: RunConfig) -> list[ConfigKey]:
    """The keys of a configuration, in its order; those of a classic pipeline are the ones it can change."""
    names, values = _names(config), _defaults(config)
    return [
        dataclasses.replace(_key(name, *where), short=_short(name, names), default=values[name])
        for name, where in ((name, _field(config, name)) for name in names)
    ]


def _names(config: RunConfig) -> list[str]:
    names = list(flatten(config))
    if config.classic is None:
        return names
    return [name for name in names if name in SHARED_KEYS or name.startswith("classic.")]


def section_meaning(config: RunConfig, section: str) -> str:
    """What a section such as `data` or `model.architecture` is about."""
    part: Any = functools.reduce(getattr, section.split("."), config)
    return _one_line(inspect.getdoc(type(part)) or "")


@functools.cache
def all_keys() -> tuple[ConfigKey, ...]:
    """The keys of all models and pipelines, each once; constants of an architecture once for each family."""
    found: dict[tuple[str, str], ConfigKey] = {}
    for config, family in _one_of_each_family():
        for key in keys_of(config):
            own = family if key.name.startswith(("model.architecture.", "classic.")) else ""
            found.setdefault((key.name, own), dataclasses.replace(key, family=own))
    return tuple(found.values())


def find_keys(name: str) -> list[ConfigKey]:
    """The keys of that name, or whose ending it is; without one, those of the section of that name."""
    keys = all_keys()
    whole = [key for key in keys if key.name == name]
    ending = whole or [key for key in keys if key.name.endswith(f".{name}")]
    return ending or [key for key in keys if key.name.startswith(f"{name}.")]


def values_in_recipes(name: str) -> dict[str, list[str]]:
    """The values of that key, as text, and the names of the recipes that have each."""
    found: dict[str, list[str]] = {}
    for recipe in recipes.names():
        config = recipes.get(recipe)
        if name in _names(config):
            found.setdefault(text_of(flatten(config)[name]), []).append(recipe)
    return found


def text_of(value: Any) -> str:
    """A value as it is typed after `key=`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else _compact(value)


def _compact(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_compact, typing.cast('list[Any]', value)))}]"
    if isinstance(value, float):
        return f"{value:.12g}"
    return json.dumps(value)


def _one_of_each_family() -> Iterator[tuple[RunConfig, str]]:
    seen: set[str] = set()
    for recipe in recipes.names():
        config = recipes.get(recipe)
        shared = [name for name in VARIANTS if family_of(name) is type(config.model.architecture)]
        family = "classic pipelines" if config.classic else ", ".join(shared)
        if family not in seen:
            seen.add(family)
            yield config, family


def _defaults(config: RunConfig) -> dict[str, Any]:
    """The default of each key: that of its dataclass, or of the variant."""
    plain = dataclasses.replace(
        RunConfig(config.recipe, classic=None if config.classic is None else type(config.classic)()),
        model=dataclasses.replace(
            config.model, architecture=architecture(config.model.name, config.model.variant)
        ),
    )
    values = flatten(plain)
    model = to_dict(type(config.model)())
    return values | {f"model.{name}": model[name] for name in model if name != "architecture"}


def _field(config: RunConfig, name: str) -> tuple[type, str]:
    """The dataclass that has a key as a field, and the field's name."""
    *sections, last = name.split(".")
    return type(functools.reduce(getattr, sections, typing.cast(Any, config))), last


@functools.cache
def _key(name: str, owner: type, field: str) -> ConfigKey:
    hint = typing.get_type_hints(owner)[field]
    inner = _entry_class(hint)
    parts = () if inner is None else tuple(_key(each.name, inner, each.name) for each in _fields(inner))
    default = next(each.default for each in _fields(owner) if each.name == field)
    return ConfigKey(
        name=name,
        short=field,
        meaning=field_docs(owner)[field],
        kind=_kind(hint),
        default=None if default is dataclasses.MISSING else json.loads(json.dumps(default, default=to_dict)),
        range=str(ranges_of(owner).get(field, "")),
        parts=parts,
    )


def _fields(kind: type) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(typing.cast(Any, kind))


@functools.cache
def field_docs(kind: type) -> Mapping[str, str]:
    """The docstring under each field of a dataclass, each as one line."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(tree, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                docs[field.target.id] = _one_line(text.value)
    return docs


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _short(name: str, names: list[str]) -> str:
    """The shortest ending of a key that only it has."""
    parts = name.split(".")
    for start in range(len(parts) - 1, 0, -1):
        ending = ".".join(parts[start:])
        if sum(each.endswith(f".{ending}") for each in names) == 1:
            return ending
    return name


def _entry_class(hint: Any) -> type | None:
    """The dataclass of which a field holds a list."""
    parts = typing.get_args(hint)
    is_list = bool(parts) and isinstance(parts[0], type) and dataclasses.is_dataclass(parts[0])
    return typing.cast(type, parts[0]) if is_list else None


_WORDS = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
_PLURALS = {int: "whole numbers", float: "numbers", bool: "yes or no", str: "texts"}


def _kind(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _kind(parts[0])
    if origin is Literal:
        return f"one of {', '.join(parts)}"
    if origin is tuple and parts[-1] is Ellipsis:
        return f"a list of {_many(parts[0])}"
    if origin is tuple and len(set(parts)) == 1:
        return f"a list of {len(parts)} {_many(parts[0])}"
    if origin is tuple:
        return f"a list [{', '.join(map(_kind, parts))}]"
    return _WORDS[hint]


def _many(hint: Any) -> str:
    """The entries of a list, in the plural."""
    if dataclasses.is_dataclass(hint):
        return "objects"
    if typing.get_origin(hint) is Literal:
        return f"any of {', '.join(typing.get_args(hint))}"
    if typing.get_origin(hint) is tuple:
        return _kind(hint).replace("a list", "lists", 1)
    return _PLURALS[hint]

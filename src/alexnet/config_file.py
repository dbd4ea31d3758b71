"""Configurations as YAML files: `alexnet config` prints them, `--config FILE.yaml` reads them.

A file has the keys of a configuration, nested or by their dotted names, in full or any unambiguous ending,
and the name of the recipe that they change. Values are read as those of `key=value` are.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from alexnet import recipes
from alexnet.config import RunConfig, check_settings, flatten
from alexnet.config_keys import ConfigKey, keys_of, section_meaning, text_of
from alexnet.errors import CommandError, NotFound
from alexnet.serialization import ConfigError

WIDTH = 100
FOLLOW_FROM_STORE = ("data.image_size", "data.input_size")
"""Keys that are comments in a file as long as they are those of the recipe."""


@dataclass(frozen=True)
class ConfigFile:
    """What a file contains."""

    recipe: str
    settings: tuple[str, ...]
    """`key=value` changes of the recipe, as `config.override` takes them."""


def config_yaml(config: RunConfig) -> str:
    """A configuration as YAML in which comments explain every key; `read_config_file` is the inverse.

    Image sizes are comments if they are those of the recipe, so that they follow from a store.
    """
    own, values = flatten(recipes.get(config.recipe)), flatten(config)
    lines = [
        *_comment(
            f"A configuration that starts from the recipe {config.recipe}. `alexnet train --config FILE.yaml "
            "--store STORE --run RUN` trains it; keys that are left out have the recipe's values.",
            "",
        ),
        f"recipe: {config.recipe}",
    ]
    open_sections: list[str] = []
    for key in keys_of(config):
        *sections, last = key.name.split(".")
        for depth, section in enumerate(sections):
            if sections[: depth + 1] != open_sections[: depth + 1]:
                meaning = section_meaning(config, ".".join(sections[: depth + 1]))
                lines += ["", *_comment(meaning, "  " * depth), f"{'  ' * depth}{section}:"]
        open_sections, indent = sections, "  " * len(sections)
        follows = key.name in FOLLOW_FROM_STORE and values[key.name] == own[key.name]
        lines += [] if sections else [""]
        lines += _comment(key.meaning, indent) + _comment(facts(key), indent)
        for part in key.parts:
            lines += _comment(f"  {part.name}: {part.meaning} ({facts(part)})", indent, 6)
        lines += _value(last, values[key.name], indent, "# " if follows else "")
    return "\n".join(lines) + "\n"


def facts(key: ConfigKey) -> str:
    """Type, range and default of a key in a few words."""
    allowed = f", {'each ' if key.kind.startswith('a list') else ''}{key.range}" if key.range else ""
    default = text_of(key.default) or "empty"
    return f"{key.kind}{allowed}" + ("" if key.default is None else f"; default {default}")


def _comment(text: str, indent: str, deeper: int = 2) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#{' ' * (deeper - 1)}",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _value(name: str, value: Any, indent: str, mark: str) -> list[str]:
    """The line of a key, or several for a list of objects."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        entries = cast("list[Any]", value)
        return [f"{indent}{name}:", *(f"{indent}  - {json.dumps(each)}" for each in entries)]
    return [f"{indent}{mark}{name}: {_written(value)}"]


def _written(value: Any) -> str:
    """A value that every YAML reader understands as it is meant."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, cast('list[Any]', value)))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    text = json.dumps(value)
    # Some readers take 1e-05, without a point, for a text.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


_PLAIN = re.compile("(?!(?:null|true|false|yes|no|on|off|y|n)$)[a-z][a-z0-9-]*")
"""A text that needs no quotes."""


def read_config_file(path: Path, recipe: str = "") -> ConfigFile:
    """What a YAML file contains, for `recipe` if the file names none.

    NotFound if there is none. CommandError, with file and line, for what is not such a file, for unknown and
    repeated keys, and for values of a wrong type or out of range. Whether values fit together is checked when
    the settings are used.
    """
    try:
        root = yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}: `alexnet config RECIPE` prints one") from error
    except OSError as error:
        raise CommandError(f"cannot read {path} ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        reason = getattr(error, "problem", None) or getattr(error, "reason", "nested too deeply")
        raise CommandError(f"{where}: not YAML ({reason})") from error
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise CommandError(f"{path}: keys are expected, such as `schedule:` and below it `  epochs: 30`")
    found = [] if root is None else list(_leaves(path, root, "", set()))
    named = next((each for each in found if each.key == "recipe"), None)
    if named is not None and recipe and named.text != recipe:
        raise CommandError(f"{path}:{named.line}: this configuration is for {named.text}, not for {recipe}")
    name = recipe if named is None else named.text
    if not name:
        raise CommandError(f"{path} has no `recipe: NAME`: add it, or type the recipe")
    settings = [each for each in found if each.key != "recipe"]
    _check(path, recipes.get(name), settings)
    return ConfigFile(name, tuple(each.setting for each in settings))


@dataclass(frozen=True)
class _Leaf:
    """A value of a file."""

    key: str
    text: str
    line: int

    @property
    def setting(self) -> str:
        return f"{self.key}={self.text}"


def _check(path: Path, config: RunConfig, leaves: Sequence[_Leaf]) -> None:
    """CommandError, with the line, if a key is unknown, or a value has a wrong type or is out of range."""
    try:
        keys = check_settings(config, [leaf.setting for leaf in leaves])
    except ConfigError as error:
        line = _line_of(str(error), config, leaves)
        raise ConfigError(f"{path}{f':{line}' if line else ''}: {error}") from error
    lines: dict[str, int] = {}
    for key, leaf in zip(keys, leaves, strict=True):
        if key in lines:
            raise ConfigError(f"{path}:{leaf.line}: {key} is set in line {lines[key]} already")
        lines[key] = leaf.line


def _line_of(message: str, config: RunConfig, leaves: Sequence[_Leaf]) -> int:
    """The line of the value that alone gives this error; 0 if it takes several."""
    model = [leaf.setting for leaf in leaves if leaf.key in ("model.name", "model.variant")]
    for leaf in leaves:
        try:
            check_settings(config, [leaf.setting] if leaf.setting in model else [*model, leaf.setting])
        except ConfigError as error:
            if str(error) == message:
                return leaf.line
    return 0


def _leaves(path: Path, node: yaml.MappingNode, where: str, seen: set[int]) -> Iterator[_Leaf]:
    """The values below a node; an alias could make a small file a huge one and is refused."""
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise CommandError(f"{path}:{line}: a key must be a word")
        _refuse_alias(path, value, seen)
        if isinstance(value, yaml.MappingNode):
            yield from _leaves(path, value, f"{where}{key.value}.", seen)
        elif not (isinstance(value, yaml.ScalarNode) and _is_null(value) and value.value == ""):
            text = value.value if isinstance(value, yaml.ScalarNode) else _json(path, value, seen)
            yield _Leaf(f"{where}{key.value}", text, line)


def _is_null(node: yaml.ScalarNode) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _json(path: Path, node: yaml.Node, seen: set[int]) -> str:
    """A list as JSON."""
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _refuse_alias(path, each, seen)
        return f"[{', '.join(_json(path, each, seen) for each in node.value)}]"
    if isinstance(node, yaml.MappingNode):
        for _, each in node.value:
            _refuse_alias(path, each, seen)
        pairs = (f"{json.dumps(key.value)}: {_json(path, value, seen)}" for key, value in node.value)
        return f"{{{', '.join(pairs)}}}"
    assert isinstance(node, yaml.ScalarNode)
    # Numbers stay numbers, so that a text among them is found to be wrong; 1e-4 is one, too.
    plain = node.style is None and not node.tag.endswith(":str")
    return node.value if plain and _is_json(node.value) else json.dumps(node.value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _refuse_alias(path: Path, node: yaml.Node, seen: set[int]) -> None:
    if id(node) in seen:
        raise CommandError(f"{path}:{node.start_mark.line + 1}: aliases (*name) are not read: write it out")
    seen.add(id(node))

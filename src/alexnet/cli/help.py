"""`alexnet help [KEY|COMMAND|RECIPE]`: what a setting means, or the help of a command or recipe."""

from __future__ import annotations

import shutil
import textwrap
from typing import Annotated

import typer

from alexnet import old_names, recipes
from alexnet.cli.options import recipe_names
from alexnet.cli.output import write_lines
from alexnet.config import flatten
from alexnet.config_file import facts
from alexnet.config_keys import ConfigKey, all_keys, find_keys, values_in_recipes
from alexnet.errors import CommandError
from alexnet.text import first_few, suggestion

_SECTIONS = ("data", "model", "model.architecture", "optimizer", "schedule", "training", "events", "classic")
_EXPLAINED = f"""\
alexnet help KEY        explains a setting, by its whole name or the end of it: alexnet help lr
alexnet help SECTION    lists the keys of a section: {", ".join(_SECTIONS)}
alexnet help COMMAND    is the same as alexnet COMMAND --help
alexnet help RECIPE     describes a recipe, with its source and expected error

`alexnet --help` lists the commands, `alexnet recipes` the recipes, and `alexnet config RECIPE` all keys of a
recipe with their values."""


def _words(incomplete: str) -> list[str]:
    """Keys of networks by their short names, verbs and recipes that start with `incomplete`."""
    from alexnet.cli.main import VERBS

    last = [key.rpartition(".")[2] for key in flatten(recipes.get(recipes.names()[0]))]
    words = [*dict.fromkeys(last), *VERBS, *recipe_names("")]
    return [word for word in words if word.startswith(incomplete)]


def command(
    word: Annotated[
        str, typer.Argument(metavar="KEY|COMMAND|RECIPE", help="What to explain.", autocompletion=_words)
    ] = "",
) -> None:
    """Explain a key of the configuration, a command or a recipe.

    A key may be its whole name (schedule.epochs), the end of it (epochs), or a section (schedule), whose keys
    are then listed.
    """
    from alexnet.cli.main import VERBS, main
    from alexnet.cli.recipes import recipe_text

    if not word:
        write_lines(*_EXPLAINED.splitlines())
        return
    if word in VERBS:
        main([word, "--help"])
        return
    if word in recipes.names():
        lines = [*recipe_text(word).splitlines(), "", f"alexnet config {word} prints its configuration."]
        write_lines(*lines)
        return
    name = word.partition("=")[0].lstrip("-").replace("-", "_")
    found = find_keys(name)
    if not found and (new := old_names.new_key(name)):
        write_lines(f"{name} is now {new}.", "")
        found = find_keys(new)
    if not found:
        known = [*VERBS, *recipes.names(), *(key.short for key in all_keys())]
        hint = suggestion(name, known, otherwise="`alexnet help` lists what can be explained")
        raise CommandError(f"no key, command or recipe {word!r}; {hint}")
    is_section = any(key.name.startswith(f"{name}.") for key in found)
    blocks = [_in_a_line(key) if is_section else _explained(key) for key in found]
    write_lines(*("\n" if is_section else "\n\n").join(blocks).splitlines())


def _explained(key: ConfigKey) -> str:
    short = f"  (or: {key.short})" if key.short != key.name else ""
    family = f"  [{key.family}]" if key.family else ""
    lines = [f"{key.name}{short}{family}", *_wrapped(key.meaning), *_wrapped(f"Value: {facts(key)}.")]
    for part in key.parts:
        lines += _wrapped(f"{part.name}: {part.meaning} ({facts(part)})", "    - ", "      ")
    in_recipes = {} if key.name.startswith("model.architecture.") else values_in_recipes(key.name)
    if len(in_recipes) > 1 and not key.parts:
        each = (f"{value or 'empty'} ({first_few(names, 3)})" for value, names in in_recipes.items())
        lines += _wrapped(f"In the recipes: {'; '.join(each)}.")
    return "\n".join(lines)


def _in_a_line(key: ConfigKey) -> str:
    """The key and the first words about it."""
    start = f"{key.name:32} "
    return start + textwrap.shorten(key.meaning, max(20, _width() - len(start)), placeholder=" ...")


def _wrapped(text: str, first: str = "    ", indent: str = "    ") -> list[str]:
    return textwrap.wrap(
        text,
        _width(),
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width() -> int:
    return min(100, shutil.get_terminal_size().columns)

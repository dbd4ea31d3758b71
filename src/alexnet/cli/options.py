"""What several commands share: `--views` and `--scales`, and shell completion of names and settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet import old_names, recipes
from alexnet.config import flatten
from alexnet.errors import CommandError
from alexnet.experiments.ensembles import ENSEMBLES
from alexnet.runs.results import ViewSet
from alexnet.text import nearest

if TYPE_CHECKING:
    from alexnet.config_keys import ConfigKey


def recipe_names(incomplete: str) -> list[str]:
    """Recipes that start with `incomplete`."""
    return [name for name in recipes.names() if name.startswith(incomplete)]


def recipe_and_ensemble_names(incomplete: str) -> list[str]:
    """Recipes and rows of the paper's table 2 that start with `incomplete`."""

    return [name for name in [*ENSEMBLES, *recipes.names()] if name.startswith(incomplete)]


def setting_keys(context: typer.Context, incomplete: str) -> list[str]:
    """`key=` for the keys of the recipe on the command line: in full, or the last part if unambiguous."""
    try:
        config = recipes.get(context.params.get("recipe") or context.params.get("name") or "")
    except CommandError:
        return []
    full = list(flatten(config))
    last = [key.rpartition(".")[2] for key in full]
    short = [key for key in last if last.count(key) == 1] if incomplete else []
    return [f"{key}=" for key in dict.fromkeys([*full, *short]) if key.startswith(incomplete)]


def setting_of_option(option: str, value: str) -> str:
    """`epochs=3` for `--epochs` and `3`; empty if no key has nearly that name, now or in earlier versions.

    `model.name=vgg or optimizer.name=vgg ...` if it is the ending of several keys.
    """
    from alexnet.config_keys import all_keys, find_keys

    name = option.lstrip("-").replace("-", "_")
    if not name:
        return ""
    if old := old_names.new_key(name):
        return f"{old}={value or '...'}"
    found = list(dict.fromkeys(key.name for key in find_keys(name)))
    if any(key.startswith(f"{name}.") for key in found):
        return ""  # a section
    typed = found if len(found) > 1 else [name] if found else [nearest(name, _short_keys(all_keys()))]
    return " or ".join(f"{each}={value or '...'}" for each in typed if each)


def _short_keys(keys: Iterable[ConfigKey]) -> list[str]:
    return list(dict.fromkeys(key.short for key in keys))


SettingsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE...", help="Settings to change, as for `train`.", autocompletion=setting_keys
    ),
]
"""`KEY=VALUE...` of commands that take the settings of `train`."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.yaml",
        help="Take settings, and the recipe, from this file (see `alexnet config`); KEY=VALUE changes them.",
    ),
]
"""`--config`, of all commands that take settings; `settings_of_file` reads it."""


def settings_of_file(
    name: str, settings: Sequence[str] | None, config: Path | None, *, own_seeds: bool = False
) -> tuple[str, list[str]]:
    """The recipe and the settings of a command line, after those of its `--config` file.

    With `own_seeds`, for a command that sets seeds itself, the recipe's seed in the file is left out.

    Where the recipe is left out, its first setting is in `name`. CommandError if there is no recipe, or if
    the file has another one.
    """
    typed = list(settings or [])
    if "=" in name and config is not None:
        name, typed = "", [name, *typed]
    if config is None:
        if not name:
            raise CommandError("type a recipe, which `alexnet recipes` lists, or --config FILE.yaml")
        return name, typed
    from alexnet.config_file import read_config_file  # loads the YAML reader

    found = read_config_file(config, name)
    seed = recipes.get(found.recipe).training.seed
    kept = [
        each
        for each in found.settings
        if not own_seeds or each not in (f"training.seed={seed}", f"seed={seed}")
    ]
    return found.recipe, [*kept, *typed]


def names_to_fetch(incomplete: str) -> list[str]:
    """Data sets and published weights that start with `incomplete`."""
    from alexnet.data.download import DATA_SETS
    from alexnet.interop.published_weights import PUBLISHED_WEIGHTS

    return [name for name in [*DATA_SETS, *PUBLISHED_WEIGHTS] if name.startswith(incomplete)]


def view_names(incomplete: str) -> list[str]:
    """Views that start with `incomplete`."""
    return [name for name in VIEWS_METAVAR.split("|") if name.startswith(incomplete)]


VIEWS_METAVAR = "center|ten|multi-crop|dense|dense+multi-crop"
VIEWS_HELP = (
    "Which views of each photo are averaged. The last three use the whole photo (in a store of squares, the "
    "square). [default: those that the model was calibrated for, else ten; center for models trained without "
    "mirroring; dense for boxes]"
)
SCALES_HELP = (
    "Sizes of the shorter side in pixels; predictions are averaged over them. [default: those of the recipe]"
)


def view_set(views: str, scales: str) -> ViewSet:
    """The views of that name, which may be empty, at scales such as `256,384,512`, each once, smallest first.

    CommandError if `scales` is not a list of numbers.
    """
    try:
        sizes = tuple(sorted({int(number) for number in scales.split(",")})) if scales else ()
    except ValueError as error:
        raise CommandError(f"--scales {scales} is not a list of pixels, such as 256,384,512") from error
    return ViewSet(views, sizes)

"""What several commands share: `--views` and `--scales`, and shell completion of names and settings."""

from __future__ import annotations

import typer

from alexnet import old_names, recipes
from alexnet.config import RunConfig, flatten
from alexnet.errors import CommandError
from alexnet.experiments.ensembles import ENSEMBLES
from alexnet.runs.results import ViewSet


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
    """`epochs=3` for `--epochs` and `3`; empty if no setting has that name, now or in earlier versions."""
    name = option.lstrip("-").replace("-", "_")
    keys = list(flatten(RunConfig("")))
    known = name if any(key == name or key.endswith(f".{name}") for key in keys) else old_names.new_key(name)
    return f"{known}={value or '...'}" if known else ""


def names_to_fetch(incomplete: str) -> list[str]:
    """Data sets and published weights that start with `incomplete`."""
    from alexnet.data.download import DATA_SETS
    from alexnet.interop.hub import PUBLISHED_WEIGHTS

    return [name for name in [*DATA_SETS, *PUBLISHED_WEIGHTS] if name.startswith(incomplete)]


def view_names(incomplete: str) -> list[str]:
    """Views that start with `incomplete`."""
    return [name for name in VIEWS_METAVAR.split("|") if name.startswith(incomplete)]


VIEWS_METAVAR = "center|ten|multi-crop|dense|dense+multi-crop"
VIEWS_HELP = (
    "Which views of each photo are averaged. The last three use the whole photo (in a store of squares, the "
    "square). [default: ten; center for models trained without mirroring; dense for boxes]"
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

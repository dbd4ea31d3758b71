"""Shell completion of recipe names, `key=value` settings and names to fetch."""

from __future__ import annotations

import typer

from alexnet import recipes
from alexnet.config import flatten
from alexnet.errors import CommandError


def recipe_names(incomplete: str) -> list[str]:
    """Recipes that start with `incomplete`."""
    return [name for name in recipes.names() if name.startswith(incomplete)]


def recipe_and_ensemble_names(incomplete: str) -> list[str]:
    """Recipes and rows of the paper's table 2 that start with `incomplete`."""
    from alexnet.experiments.ensembles import ENSEMBLES

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


def names_to_fetch(incomplete: str) -> list[str]:
    """Data sets and published weights that start with `incomplete`."""
    from alexnet.data.download import DATA_SETS
    from alexnet.interop.hub import PUBLISHED_WEIGHTS

    return [name for name in [*DATA_SETS, *PUBLISHED_WEIGHTS] if name.startswith(incomplete)]

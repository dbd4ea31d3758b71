"""`alexnet recipes [NAME]`: what there is to train, where it comes from and what error to expect."""

from __future__ import annotations

import inspect
import json
import textwrap
from typing import Annotated, Any

import typer

from alexnet import recipes
from alexnet.classic.config import SHARED
from alexnet.cli.completion import recipe_and_ensemble_names
from alexnet.config import RunConfig, from_dict, keys, to_dict


def command(
    name: Annotated[
        str,
        typer.Argument(
            help="A recipe, to print it as one JSON object.", autocompletion=recipe_and_ensemble_names
        ),
    ] = "",
) -> None:
    """List the recipes with their source and expected error; with NAME, print that one as JSON.

    The JSON object is the configuration, a field for each `key=value` that it takes, with `parameters` and
    `multiply_adds` of its net at the recipe's own crop and the classes of its paper: 1,000, or ten digits.
    """
    typer.echo(json.dumps(as_json(name), indent=2) if name else overview())


def overview() -> str:
    """All recipes and ensembles, described."""
    from alexnet.experiments.ensembles import ENSEMBLES

    nets = "\n".join(
        textwrap.fill(
            f"{name}: {', '.join(f'{member.name} ({member.recipe})' for member in members)}",
            width=100,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
        )
        for name, members in ENSEMBLES.items()
    )
    return "\n\n".join([*map(described, recipes.names()), f"Nets of `alexnet ensemble NAME`:\n{nets}"])


def as_json(name: str) -> dict[str, object]:
    """A recipe's configuration and the size of its net, or an ensemble's members.

    CommandError names the nearest recipe where there is neither.
    """
    from alexnet.experiments.ensembles import ENSEMBLES, described

    if name in ENSEMBLES:
        return {"name": name, "members": described(ENSEMBLES[name])}
    config = recipes.get(name)
    from alexnet.models.summary import summarize  # needs torch, unlike the list

    net = summarize(config)
    values = to_dict(config) if config.classic is None else _of_pipeline(to_dict(config))
    return {**values, "parameters": net.parameters, "multiply_adds": net.multiply_adds}


def _of_pipeline(values: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that only nets have."""
    for key in keys(from_dict(RunConfig, values)):
        section, _, field = key.partition(".")
        if section != "classic" and key not in SHARED:
            values[section].pop(field) if field else values.pop(section)
    return {section: part for section, part in values.items() if part != {}}


def described(name: str) -> str:
    """A recipe's name, the first line of its docstring, and its `Source:` and `Expected:` lines."""
    lines = inspect.cleandoc(recipes.function(name).__doc__ or "").splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(("Source:", "Expected:"))]
    return "\n    ".join([name, lines[0], *(lines[starts[0] :] if starts else [])])

"""`alexnet recipes [NAME]`: the recipes with their sources and expected errors, or one of them in full."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import asdict
from typing import Annotated

import typer

from alexnet import recipes
from alexnet.cli.config import configuration_json, json_text
from alexnet.cli.options import recipe_and_ensemble_names
from alexnet.cli.output import write_lines
from alexnet.experiments.ensembles import ENSEMBLES


def command(
    name: Annotated[
        str,
        typer.Argument(
            help="Print this ensemble's members, or this recipe (as `alexnet config NAME --json`).",
            autocompletion=recipe_and_ensemble_names,
        ),
    ] = "",
) -> None:
    """List all recipes with their sources and expected errors, or print one recipe or ensemble as JSON.

    `alexnet config NAME` prints a recipe for people, with the meaning of every key.
    """
    write_lines(*(json_text(recipe_json(name)) if name else overview()).splitlines())


def overview() -> str:
    """All recipes by family, and all ensembles."""

    families = (
        f"{title}\n\n" + "\n\n".join(textwrap.indent(recipe_text(name), "  ") for name in names)
        for title, names in recipes.families().items()
    )
    ensembles = "\n".join(
        textwrap.fill(
            f"{name}: {', '.join(f'{member.name} ({member.recipe})' for member in members)}",
            width=100,
            initial_indent="  ",
            subsequent_indent="      ",
        )
        for name, members in ENSEMBLES.items()
    )
    return "\n\n".join([*families, f"Members of `alexnet ensemble NAME`\n\n{ensembles}"])


def recipe_json(name: str) -> dict[str, object]:
    """A recipe as `alexnet config NAME --json`, or an ensemble's members.

    CommandError names the nearest recipe where there is neither.
    """
    if name not in ENSEMBLES:
        return configuration_json(recipes.get(name))
    from alexnet.experiments import ensembles

    members = ensembles.described_members(ENSEMBLES[name])
    unknown = ("settings", "store_digest")  # until they are trained
    listed = [{key: asdict(each)[key] for key in asdict(each) if key not in unknown} for each in members]
    return {"name": name, "members": listed}


def recipe_text(name: str) -> str:
    """A recipe's name, the first paragraph of its docstring, and the last one: `Source:` and `Expected:`."""
    paragraphs = inspect.cleandoc(recipes.function(name).__doc__ or "").split("\n\n")
    return f"{name}\n" + textwrap.indent(f"{paragraphs[0]}\n{paragraphs[-1]}", "    ")

"""`alexnet recipes [NAME]`: the recipes with their sources and expected errors, or one of them in full."""

from __future__ import annotations

import inspect
import json
import textwrap
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from alexnet import recipes
from alexnet.classic.config import SHARED_KEYS
from alexnet.cli.options import recipe_and_ensemble_names
from alexnet.cli.output import write_lines
from alexnet.config import to_dict
from alexnet.experiments.ensembles import ENSEMBLES


def command(
    name: Annotated[
        str,
        typer.Argument(
            help="Print this recipe or ensemble as one JSON object.",
            autocompletion=recipe_and_ensemble_names,
        ),
    ] = "",
) -> None:
    """List all recipes with their sources and expected errors, or print one recipe as JSON.

    The JSON object is the whole configuration. Every field can be changed by a setting `key=value` of
    `alexnet train`. `parameters` and `multiply_adds` are those of the model for the recipe's input size and
    for the number of classes in its paper (1,000, or ten digits).
    """
    write_lines(*(_laid_out(recipe_json(name)) if name else overview()).splitlines())


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
    """A recipe's configuration and the size of its model, or an ensemble's members.

    CommandError names the nearest recipe where there is neither.
    """
    from alexnet.experiments import ensembles

    if name in ensembles.ENSEMBLES:
        members = ensembles.described_members(ensembles.ENSEMBLES[name])
        unknown = ("settings", "store_digest")  # until they are trained
        listed = [{key: asdict(each)[key] for key in asdict(each) if key not in unknown} for each in members]
        return {"name": name, "members": listed}
    config = recipes.get(name)
    from alexnet.models.summary import summarize  # needs torch, unlike the list

    size = summarize(config)
    values = to_dict(config)
    if config.classic is not None:
        values = _shared(values)
    return {**values, "parameters": size.parameters, "multiply_adds": size.multiply_adds}


def _laid_out(value: Any, indent: str = "") -> str:
    """JSON with a line for each field and each object of a list; lists of numbers and texts on one line."""
    inner = indent + "  "
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value).items()
        lines = [f"{inner}{json.dumps(key)}: {_laid_out(each, inner)}" for key, each in fields]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}" if lines else "{}"
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    if any(isinstance(each, dict) for each in entries):
        return "[\n" + ",\n".join(inner + _laid_out(each, inner) for each in entries) + f"\n{indent}]"
    return json.dumps(value)


def _shared(values: dict[str, Any]) -> dict[str, Any]:
    """A classic pipeline's configuration without the fields that only networks have."""
    kept: dict[str, Any] = {"recipe": values["recipe"]}
    for key in SHARED_KEYS:
        section, _, field = key.partition(".")
        kept.setdefault(section, {})[field] = values[section][field]
    return {**kept, "classic": values["classic"]}


def recipe_text(name: str) -> str:
    """A recipe's name, the first paragraph of its docstring, and the last one: `Source:` and `Expected:`."""
    paragraphs = inspect.cleandoc(recipes.function(name).__doc__ or "").split("\n\n")
    return f"{name}\n" + textwrap.indent(f"{paragraphs[0]}\n{paragraphs[-1]}", "    ")

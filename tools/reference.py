"""Reference pages made from the code: commands, recipes, keys of the configuration, Python interface."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import pydoc
from collections.abc import Iterator, Sequence
from unittest.mock import patch

import torch

import alexnet
from alexnet import recipes
from alexnet.cli.main import GROUPS, main
from alexnet.config_file import facts
from alexnet.config_keys import ConfigKey, all_keys
from alexnet.models.registry import build
from alexnet.models.summary import summarize_model

WIDTH = 100
"""Columns of the help texts."""
RETURNED = (
    "alexnet.evaluation.predictor.Predictor",
    "alexnet.runs.results.EvalResult",
    "alexnet.training.trainer.TrainResult",
    "alexnet.errors",
)
"""What functions of the package return or raise."""


def commands() -> str:
    """A section for each group of commands with the text that `--help` prints for each of them."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for title, verbs in GROUPS.items():
        yield f"## {title}\n"
        for verb, line in verbs.items():
            yield f"### alexnet {verb}\n\n{line}\n\n```text\n{_help(verb)}\n```\n"


def _help(verb: str) -> str:
    printed = io.StringIO()
    with patch.dict(os.environ, {"COLUMNS": str(WIDTH)}), contextlib.redirect_stdout(printed):
        if main([verb, "--help"]) != 0:
            raise RuntimeError(f"alexnet {verb} --help failed")
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def recipe_tables() -> str:
    """A table for each family of recipes: what each is, its source, sizes, and the error to expect."""
    return "\n\n".join(f"## {title}\n\n{_recipe_table(names)}" for title, names in recipes.families().items())


def _recipe_table(names: Sequence[str]) -> str:
    rows = [
        "| recipe | what it is | source | pixels: image, input | million parameters | error to expect |",
        "|---|---|---|---|---:|---|",
    ]
    for name in names:
        paragraphs = inspect.cleandoc(recipes.function(name).__doc__ or "").split("\n\n")
        last = " ".join(paragraphs[-1].split())
        source, _, expected = last.removeprefix("Source: ").partition(" Expected: ")
        data = recipes.get(name).data
        sizes = f"{data.image_size}, {data.input_size}"
        cells = (f"`{name}`", " ".join(paragraphs[0].split()), source, sizes, _parameters(name), expected)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _parameters(name: str) -> str:
    """Millions of parameters with the number of classes of the recipe's own data; `-` for a pipeline."""
    config = recipes.get(name)
    if config.classic is not None:
        return "-"
    data, classes = config.data, 10 if config.model.name == "lenet" else 1000
    with torch.device("meta"):
        model = build(config.model, classes, data.input_size, data.channels)
    millions = summarize_model(model, data.input_size, data.channels).parameters / 1e6
    return f"{millions:.1f}" if millions >= 1 else f"{millions:.3f}"


def keys() -> str:
    """A table for each section of the configuration, with a row for each of its keys."""
    found = all_keys()
    sections = dict.fromkeys(key.name.rpartition(".")[0] for key in found)
    tables = (_keys_table([key for key in found if key.name.rpartition(".")[0] == name]) for name in sections)
    titles = (name or "The recipe" for name in sections)
    return "\n\n".join(f"## {title}\n\n{table}" for title, table in zip(titles, tables, strict=True))


def _keys_table(found: Sequence[ConfigKey]) -> str:
    rows = ["| key | meaning | value |", "|---|---|---|"]
    for key in found:
        parts = "".join(f" `{part.name}`: {part.meaning} ({facts(part)})" for part in key.parts)
        family = f" ({key.family})" if key.family else ""
        cells = (f"`{key.short}`{family}", key.meaning + parts, facts(key))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def interface() -> str:
    """A table of all public names and of what functions return, and lines that mkdocstrings replaces by their
    docstrings.
    """
    names = [f"alexnet.{name}" for name in sorted(alexnet.__all__) if name not in ("__version__", "models")]
    rows = [f"| `{name}` | {_summary(name)} |" for name in [*names, *RETURNED]]
    table = "\n".join(["| name | what it is |", "|---|---|", *rows])
    return "\n".join([table, "", *(f"::: {name}\n" for name in [*names, *RETURNED])])


def _summary(name: str) -> str:
    """The first sentence of a docstring."""
    text = inspect.getdoc(pydoc.locate(name)) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")

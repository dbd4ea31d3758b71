"""Reference pages made from the code: commands, keys of the configuration, names of the Python interface."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from unittest.mock import patch

import alexnet
from alexnet.cli.main import GROUPS, main
from alexnet.config_file import facts
from alexnet.config_keys import ConfigKey, all_keys

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
    """What mkdocstrings replaces by the docstrings of all public names, and of what functions return."""
    names = [f"alexnet.{name}" for name in sorted(alexnet.__all__) if name not in ("__version__", "models")]
    return "\n".join(f"::: {name}\n" for name in [*names, *RETURNED])

"""`alexnet compare RUN...`: the table of errors, beside the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or files of --out.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, errors in [0, 1].")
    ] = False,
) -> None:
    """Print what runs reached, as `alexnet evaluate` found it, beside what was published.

    A file that `evaluate --out` wrote stands for its ensemble.
    """
    from alexnet.report import comparison

    rows = [row for run in runs for row in comparison.run_rows(run)]
    if as_json:
        typer.echo(json.dumps(comparison.as_json(rows), indent=2))
    else:
        typer.echo(comparison.comparison(rows).text(), nl=False)

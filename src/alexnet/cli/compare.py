"""`alexnet compare RUN...`: the table of errors, beside the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs or ensembles, or files of --out.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, errors in [0, 1].")
    ] = False,
) -> None:
    """Print what runs reached, as `alexnet evaluate` found it, beside what was published.

    Of nets that say boxes also how well these fit. For ensembles also what 1, 2, ... all of their nets
    reach together. A file that `evaluate --out` wrote stands for its ensemble.
    """
    from alexnet.report import boxes, comparison
    from alexnet.report.evaluation_tables import growth_table

    rows = comparison.rows_of(runs)
    grown = [
        (run.stem if run.is_file() else run.name, entry)
        for run in runs
        for entry in comparison.evaluations_of(run)
        if len(entry["runs"]) > 1
    ]
    if as_json:
        ensembles = [{"runs": entry["runs"], "growth": entry.get("growth", [])} for _, entry in grown]
        typer.echo(json.dumps({**comparison.as_json(rows), "ensembles": ensembles}, indent=2))
        return
    tables = (comparison.comparison(rows), *boxes.compared(rows))
    typer.echo("\n".join(table.text() for table in tables), nl=False)
    for name, entry in grown:
        if entry.get("growth"):
            typer.echo("\n" + growth_table(entry, name).text(), nl=False)

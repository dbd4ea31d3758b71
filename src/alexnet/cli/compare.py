"""`alexnet compare [RUN...]`: a table of errors, next to published results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import write_document, write_tables
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option


def command(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN|FILE...",
            help="Runs, ensembles, or files written by `evaluate --out`; if none, published results only.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document; errors are fractions in [0, 1].")
    ] = False,
    csv: Annotated[Path | None, csv_option("row of the tables")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """Print the errors of runs, as measured by `alexnet evaluate`, next to published ones.

    Published errors are those on ImageNet's 1,000 classes, and on digits. For runs on other photos, also of
    some of these classes, they are left out.

    Localizers and detectors have separate tables, and ensembles a table of the gain per additional model.
    Without a run, all published results are printed, starting with the tables of the AlexNet paper.
    """
    from alexnet.report import comparison
    from alexnet.report.evaluation_tables import growth_table
    from alexnet.report.result_rows import COMPARISON_COLUMNS, comparison_row

    files = TableFiles(csv, parquet)
    files.refuse_unwritable()
    rows = comparison.comparison_rows(runs or [])
    if files:
        listed = [*comparison.published_beside(rows), *rows]
        files.write(COMPARISON_COLUMNS, list(map(comparison_row, listed)), quiet=as_json)
    ensembles = [
        (run.stem if run.is_file() else run.name, result)
        for run in runs or []
        for result in comparison.results_of(run)
        if len(result.runs) > 1
    ]
    if as_json:
        results = [result.to_dict() for _, result in ensembles]
        grown = [{"runs": each["runs"], "growth": each.get("growth", [])} for each in results]
        write_document({**comparison.comparison_json(rows), "ensembles": grown})
        return
    if files:
        return
    if not runs:
        tables = comparison.published_tables()
    else:
        tables = [
            comparison.comparison(rows, comparison.comparable_rows(rows)),
            *comparison.task_tables(rows),
        ]
        tables += [
            growth_table(result, name) for name, result in ensembles if result.growth and result.classifies
        ]
    write_tables(tables)

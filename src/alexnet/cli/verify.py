"""`alexnet verify STORE|RUN|FILE`: whether files are as they were written, and how to repair them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.output import write_document, write_lines
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option
from alexnet.errors import DataError

if TYPE_CHECKING:
    from alexnet.verification import Verification


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="STORE|RUN|FILE...",
            help="Stores, runs, exported files, or folders that contain them, such as those of fit and "
            "ensemble.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document that lists all.")] = False,
    csv: Annotated[Path | None, csv_option("path and each finding in it")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """Compare all files with their recorded digests, and report what is damaged and what repairs it.

    Links to checkpoints are moved where a killed process left them behind, and its temporary files are
    removed; nothing else is changed. The exit code is 3 if anything is damaged.
    """
    from alexnet.verification import verify

    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()
    found = [verify(path) for path in paths]
    if tables:
        tables.write(_COLUMNS, [row for each in found for row in _rows(each)], quiet=as_json)
    if as_json:
        write_document([each.to_dict() for each in found])
    elif not tables:
        write_lines(*(line for each in found for line in each.describe()))
    damaged = [problem.file for each in found for problem in each.problems]
    if damaged:
        more, them = (f" and {len(damaged) - 1:,} more are", "them") if len(damaged) > 1 else (" is", "it")
        raise DataError(f"{damaged[0]}{more} damaged: the output shows how to repair {them}")


_COLUMNS = {"path": str, "state": str, "files": int, "file": str, "found": str, "repair": str}


def _rows(found: Verification) -> list[dict[str, Any]]:
    """A row for the path with its number of checked files, and one for each finding."""
    state = "in use" if found.busy else "damaged" if found.problems else "good"
    rows: list[dict[str, Any]] = [{"state": state, "files": found.checked}]
    for each in found.problems:
        rows.append({"state": "damaged", "file": each.file, "found": each.found, "repair": each.repair})
    rows += [{"state": "repaired", "found": each} for each in found.repaired]
    rows += [{"state": "not checked", "file": each} for each in found.unchecked]
    return [{"path": found.path, **row} for row in rows]

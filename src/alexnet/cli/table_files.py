"""`--csv FILE` and `--parquet FILE`: the results of a command as a table, wherever there is `--json`.

docs/command-line.md lists the rows and columns of each command.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from alexnet.cli.output import write_lines
from alexnet.errors import CommandError
from alexnet.io import atomic_write, refuse_unwritable, write_whole
from alexnet.text import counted

Columns = Mapping[str, type]
"""Names of columns, and the type of their values: str, int, float or bool."""
Row = Mapping[str, Any]
"""Values by column; a column that is missing or None is empty."""


def csv_option(rows: str) -> Any:
    """The option `--csv`; `rows` is what has a row."""
    return typer.Option("--csv", metavar="FILE", help=f"Write a row for each {rows}, instead of printing.")


def parquet_option() -> Any:
    """The option `--parquet`, for the same rows."""
    return typer.Option("--parquet", metavar="FILE", help="Write the same rows as Parquet.")


@dataclass(frozen=True)
class TableFiles:
    """The table files that a command line asks for."""

    csv: Path | None
    parquet: Path | None

    def __bool__(self) -> bool:
        return self.csv is not None or self.parquet is not None

    def refuse_unwritable(self) -> None:
        """CommandError, before any work, if a file cannot be written."""
        for path in (self.csv, self.parquet):
            if path is not None:
                refuse_unwritable(path)
                if path.is_dir():
                    raise CommandError(f"{path} is a folder: choose a file")

    def write(self, columns: Columns, rows: Sequence[Row], *, quiet: bool = False) -> None:
        """Writes the files, and unless `quiet` a line for each.

        CannotWrite if the disk is full or not writable.
        """
        if self.csv is not None:
            write_whole(self.csv, csv_text(columns, rows).encode("utf-8", "backslashreplace"))
        if self.parquet is not None:
            _write_parquet(self.parquet, columns, rows)
        for path in (self.csv, self.parquet):
            if path is not None and not quiet:
                write_lines(f"{path}: {counted(len(rows), 'row')}")


def csv_text(columns: Columns, rows: Sequence[Row]) -> str:
    """Rows as comma-separated values with a header; numbers with 6 decimals, yes and no for bool."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _write_parquet(path: Path, columns: Columns, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([pa.field(name, kinds[kind]) for name, kind in columns.items()])
    plain = [{name: _encodable(row.get(name)) for name in columns} for row in rows]
    with atomic_write(path) as unfinished:
        pq.write_table(pa.Table.from_pylist(plain, schema), unfinished)


def _encodable(value: Any) -> Any:
    """A text without the surrogates of file names that are not UTF-8, as in the CSV file."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value

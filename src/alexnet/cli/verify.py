"""`alexnet verify STORE|RUN|FILE`: whether files are as they were written, and how to repair them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import write_document, write_lines
from alexnet.errors import DataError


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="STORE|RUN|FILE...",
            help="Stores, runs, exported files, or folders of them, as of fit and ensemble.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document that lists all.")] = False,
) -> None:
    """Compare all files with their recorded digests, and report what is damaged and what repairs it.

    Links to checkpoints are moved where a killed process left them behind, and its temporary files are
    removed; nothing else is changed. The exit code is 3 if anything is damaged.
    """
    from alexnet.verification import verify

    found = [verify(path) for path in paths]
    if as_json:
        write_document([each.to_dict() for each in found])
    else:
        write_lines(*(line for each in found for line in each.describe()))
    damaged = [problem.file for each in found for problem in each.problems]
    if damaged:
        more = f" and {len(damaged) - 1:,} more" if len(damaged) > 1 else ""
        raise DataError(f"{damaged[0]}{more} damaged: see above for what repairs it")

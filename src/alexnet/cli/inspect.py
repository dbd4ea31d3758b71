"""`alexnet inspect SOURCE`: what a source of photos contains."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.progress import progress_bar


def command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Photos in any known form.")],
    image_column: Annotated[
        str, typer.Option(metavar="NAME", help="The photos' column of parquet or Arrow files.")
    ] = "",
    label_column: Annotated[
        str, typer.Option(metavar="NAME", help="The labels' column of parquet or Arrow files.")
    ] = "",
    configuration: Annotated[
        str, typer.Option(metavar="NAME", help="Which of several configurations of parquet files.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document that lists all.")] = False,
) -> None:
    """Count classes and photos and list every odd or unreadable file; decodes all, changes nothing."""
    from alexnet.data.inspect import describe, inspect
    from alexnet.data.sources import SourceOptions, open_source

    # As it is: only `prepare` holds out a validation split.
    options = SourceOptions(image_column, label_column, configuration)
    opened = open_source(source, val_fraction=0, options=options)
    photos = sum(len(split) for split in opened.splits.values())
    with progress_bar("inspecting", photos, unit="photos", silent=as_json) as advance:
        inspection = inspect(opened, progress=advance)
    if as_json:
        sys.stdout.write(json.dumps(inspection.to_dict(), indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(describe(inspection)) + "\n")

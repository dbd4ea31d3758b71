"""`alexnet inspect SOURCE`: what a source of photos contains."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.progress import progress_bar
from alexnet.cli.source_options import (
    ClassLevel,
    Configuration,
    ImageColumn,
    LabelColumn,
    Labels,
    LabelsFromNames,
    NumbersAre,
    Splits,
)


def command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Photos in any known form.")],
    class_level: ClassLevel = 0,
    labels: Labels = "",
    image_column: ImageColumn = "",
    label_column: LabelColumn = "",
    label_numbers: NumbersAre = None,
    labels_from_names: LabelsFromNames = False,
    splits: Splits = "",
    configuration: Configuration = "",
    per_class: Annotated[bool, typer.Option("--per-class", help="List the photos of every class.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document that lists all.")] = False,
) -> None:
    """Count classes and photos and list every odd or unreadable file; decodes all, changes nothing."""
    from alexnet.data.inspect import describe_photos, inspect
    from alexnet.data.overview import describe_overview, overview, table_of_classes
    from alexnet.data.sources import SourceOptions, open_source, parse_splits

    options = SourceOptions(
        class_level=class_level,
        labels=labels,
        image_column=image_column,
        label_column=label_column,
        label_numbers=None if label_numbers is None else label_numbers.value,
        labels_from_names=labels_from_names,
        splits=parse_splits(splits),
        configuration=configuration,
    )
    # As it is: only `prepare` holds out a validation split.
    opened = open_source(source, val_fraction=0, options=options)
    if not as_json:
        found = overview(opened)
        lines = [*describe_overview(found), *(table_of_classes(found) if per_class else [])]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    photos = sum(len(split) for split in opened.splits.values())
    with progress_bar("inspecting", photos, unit="photos", silent=as_json) as advance:
        inspection = inspect(opened, progress=advance)
    if as_json:
        sys.stdout.write(json.dumps(inspection.to_dict(), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in describe_photos(inspection))

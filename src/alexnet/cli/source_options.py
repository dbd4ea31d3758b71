"""The options of `inspect` and `prepare` that choose how a source is read."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class LabelNumbers(StrEnum):
    """What numbers in a label file are."""

    names = "names"
    from_0 = "from-0"
    from_1 = "from-1"


_PANEL = "How the source is read, where several ways fit"

ClassLevel = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", rich_help_panel=_PANEL, help="Depth of the class folders below the split folders."
    ),
]
Labels = Annotated[
    str,
    typer.Option(metavar="FILE,...", rich_help_panel=_PANEL, help="The text file that labels the photos."),
]
ImageColumn = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=_PANEL, help="The photos' column of a label file, parquet or Arrow."
    ),
]
LabelColumn = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=_PANEL, help="The labels' column of a label file, parquet or Arrow."
    ),
]
NumbersAre = Annotated[
    LabelNumbers | None,
    typer.Option(
        "--label-numbers",
        rich_help_panel=_PANEL,
        help="Numbers in a label file: names of classes, or positions from 0 or 1.",
    ),
]
LabelsFromNames = Annotated[
    bool,
    typer.Option(
        "--labels-from-names",
        rich_help_panel=_PANEL,
        help="The class is the part of a photo's name before its number: cat of cat.0.jpg.",
    ),
]
Splits = Annotated[
    str,
    typer.Option(
        metavar="train=DIR,val=DIR,test=DIR",
        rich_help_panel=_PANEL,
        help="The folder of each split, or the file that lists its photos.",
    ),
]
Configuration = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=_PANEL, help="Which of several configurations of parquet files."
    ),
]

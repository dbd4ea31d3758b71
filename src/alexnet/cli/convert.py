"""`alexnet convert STORE OUT --to FORM`: a store in the form of another library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from alexnet.cli.output import write_lines, write_notes
from alexnet.cli.progress import progress_bar


def command(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A prepared store.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    to: Annotated[
        str,
        typer.Option(metavar="imagefolder|parquet|webdataset", help="The format to write."),
    ],
    splits: Annotated[
        str, typer.Option(metavar="SPLIT,SPLIT,...", help="Only these splits.  [default: all]")
    ] = "",
) -> None:
    """Write the images of a store for other libraries.

    imagefolder is for torchvision's ImageFolder and every program that reads class folders, parquet for
    datasets.load_dataset, webdataset for tars that are read as a stream. Images are as they are stored:
    resized, JPEG files unchanged, raw pixels as PNG.
    """
    from alexnet.data.convert import Form, convert_store
    from alexnet.data.store import Store

    opened = Store.open(store)
    names = [name for name in splits.split(",") if name]
    images = sum(len(opened.split(name)) for name in names or opened.splits)
    with progress_bar("converting", images, unit="images") as advance:
        made = convert_store(opened, out, cast(Form, to), names, advance)
    counts = ", ".join(f"{name} {count:,}" for name, count in made.images.items())
    write_lines(f"{out}: {counts} images in {made.files:,} files")
    if made.has_boxes:
        write_notes("boxes were not written: these formats have no standard place for them")

"""`alexnet synthesize DIR`: synthetic photos in ILSVRC's layout or in class folders."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.output import next_command, write_lines
from alexnet.cli.progress import progress_bar


class _Layout(StrEnum):
    ilsvrc = "ilsvrc"
    folder = "folder"


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    classes: Annotated[
        int, typer.Option(help="Number of classes, 2 to 100; each is a shape with a texture.")
    ] = 10,
    train_per_class: Annotated[int, typer.Option(help="Training photos per class.")] = 200,
    val_per_class: Annotated[int, typer.Option(help="Validation photos per class.")] = 50,
    test: Annotated[int, typer.Option(min=0, help="Number of unlabeled test photos (layout ilsvrc).")] = 0,
    layout: Annotated[
        _Layout, typer.Option(help="Archives like ILSVRC-2012's, or class folders.")
    ] = _Layout.ilsvrc,
    odd: Annotated[
        bool, typer.Option("--odd", help="Add unusual files of the kinds that ImageNet contains.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same photos.")] = 0,
) -> None:
    """Make synthetic photos: a learning problem in real JPEG files, with sizes like those of ILSVRC."""
    from alexnet.data.synthetic import synthesize

    photos = classes * (train_per_class + val_per_class) + test
    with progress_bar("synthesizing", photos, unit="photos") as advance:
        unusual = synthesize(
            folder,
            classes=classes,
            train_per_class=train_per_class,
            val_per_class=val_per_class,
            layout=layout.value,
            odd=odd,
            seed=seed,
            test=test,
            progress=advance,
        )
    for photo in unusual:
        write_lines(f"unusual: {photo.kind} {photo.name}")
    write_lines(
        f"{photos} photos of {classes} classes in {folder}; {next_command('prepare', folder, 'STORE')}"
    )

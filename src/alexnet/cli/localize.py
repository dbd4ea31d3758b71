"""`alexnet localize IMAGE... --model RUN`: what is in photos, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.views import parse_scales


def command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files or folders.")],
    model: Annotated[Path, typer.Option(metavar="RUN|FILE", help="A run of overfeat-fast-localization.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the boxes on the photos, there.")
    ] = None,
    views: Annotated[
        str, typer.Option(metavar="dense|center", help="Windows at all places, or one in the middle.")
    ] = "dense",
    scales: Annotated[
        str, typer.Option(metavar="Q,Q,...", help="Shorter sides of the photo. [default: the net's own]")
    ] = "",
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Say what is in photos and where: the surest classes, a box each, in pixels of the photo.

    A score is the sum of the class's probabilities in all windows whose boxes were merged into the one that
    is shown. A file without a readable photo is named and the rest is done; the exit code is then 3.
    """
    from alexnet.cli.classify import photo_names
    from alexnet.cli.places import say_places
    from alexnet.hardware import choose_device
    from alexnet.tasks.localization import load

    names = list(photo_names(images))
    localizer = load(model, choose_device(device), views, parse_scales(scales))
    say_places(names, lambda photo: localizer.localize(photo, top), out, as_json)

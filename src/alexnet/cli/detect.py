"""`alexnet detect IMAGE... --model RUN`: all objects of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.views import parse_scales
from alexnet.training.config import LEAST_SHOWN


def command(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files or folders.")],
    model: Annotated[Path, typer.Option(metavar="RUN|FILE", help="A run of overfeat-fast-detection.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the boxes on the photos, there.")
    ] = None,
    scales: Annotated[
        str, typer.Option(metavar="Q,Q,...", help="Shorter sides of the photo. [default: the net's own]")
    ] = "",
    least: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Windows less sure than this say nothing.")
    ] = LEAST_SHOWN,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|cuda:1")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Find all objects in photos: classes and boxes, in pixels of the photo.

    A score is the sum of the class's probabilities in all windows whose boxes were merged into the one that
    is shown. A file without a readable photo is named and the rest is done; the exit code is then 3.
    """
    from alexnet.cli.classify import photo_names
    from alexnet.cli.places import say_places
    from alexnet.hardware import choose_device
    from alexnet.tasks.detection import load

    names = list(photo_names(images))
    detector = load(model, choose_device(device), parse_scales(scales))
    say_places(names, lambda photo: detector.detect(photo, least), out, as_json)

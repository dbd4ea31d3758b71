"""`alexnet prepare SOURCE STORE`: photos to a store, once; a stopped one goes on where it was."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

STRAYS_NAMED = 5


class _Shape(StrEnum):
    square = "square"
    whole = "whole"


class _Resize(StrEnum):
    crop = "crop"
    warp = "warp"


class _Encoding(StrEnum):
    jpeg = "jpeg"
    raw = "raw"


def command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Labelled photos, in any known form.")],
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A new folder.")],
    side: Annotated[int, typer.Option(help="Pixels of the (shorter) side.")] = 256,
    shape: Annotated[_Shape, typer.Option(help="The central square, or the whole photo.")] = _Shape.square,
    resize: Annotated[_Resize, typer.Option(help="Keep the aspect, or warp as Caffe did.")] = _Resize.crop,
    encoding: Annotated[_Encoding, typer.Option(help="Raw is larger and quicker to read.")] = _Encoding.jpeg,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 95,
    val_fraction: Annotated[float, typer.Option(help="Held out where there is no validation split.")] = 0.1,
    exif: Annotated[
        bool | None,
        typer.Option(help="Turn photos upright by their EXIF note: by default one's own, not ImageNet's."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Unreadable photos are an error.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
) -> None:
    """Decode, resize and store photos, with the mean and the colour statistics that training needs."""
    from alexnet.cli.inspect import beside_ilsvrc
    from alexnet.cli.progress import progress_bar
    from alexnet.cli.signals import stopping
    from alexnet.data.header import HEADER_FILE
    from alexnet.data.inspect import missing_of_ilsvrc
    from alexnet.data.prepare import Settings, prepare
    from alexnet.data.sources import open_source

    settings = Settings(
        side=side,
        shape=shape.value,
        resize=resize.value,
        encoding=encoding.value,
        quality=quality,
    )
    photos = open_source(source, val_fraction)
    settings = replace(settings, exif=photos.exif if exif is None else exif)
    total = sum(len(split) for split in photos.splits.values())
    before = (store / HEADER_FILE).exists()
    with stopping("the same command goes on"), progress_bar("preparing", total, unit="images") as advance:
        made = prepare(photos, store, settings, workers, strict, advance)
    for line in beside_ilsvrc(missing_of_ilsvrc(photos) or {}):
        sys.stderr.write(line + "\n")
    if photos.strays:
        named = ", ".join(photos.strays[:STRAYS_NAMED])
        more = "; `alexnet inspect` names all" if len(photos.strays) > STRAYS_NAMED else ""
        sys.stderr.write(f"left out, of no class: {len(photos.strays):,}: {named}{more}\n")
    for unreadable in made.header.unreadable:
        sys.stderr.write(f"left out, unreadable: {unreadable.split}/{unreadable.key} ({unreadable.reason})\n")
    for kind, odd in made.header.odd.items():
        sys.stderr.write(f"odd: {odd.count} {kind}\n")
    if "val" not in made.splits:
        sys.stderr.write("no val: nothing was held out (--val-fraction, of classes with enough photos)\n")
    counts = ", ".join(f"{entry.count:,} {name}" for name, entry in made.header.splits.items())
    sys.stdout.write(
        f"{store}: {counts} images of {len(made.classes)} classes, side {side}"
        f"{'; it was finished before, nothing was done' if before else ''}\n"
    )

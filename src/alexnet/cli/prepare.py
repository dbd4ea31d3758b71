"""`alexnet prepare SOURCE STORE`: photos to a store, once; a stopped one goes on where it was."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alexnet.data.sources import Source
    from alexnet.data.store import Store

STRAYS_NAMED = 5


class _Shape(StrEnum):
    square = "square"
    whole = "whole"


class _Resize(StrEnum):
    crop = "crop"
    warp = "warp"
    pad = "pad"


class _Encoding(StrEnum):
    jpeg = "jpeg"
    raw = "raw"


def command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Labeled photos, in any known form.")],
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A new folder.")],
    side: Annotated[
        int | None, typer.Option(help="Pixels of the (shorter) side: by default 256, of digits 32.")
    ] = None,
    shape: Annotated[_Shape, typer.Option(help="The central square, or the whole photo.")] = _Shape.square,
    resize: Annotated[
        _Resize | None,
        typer.Option(
            help="Keep the aspect (crop), warp as Caffe did, or pad: the picture as it is, within black. "
            "By default crop; digits are padded to 32."
        ),
    ] = None,
    encoding: Annotated[
        _Encoding | None,
        typer.Option(help="Raw is larger and quicker to read. By default jpeg, of digits raw."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="3 for color, 1 for gray: by default 3, of digits 1.")
    ] = None,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 95,
    val_fraction: Annotated[float, typer.Option(help="Held out where there is no validation split.")] = 0.1,
    classes: Annotated[
        str | None,
        typer.Option(metavar="N|CLASS,...", help="Keep the first N, or those named by WNID or name."),
    ] = None,
    exif: Annotated[
        bool | None,
        typer.Option(help="Turn photos upright by their EXIF note: by default one's own, not ImageNet's."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Unreadable photos are an error.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
) -> None:
    """Decode, resize and store photos, with the mean and the color statistics that training needs."""
    import alexnet
    from alexnet.cli.progress import progress_bar
    from alexnet.cli.signals import stopping
    from alexnet.data.manifest import MANIFEST_FILE
    from alexnet.data.sources import filter_classes, open_source

    photos = open_source(source, val_fraction)
    if classes is not None:
        photos = filter_classes(photos, classes)
    total = sum(len(split) for split in photos.splits.values())
    before = (store / MANIFEST_FILE).exists()
    with stopping("the same command goes on"), progress_bar("preparing", total, unit="images") as advance:
        made = alexnet.prepare(
            photos,
            store,
            side=side,
            shape=shape.value,
            resize=None if resize is None else resize.value,
            encoding=None if encoding is None else encoding.value,
            channels=channels,
            quality=quality,
            exif=exif,
            strict=strict,
            workers=workers,
            progress=advance,
        )
    _say_what_is_missing(photos, made)
    done = "; it was finished before, nothing was done" if before else ""
    sys.stdout.write(f"{_described(made)}{done}\n")


def _described(made: Store) -> str:
    counts = ", ".join(f"{entry.count:,} {name}" for name, entry in made.manifest.splits.items())
    gray = ", gray" if made.channels == 1 else ""
    return f"{made.path}: {counts} images of {len(made.classes)} classes, side {made.side}{gray}"


def _say_what_is_missing(photos: Source, made: Store) -> None:
    """What of the source is not in the store, and what is odd there, on standard error."""
    from alexnet.cli.inspect import beside_ilsvrc
    from alexnet.data.inspect import missing_of_ilsvrc

    for line in beside_ilsvrc(missing_of_ilsvrc(photos) or {}):
        sys.stderr.write(line + "\n")
    if photos.strays:
        named = ", ".join(photos.strays[:STRAYS_NAMED])
        more = "; `alexnet inspect` names all" if len(photos.strays) > STRAYS_NAMED else ""
        sys.stderr.write(f"left out, since they belong to nothing: {len(photos.strays):,}: {named}{more}\n")
    for unreadable in made.manifest.unreadable:
        sys.stderr.write(f"left out, unreadable: {unreadable.split}/{unreadable.key} ({unreadable.reason})\n")
    for kind, odd in made.manifest.odd.items():
        sys.stderr.write(f"odd: {odd.count} {kind}\n")
    if "val" not in made.splits:
        sys.stderr.write("no val: nothing was held out (--val-fraction, of classes with enough photos)\n")

"""`alexnet prepare SOURCE STORE`: photos become a store; the same command resumes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.output import write_lines, write_notes
from alexnet.cli.progress import progress_bar
from alexnet.cli.source_options import located_source, with_source_options
from alexnet.text import counted, first_few

if TYPE_CHECKING:
    from alexnet.data.prepare_parts import PartResult
    from alexnet.data.sources import Source, SourceOptions
    from alexnet.data.store import Store


CLASSES_NAMED, PARTS_NAMED = 5, 8
"""Classes that a warning names, and parts of a store."""


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


@with_source_options
def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Labeled photos in any supported format; a URL such as s3:// works, too."
        ),
    ],
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A new folder.")],
    side: Annotated[
        int | None, typer.Option(help="(Shorter) side in pixels. By default 256; 32 for digits.")
    ] = None,
    shape: Annotated[
        _Shape, typer.Option(help="Store the central square or the whole photo.")
    ] = _Shape.square,
    resize: Annotated[
        _Resize | None,
        typer.Option(
            help="Keep the aspect ratio (crop), warp as Caffe did, or pad with black. "
            "By default crop; digits are padded to 32."
        ),
    ] = None,
    encoding: Annotated[
        _Encoding | None,
        typer.Option(help="Raw is larger and faster to read. By default jpeg; raw for digits."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="3 for color, 1 for gray. By default 3; 1 for digits.")
    ] = None,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 95,
    val_fraction: Annotated[
        float, typer.Option(help="Fraction of each class to hold out if there is no validation split.")
    ] = 0.1,
    group_by: Annotated[
        str,
        typer.Option(
            metavar="PATTERN",
            help="Photos whose keys have the same match (or first group) of this regular expression stay "
            "together when some are held out.",
        ),
    ] = "",
    drop_duplicates: Annotated[
        bool,
        typer.Option(
            "--drop-duplicates",
            help="Keep one photo of each set of identical ones: the one in test, else in val, else in train.",
        ),
    ] = False,
    classes: Annotated[
        str | None,
        typer.Option(metavar="N|CLASS,...", help="Keep the first N, or those with these WNIDs or names."),
    ] = None,
    exif: Annotated[
        bool | None,
        typer.Option(help="Apply the EXIF orientation. By default on, except for ImageNet's photos."),
    ] = None,
    *,
    options: SourceOptions,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on unreadable photos.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
    part: Annotated[
        str,
        typer.Option(
            metavar="I/N",
            help="Make part I of N of the store; other machines make the others in the same folder, and the "
            "last one joins them.",
        ),
    ] = "",
) -> None:
    """Decode, resize and store photos, with the mean and the color statistics that training needs."""
    from alexnet.data import store_notes
    from alexnet.data.duplicates import drop_duplicates as without_duplicates
    from alexnet.data.inspect import describe_overview, overview
    from alexnet.data.manifest import MANIFEST_FILE
    from alexnet.data.prepare import prepare
    from alexnet.data.prepare_parts import Part, prepare_part
    from alexnet.data.sources import filter_classes, hold_out, open_source
    from alexnet.hardware import cpu_count
    from alexnet.stopping import Stopping

    chosen = Part.parse(part) if part else None
    photos = open_source(located_source(source), 0, options)
    if classes is not None:
        photos = filter_classes(photos, classes)
    if drop_duplicates:
        settings = photos.settings.with_choices(exif=exif, channels=channels)
        with (
            Stopping("finished work is kept, run the same command again"),
            progress_bar("comparing", _count(photos), unit="photos") as advance,
        ):
            known = store_notes.known_hashes(store)
            photos = without_duplicates(photos, settings, known, workers or cpu_count(), advance)
    photos = hold_out(photos, val_fraction, group_by)
    write_notes(*describe_overview(overview(photos)))
    settings = photos.settings.with_choices(
        side=side,
        shape=shape.value,
        resize=None if resize is None else resize.value,
        encoding=None if encoding is None else encoding.value,
        channels=channels,
        quality=quality,
        exif=exif,
    )
    changes, lines = list[str](), list[str]()
    before = (store / MANIFEST_FILE).exists()
    count = _count(photos) if chosen is None else chosen.images(photos, settings)
    with (
        Stopping("finished work is kept, run the same command again to resume"),
        progress_bar("preparing", count, unit="images") as advance,
    ):
        arguments = (settings, workers, strict, advance, changes.append)
        if chosen is None:
            made = prepare(photos, store, *arguments)
        else:
            result = prepare_part(photos, store, chosen, *arguments)
            if result.store is None:
                lines = _missing_lines(store, result)
            made = result.store
    if made is None:
        write_lines(*lines)
        return
    _warn(photos, made)
    write_notes(*changes)
    done = "; already finished, nothing was done" if before and not changes else ""
    write_lines(f"{_described(made)}{done}")


def _missing_lines(store: Path, result: PartResult) -> list[str]:
    """What is finished, which parts are missing, and what to type."""
    named = [f"{part} ({counted(shards, 'shard')})" for part, shards in result.missing.items()]
    options = [f"--part {part}" for part in result.missing]
    done = f"part {result.part} is finished ({result.shards:,} of {counted(result.all_shards, 'shard')})"
    return [
        f"{store}: {done}; missing: {first_few(named, PARTS_NAMED)}",
        f"if no machine is making {'them' if len(named) > 1 else 'it'}, type the same command with "
        f"{first_few(options, PARTS_NAMED)}; the last part that is finished joins all",
    ]


def _count(photos: Source) -> int:
    return sum(len(split) for split in photos.splits.values())


def _described(made: Store) -> str:
    counts = ", ".join(f"{entry.count:,} {name}" for name, entry in made.manifest.splits.items())
    gray = ", gray" if made.channels == 1 else ""
    return f"{made.path}: {counts} images of {counted(len(made.classes), 'class')}, side {made.side}{gray}"


def _warn(photos: Source, made: Store) -> None:
    """Prints to standard error which photos are missing or unusual, and what was found in the store."""
    from alexnet.data.findings import describe_findings
    from alexnet.data.inspect import compared_to_ilsvrc

    write_notes(*compared_to_ilsvrc(photos))
    for unreadable in made.manifest.unreadable:
        write_notes(f"skipped, unreadable: {unreadable.split}/{unreadable.key} ({unreadable.reason})")
    for kind, unusual in made.manifest.odd.items():
        write_notes(f"unusual: {unusual.count:,} {kind}")
    if made.manifest.findings is not None:
        write_notes(*describe_findings(made.manifest.findings))
    if warning := _without_validation(made):
        write_notes(f"warning: {warning}")


def _without_validation(made: Store) -> str:
    """Which classes have no validation photos, and what to do; empty if all have some."""
    how = "use a larger --val-fraction, or put some into a folder val"
    if "val" not in made.splits:
        return f"there are no validation photos, which train and evaluate need: {how}"
    missing = sorted({*range(len(made.classes))} - {*made.split("val").labels.tolist()})
    if not missing:
        return ""
    names = first_few([made.classes[label].name for label in missing], CLASSES_NAMED)
    without = f"{counted(len(missing), 'class')} without validation photos ({names})"
    return f"{without}: errors are measured on the other classes only; {how}"

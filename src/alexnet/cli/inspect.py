"""`alexnet inspect SOURCE|STORE`: what a source of photos, or a store, contains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.output import write_document, write_lines
from alexnet.cli.progress import progress_bar
from alexnet.cli.source_options import with_source_options
from alexnet.errors import CommandError

if TYPE_CHECKING:
    from alexnet.data.sources import SourceOptions


@with_source_options
def command(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE|STORE", help="Photos in any known form, or a store.")
    ],
    options: SourceOptions,
    per_class: Annotated[bool, typer.Option("--per-class", help="List the photos of every class.")] = False,
    near_duplicates: Annotated[
        bool,
        typer.Option(
            "--near-duplicates", help="Of a store: also find photos that look alike, by a perceptual hash."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document that lists all.")] = False,
) -> None:
    """Count classes and photos and list every unusual or unreadable file; decodes all, changes nothing."""
    from alexnet.data.inspect import describe_overview, describe_photos, inspect, overview, table_of_classes
    from alexnet.data.manifest import FINGERPRINT_FILE, MANIFEST_FILE
    from alexnet.data.sources import open_source

    if any((source / name).is_file() for name in (MANIFEST_FILE, FINGERPRINT_FILE)):
        _inspect_store(source, near_duplicates, as_json)
        return
    if near_duplicates:
        raise CommandError(f"{source} is no store: prepare it first, then use --near-duplicates on the store")

    # As it is: only `prepare` holds out a validation split.
    opened = open_source(source, val_fraction=0, options=options)
    if not as_json:
        found = overview(opened)
        lines = [*describe_overview(found), *(table_of_classes(found) if per_class else [])]
        write_lines(*lines)
    photos = sum(len(split) for split in opened.splits.values())
    with progress_bar("inspecting", photos, unit="photos", silent=as_json) as advance:
        inspection = inspect(opened, progress=advance)
    if as_json:
        write_document(inspection.to_dict())
    else:
        write_lines(*describe_photos(inspection))


def _inspect_store(path: Path, near_duplicates: bool, as_json: bool) -> None:
    from alexnet.data.store import Store
    from alexnet.data.store_inspection import describe_store, inspect_store

    store = Store.open(path)
    images = sum(entry.count for entry in store.manifest.splits.values())
    with progress_bar("comparing", images, unit="images", silent=as_json or not near_duplicates) as advance:
        inspection = inspect_store(store, near_duplicates, advance)
    if as_json:
        write_document(inspection.to_dict())
    else:
        write_lines(*describe_store(inspection))

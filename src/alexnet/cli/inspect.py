"""`alexnet inspect SOURCE|STORE`: what a source of photos, or a store, contains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet.cli.output import write_document, write_lines
from alexnet.cli.progress import progress_bar
from alexnet.cli.source_options import located_source, with_source_options, words_of
from alexnet.cli.table_files import TableFiles, csv_option, parquet_option
from alexnet.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alexnet.data.findings import DuplicateSets
    from alexnet.data.inspect import Inspection
    from alexnet.data.sources import SourceOptions


@with_source_options
def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE|STORE", help="Photos in any supported format (a path or a URL), or a store."
        ),
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
    csv: Annotated[Path | None, csv_option("unusual photo, or with --per-class for each class")] = None,
    parquet: Annotated[Path | None, parquet_option()] = None,
) -> None:
    """Count classes and photos and list every unusual or unreadable file; decodes all, changes nothing."""
    from alexnet.data.inspect import describe_overview, describe_photos, inspect, overview, table_of_classes
    from alexnet.data.manifest import FINGERPRINT_FILE, MANIFEST_FILE
    from alexnet.data.sources import open_source

    tables = TableFiles(csv, parquet)
    tables.refuse_unwritable()
    place = located_source(source, silent=as_json)
    if any((place / name).is_file() for name in (MANIFEST_FILE, FINGERPRINT_FILE)):
        if words := words_of(options):
            raise CommandError(f"{source} is a store: its photos have been read, so omit {words[0]}")
        _inspect_store(place, near_duplicates, as_json, tables, per_class)
        return
    if near_duplicates:
        raise CommandError(
            f"{source} is not a store: prepare it first, then use --near-duplicates on the store"
        )

    # As it is: only `prepare` holds out a validation split.
    opened = open_source(place, val_fraction=0, options=options)
    if not as_json and not tables:
        found = overview(opened)
        counts = {name: split.photos_per_class for name, split in found.splits.items()}
        lines = [*describe_overview(found), *(table_of_classes(found.classes, counts) if per_class else [])]
        write_lines(*lines)
    photos = sum(len(split) for split in opened.splits.values())
    with progress_bar("inspecting", photos, unit="photos", silent=as_json) as advance:
        inspection = inspect(opened, progress=advance)
    if tables and per_class:
        names = {each.wnid: each.name for each in inspection.classes}
        counts = {name: split.photos_per_class for name, split in inspection.splits.items()}
        tables.write(_CLASS_COLUMNS, _class_rows(names, counts), quiet=as_json)
    elif tables:
        tables.write(_COLUMNS, _odd_rows(inspection), quiet=as_json)
    if as_json:
        write_document(inspection.to_dict())
    elif not tables:
        write_lines(*describe_photos(inspection))


_COLUMNS = {"split": str, "photo": str, "kind": str, "reason": str, "set": int, "wnid": str}
_CLASS_COLUMNS = {"split": str, "wnid": str, "class": str, "photos": int}


def _odd_rows(inspection: Inspection) -> list[dict[str, Any]]:
    """A row for each unusual and each unreadable photo; a photo that is unusual in two ways has two."""
    rows: list[dict[str, Any]] = []
    for name, split in inspection.splits.items():
        for kind, photos in split.odd.items():
            rows += [{"split": name, "photo": photo, "kind": kind} for photo in photos]
        for photo, reason in split.unreadable.items():
            rows.append({"split": name, "photo": photo, "kind": "unreadable", "reason": reason})
    return rows


def _duplicate_rows(kind: str, found: DuplicateSets | None) -> list[dict[str, Any]]:
    """A row for each photo of a set of copies; the sets are numbered from 1."""
    return [
        {"split": each.split, "photo": each.key, "kind": kind, "set": number, "wnid": each.wnid}
        for number, photos in enumerate(() if found is None else found.first, start=1)
        for each in photos
    ]


def _class_rows(names: Mapping[str, str], counts: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """A row for each class of each split; `counts` are photos by split, then by WNID."""
    return [
        {"split": split, "wnid": wnid, "class": name, "photos": own.get(wnid, 0)}
        for split, own in counts.items()
        for wnid, name in names.items()
    ]


def _inspect_store(
    path: Path, near_duplicates: bool, as_json: bool, tables: TableFiles, per_class: bool
) -> None:
    from alexnet.data.inspect import table_of_classes
    from alexnet.data.store import Store
    from alexnet.data.store_inspection import describe_store, inspect_store

    store = Store.open(path)
    images = sum(entry.count for entry in store.manifest.splits.values())
    with progress_bar("comparing", images, unit="images", silent=as_json or not near_duplicates) as advance:
        inspection = inspect_store(store, near_duplicates, advance)
    by_class = inspection.photos_per_class
    counts = {name: {wnid: by_class[wnid][name] for wnid in by_class} for name in inspection.splits}
    if tables and per_class:
        names = {each.wnid: each.name for each in store.classes}
        tables.write(_CLASS_COLUMNS, _class_rows(names, counts), quiet=as_json)
    elif tables:
        copies = None if inspection.findings is None else inspection.findings.duplicates
        alike = _duplicate_rows("near duplicate", inspection.near_duplicates)
        tables.write(_COLUMNS, [*_duplicate_rows("duplicate", copies), *alike], quiet=as_json)
    if as_json:
        write_document(inspection.to_dict())
    elif not tables:
        write_lines(*describe_store(inspection))
        write_lines(*(table_of_classes(store.classes, counts) if per_class else []))

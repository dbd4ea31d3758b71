"""`alexnet.prepare`: photos in any known form become a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from alexnet.data import store_notes
from alexnet.data.duplicates import drop_duplicates as without_duplicates
from alexnet.data.prepare import prepare
from alexnet.data.sources import Source, SourceOptions, filter_classes, hold_out, open_source
from alexnet.data.store import Store
from alexnet.hardware import cpu_count


def prepare_source(
    source: str | Path | Source,
    store: str | Path,
    *,
    side: int | None = None,
    shape: Literal["square", "whole"] = "square",
    resize: Literal["crop", "warp", "pad"] | None = None,
    encoding: Literal["jpeg", "raw"] | None = None,
    channels: int | None = None,
    quality: int = 95,
    val_fraction: float = 0.1,
    group_by: str = "",
    drop_duplicates: bool = False,
    classes: str | None = None,
    exif: bool | None = None,
    options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
    strict: bool = False,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda count: None,
    log: Callable[[str], None] = lambda line: None,
) -> Store:
    """The store at `store`, made of the labeled photos at `source`; a stopped one is continued.

    `source` is a folder, tar or parquet file in any form that `open_source` recognizes, or what that returns;
    it is never changed. `side` is the length in pixels of the (shorter) side. Settings that are None are the
    source's own: 256 pixels, color, cropped, JPEG; of digits 32, gray, padded, raw. Where photos come without
    a validation split, `val_fraction` of each class is held out; `group_by`, a regular expression over keys,
    names photos that stay in one split (see `hold_out`). `drop_duplicates` keeps one of each set of photos
    with the same pixels, which decodes all of them twice. `classes` keeps the first so many classes
    ("10"), or those named by WNID or name ("n01440764,crane"). `exif` turns photos upright. `options` choose
    how the source is read, where several ways fit. With `strict` an unreadable photo is an error. `workers`
    are processes, by default one per core; `progress` is called with numbers of photos, `log` with a line
    about what was made again of a finished store.

    CommandError for settings that do not exist or another store at `store`; DataError if nothing is
    recognized or photos are unreadable; WorkError if the disk is full.
    """
    photos = source if isinstance(source, Source) else open_source(Path(source), 0, options)
    if classes is not None:
        photos = filter_classes(photos, classes)
    settings = photos.settings.with_choices(
        side=side,
        shape=shape,
        resize=resize,
        encoding=encoding,
        quality=quality,
        exif=exif,
        channels=channels,
    )
    if drop_duplicates:
        known = store_notes.known_hashes(Path(store))
        photos = without_duplicates(photos, settings, known, workers or cpu_count())
    if group_by or not isinstance(source, Source):
        photos = hold_out(photos, val_fraction, group_by)
    return prepare(photos, Path(store), settings, workers, strict, progress, log)

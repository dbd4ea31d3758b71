"""`alexnet.prepare`: photos in any known form become a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from alexnet.data.prepare import prepare
from alexnet.data.sources import Source, SourceOptions, filter_classes, open_source
from alexnet.data.store import Store


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
    classes: str | None = None,
    exif: bool | None = None,
    options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
    strict: bool = False,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Store:
    """The store at `store`, made of the labeled photos at `source`; a stopped one is continued.

    `source` is a folder, tar or parquet file in any form that `open_source` recognizes, or what that returns;
    it is never changed. `side` is the length in pixels of the (shorter) side. Settings that are None are the
    source's own: 256 pixels, color, cropped, JPEG; of digits 32, gray, padded, raw. Where photos come without
    a validation split, `val_fraction` of each class is held out. `classes` keeps the first so many classes
    ("10"), or those named by WNID or name ("n01440764,crane"). `exif` turns photos upright. `options` choose
    how the source is read, where several ways fit. With `strict` an unreadable photo is an error. `workers`
    are processes, by default one per core; `progress` is called with numbers of photos.

    CommandError for settings that do not exist or another store at `store`; DataError if nothing is
    recognized or photos are unreadable; WorkError if the disk is full.
    """
    photos = source if isinstance(source, Source) else open_source(Path(source), val_fraction, options)
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
    return prepare(photos, Path(store), settings, workers, strict, progress)

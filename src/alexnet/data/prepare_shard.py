"""Makes one shard of a store from some photos of a source: decode, resize, encode, write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg

from alexnet.data import store_notes
from alexnet.data.boxes import area, central_window, clip, to_window
from alexnet.data.decode import (
    ONE_COLOR,
    Pixels,
    UnreadableImage,
    decode,
    in_channels,
    is_one_color,
    oddities,
    read_header,
    turn_box,
)
from alexnet.data.findings import PhotoNote
from alexnet.data.manifest import PrepareSettings
from alexnet.data.resize import crop_offset, pad, resized_size, to_square, to_whole, warp
from alexnet.data.sources import Box, Example, SourceSplit
from alexnet.data.sources.base import group_of, path_of, stamp_of
from alexnet.data.statistics import PixelStatistics
from alexnet.data.store import Record, write_shard
from alexnet.data.store_notes import ShardNote, content_hash, pixels_hash
from alexnet.errors import DataError
from alexnet.io import file_sha256, remove_left_over, unfinished_path, write_whole


@dataclass(frozen=True)
class ShardTask:
    """Photos `start` .. `stop` of a split, to be written to one file."""

    folder: Path
    split: str
    number: int
    start: int
    stop: int
    settings: PrepareSettings

    @property
    def file(self) -> str:
        """The shard's name in the store."""
        return f"{self.split}-{self.number:05}.arrow"

    @property
    def note_path(self) -> Path:
        """The `ShardNote`, whose existence marks the shard as finished."""
        return (self.folder / store_notes.FOLDER / self.file).with_suffix(".json")

    @property
    def statistics_path(self) -> Path:
        """The `PixelStatistics` of the shard."""
        return self.note_path.with_suffix(".npz")

    def make(self, split: SourceSplit, count: Callable[[], None]) -> None:
        """Writes the shard, its statistics and, last of all, its note; calls `count` after every photo."""
        note, statistics = ShardNote(), PixelStatistics.empty(self.settings.side, self.settings.channels)
        final = self.folder / self.file
        remove_left_over(final)
        unfinished = unfinished_path(final)
        write_shard(unfinished, _records(split, self, note, statistics, count))
        note.bytes, note.sha256 = unfinished.stat().st_size, file_sha256(unfinished)
        unfinished.replace(final)
        sums = statistics.to_bytes()
        note.statistics_sha256 = hashlib.sha256(sums).hexdigest()
        write_whole(self.statistics_path, sums)
        store_notes.write_note(self.note_path, note)


def resize(photo: Pixels, settings: PrepareSettings) -> Pixels:
    """The photo (H, W, channels) as it is stored; for `pad` it must not be larger than the square."""
    if settings.resize == "pad":
        return pad(photo, settings.side)
    if settings.resize == "warp":
        return warp(photo, settings.side)
    return (to_whole if settings.shape == "whole" else to_square)(photo, settings.side)


def encode(stored: Pixels, settings: PrepareSettings) -> bytes:
    """The stored bytes of a resized image (H, W, channels)."""
    stored = np.ascontiguousarray(stored)
    if settings.encoding == "raw":
        return stored.tobytes()
    subsampling = settings.subsampling.replace(":", "")
    if settings.channels == 1:
        return simplejpeg.encode_jpeg(stored, settings.quality, "GRAY", "Gray", fastdct=False)
    return simplejpeg.encode_jpeg(stored, settings.quality, "RGB", subsampling, fastdct=False)


def move_box(box: Box, height: int, width: int, settings: PrepareSettings) -> Box | None:
    """The box in fractions of the stored image, clipped to it; None if nothing of it is left.

    `height` and `width` are those of the original photo, turned as the box is.
    """
    if settings.resize == "warp" or settings.shape == "whole":
        return box
    sizes = (height, width)
    if settings.resize != "pad":
        sizes = resized_size(height, width, settings.side)
    moved = clip(to_window(box[1:], central_window(*sizes, settings.side)))
    return Box(box.label, *moved.tolist()) if area(moved) > 0 else None


def _records(
    split: SourceSplit,
    task: ShardTask,
    note: ShardNote,
    statistics: PixelStatistics,
    count: Callable[[], None],
) -> Iterator[Record]:
    """The shard's records; adds to `note` what is unusual or unreadable, to `statistics` the pixels."""
    labels = split.labels
    for index in range(task.start, task.stop):
        key, label = split.key(index), int(labels[index])
        # Before the photo is read: if it is changed meanwhile, that is noticed next time.
        stamp, path = stamp_of(split, index) or "", path_of(split, index) or ""
        photo = PhotoNote(key, label, stamp, "", path=path, group=group_of(split, index))
        try:
            example = split[index]
            photo = photo._replace(content=content_hash(example))
            pixels = _pixels(example, task.settings)
            odd = _odd(example, pixels, task.settings)
            record = _record(example, pixels, task.settings, statistics)
        except UnreadableImage as error:
            note.unreadable[key] = str(error)
        else:
            photo = photo._replace(pixels=pixels_hash(pixels))
            if odd:
                note.odd[key] = odd
            note.labels.append(example.label)
            note.box_labels = sorted({*note.box_labels, *(box.label for box in record.boxes)})
            note.longest_side = max(note.longest_side, record.width, record.height)
            yield record
        note.photos.append(photo)
        count()


def decode_photo(example: Example, settings: PrepareSettings) -> Pixels:
    """(H, W, channels) the photo, with the settings' orientation; UnreadableImage if it is none."""
    return in_channels(decode(example.image, settings.exif), settings.channels)


def _pixels(example: Example, settings: PrepareSettings) -> Pixels:
    photo = decode_photo(example, settings)
    if settings.resize == "pad":
        _refuse_too_large(example.key, photo, settings.side)
    return photo


def _record(
    example: Example, photo: Pixels, settings: PrepareSettings, statistics: PixelStatistics
) -> Record:
    stored = resize(photo, settings)
    statistics.add(_central_square(stored, settings.side))
    height, width = photo.shape[:2]
    found = _turned(example) if settings.exif else example.boxes
    boxes = tuple(moved for box in found if (moved := move_box(box, height, width, settings)))
    return Record(encode(stored, settings), example.label, example.key, width, height, boxes)


def _turned(example: Example) -> tuple[Box, ...]:
    """The boxes on the upright photo."""
    if not example.boxes:
        return ()
    orientation = read_header(example.image).orientation
    return tuple(Box(box.label, *turn_box(box[1:], orientation)) for box in example.boxes)


def _refuse_too_large(key: str, photo: Pixels, side: int) -> None:
    height, width = photo.shape[:2]
    if max(height, width) > side:
        raise DataError(
            f"{key}: {width}x{height} pixels do not fit into a square of {side}: type --side "
            f"{max(height, width)} or more, or --resize crop"
        )


def _odd(example: Example, photo: Pixels, settings: PrepareSettings) -> list[str]:
    """What is unusual about a photo and its boxes; gray is usual in a gray store."""
    usual = {"gray"} if settings.channels == 1 else set[str]()
    found = [kind for kind in oddities(example.image, example.key) if kind not in usual]
    return [*found, *((ONE_COLOR,) if is_one_color(photo) else ()), *example.odd]


def _central_square(stored: Pixels, side: int) -> Pixels:
    top, left = crop_offset(stored.shape[0], stored.shape[1], side)
    return stored[top : top + side, left : left + side]

"""The folder `notes` of a store: what `prepare` needs to continue it or to bring it up to date.

For each shard a note about its photos and the sums of its pixels; readers of the store need none of it but
the groups of `--group-column` (`alexnet.data.groups`). Hashes find copies of photos, and changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.checksum import with_checksum
from alexnet.data.decode import Pixels
from alexnet.data.findings import DroppedPhoto, PhotoName, PhotoNote
from alexnet.data.sources.base import Example
from alexnet.errors import DataError
from alexnet.io import write_json, write_whole
from alexnet.json_reader import read_document, read_object

FOLDER = "notes"
_DROPPED_FILE = "dropped.json"
_MAKE_AGAIN = "delete it and prepare again"
_HASH_DIGITS = 32
"""Of SHA-256, in hexadecimal: 128 bits."""


@dataclass
class ShardNote:
    """The contents of a finished shard."""

    bytes: int = 0
    sha256: str = ""
    statistics_sha256: str = ""
    """Of the file with the sums of its pixels; empty in notes made before it was recorded."""
    labels: list[int] = field(default_factory=list[int])
    odd: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What is unusual, by key."""
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    """Why a photo could not be read, by key."""
    box_labels: list[int] = field(default_factory=list[int])
    """The labels of its boxes, each once."""
    longest_side: int = 0
    """In pixels, of any original photo."""
    photos: list[PhotoNote] = field(default_factory=list[PhotoNote])
    """All photos of the shard's part of the source, in order."""


Notes = dict[str, ShardNote]
"""By the shard's file name, `train-00000.arrow`."""


def write_note(path: Path, note: ShardNote) -> None:
    """Writes the note of one shard atomically."""
    write_whole(path, json.dumps(with_checksum(asdict(note))).encode())


def read_note(path: Path) -> ShardNote:
    """The note of a finished shard; DataError if it is damaged."""
    return read_object(path, _note, "is damaged", _MAKE_AGAIN)


def _note(values: Mapping[str, Any]) -> ShardNote:
    made: dict[str, Any] = {**values, "photos": [PhotoNote(*photo) for photo in values["photos"]]}
    return ShardNote(**made)


def read_all(store: Path) -> Notes:
    """The notes of all finished shards; empty for stores of earlier versions. DataError if one is damaged."""
    paths = sorted(path for path in (store / FOLDER).glob("*.json") if path.name != _DROPPED_FILE)
    return {path.with_suffix(".arrow").name: read_note(path) for path in paths}


def _split_of(file: str) -> str:
    """The split of a shard, by its file name."""
    return file.rpartition("-")[0]


def photos(notes: Mapping[str, ShardNote]) -> Iterator[tuple[str, PhotoNote]]:
    """Split and note of all photos."""
    return ((_split_of(file), photo) for file, note in notes.items() for photo in note.photos)


def paths_of(store: Path, split: str) -> dict[str, str]:
    """The path of each photo's file in the source, by key; empty without notes, or if one is damaged."""
    try:
        notes = [read_note(path) for path in sorted((store / FOLDER).glob(f"{split}-[0-9]*.json"))]
    except DataError:
        return {}
    return {photo.key: photo.path for note in notes for photo in note.photos}


def write_dropped(store: Path, dropped: Sequence[DroppedPhoto]) -> None:
    """Writes the list of copies that are not in the store."""
    write_json(store / FOLDER / _DROPPED_FILE, [with_checksum(asdict(each)) for each in dropped])


def read_dropped(store: Path) -> list[DroppedPhoto] | None:
    """The copies that are not in the store; None if it was prepared without `--drop-duplicates`."""
    path = store / FOLDER / _DROPPED_FILE
    if not path.is_file():
        return None
    return read_document(
        path,
        lambda found: [
            DroppedPhoto(
                PhotoName(**each["photo"]), PhotoName(**each["stays"]), each["stamp"], each.get("path", "")
            )
            for each in found
        ],
        "is damaged",
        _MAKE_AGAIN,
    )


def known_hashes(store: Path) -> dict[tuple[str, str], str]:
    """The hash of the pixels of each photo of which the store knows it, by key and stamp.

    Without those of different photos with the same key and stamp, in two splits.
    """
    found = [photo for _, photo in photos(read_all(store))]
    by_key: dict[str, set[str]] = {}
    known: dict[tuple[str, str], set[str]] = {}
    for photo in found:
        by_key.setdefault(photo.key, set()).add(photo.pixels)
        if photo.stamp:
            known.setdefault((photo.key, photo.stamp), set()).add(photo.pixels)
    for each in read_dropped(store) or ():
        if each.stamp:  # the photo that stays may have been held out of another split since
            known.setdefault((each.photo.key, each.stamp), set()).update(by_key.get(each.stays.key, ()))
    return {name: next(iter(pixels)) for name, pixels in known.items() if len(pixels) == 1}


def content_hash(example: Example) -> str:
    """Hash of everything but key and label that a record is made from: the file and its boxes."""
    digest = hashlib.sha256(example.image)
    digest.update(repr((example.boxes, example.odd)).encode())
    return digest.hexdigest()[:_HASH_DIGITS]


_WORDS = 1 << 17
_WEIGHTS = np.random.PCG64(2012).random_raw(_WORDS) | np.uint64(1)
_FACTOR, _MODULUS = 0x9E3779B97F4A7C15, 1 << 64


def pixels_hash(photo: Pixels) -> str:
    """Hash of size and pixels of a decoded photo (H, W, C).

    Two sums of all pixels, eight at a time, with odd random weights modulo 2^64: they differ for photos that
    differ in one such group. The second sum begins four values later: a value that is the highest byte of a
    group, of whose weight only eight bits count, is not so there. A cryptographic hash would take a tenth of
    the time of `prepare`.
    """
    values = np.ascontiguousarray(photo).reshape(-1)
    sums = "".join(f"{_weighted_sum(values[first:]):016x}" for first in (0, 4))
    return f"{'x'.join(map(str, photo.shape))}-{sums}"


def _weighted_sum(values: npt.NDArray[np.uint8]) -> int:
    whole = values[: len(values) // 8 * 8].view(np.uint64)
    total = int.from_bytes(values[8 * len(whole) :].tobytes())
    for start in range(0, len(whole), _WORDS):
        words = whole[start : start + _WORDS]
        total = (total * _FACTOR + int(np.dot(words, _WEIGHTS[: len(words)]))) % _MODULUS
    return total

"""`prepare --drop-duplicates`: a source with one photo of each set of copies."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.data.decode import UnreadableImage
from alexnet.data.findings import DroppedPhoto, NotedPhotos, PhotoName, PhotoNote
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare_shard import decode_photo
from alexnet.data.prepare_workers import make_all
from alexnet.data.sources.base import Source, SourceSplit, path_of, stamp_of
from alexnet.data.sources.selection import Subset
from alexnet.data.store_notes import pixels_hash
from alexnet.errors import DataError

_PHOTOS_PER_TASK = 256
_STAYS_FIRST = ("test", "val")
"""Splits that keep their photos; copies in later splits are dropped, in `train` before all."""
KnownHashes = Mapping[tuple[str, str], str]
"""The hash of a photo's pixels by its key and stamp; see `PhotoNote`."""


@dataclass(frozen=True)
class _HashTask:
    """Photos `start` .. `stop` of a split, whose hashes are written to a file in `folder`."""

    folder: Path
    split: str
    start: int
    stop: int
    settings: PrepareSettings
    known: list[str]
    """The hashes of these photos; empty where unknown."""

    @property
    def path(self) -> Path:
        return self.folder / f"{self.split}-{self.start}.json"

    def make(self, split: SourceSplit, count: Callable[[], None]) -> None:
        """Writes the photos' notes; calls `count` after every photo."""
        notes: list[PhotoNote] = []
        labels = split.labels
        for index, known in zip(range(self.start, self.stop), self.known, strict=True):
            try:
                pixels = known or pixels_hash(decode_photo(split[index], self.settings))
            except UnreadableImage:
                pixels = ""  # `prepare` lists it
            stamp = stamp_of(split, index) or ""
            notes.append(PhotoNote(split.key(index), int(labels[index]), stamp, "", pixels))
            count()
        self.path.write_text(json.dumps(notes))


def drop_duplicates(
    source: Source,
    settings: PrepareSettings,
    known: KnownHashes,
    workers: int,
    progress: Callable[[int], None] = lambda count: None,
) -> Source:
    """The source with the first photo of each set of equal pixels, and `dropped` for the others.

    A photo of `test` stays rather than one of `val`, and that rather than one of `train`. Decodes every photo
    whose hash is not `known`, with the orientation and channels of `settings`, in `workers` processes;
    `progress(count)` is called as photos are finished. DataError if no training photo would be left.
    """
    with tempfile.TemporaryDirectory() as folder:
        tasks = [
            _HashTask(Path(folder), name, part.start, part.stop, settings, _known(split, part, known))
            for name, split in source.splits.items()
            for part in _parts(len(split))
        ]
        make_all(source, tasks, workers, progress)
        noted = NotedPhotos.of(
            [(task.split, PhotoNote(*row)) for task in tasks for row in json.loads(task.path.read_text())]
        )
    gone: dict[str, set[str]] = {name: set() for name in source.splits}
    dropped: list[DroppedPhoto] = []
    for indices in noted.duplicates():
        names = [noted.name(index, source.classes) for index in indices]
        stays = min(names, key=_priority)
        for index, each in zip(indices, names, strict=True):
            if each is not stays:
                gone[each.split].add(each.key)
                dropped.append(DroppedPhoto(each, stays, noted.stamps[index]))
    paths = {
        (name, split.key(index)): path_of(split, index) or ""
        for name, split in source.splits.items()
        for index in range(len(split) if gone[name] else 0)
        if split.key(index) in gone[name]
    }
    dropped = [dataclasses.replace(each, path=paths[each.photo.split, each.photo.key]) for each in dropped]
    splits = {name: _without(split, gone[name]) for name, split in source.splits.items()}
    if "train" in splits and not len(splits["train"]):
        raise DataError("all training photos are copies of photos in val or test: train would be empty")
    return dataclasses.replace(
        source,
        splits={name: split for name, split in splits.items() if len(split)},
        dropped=tuple(sorted(dropped)),
    )


def _parts(count: int) -> list[range]:
    return [range(start, min(start + _PHOTOS_PER_TASK, count)) for start in range(0, count, _PHOTOS_PER_TASK)]


def _known(split: SourceSplit, part: range, known: KnownHashes) -> list[str]:
    """The known hashes of some photos of a split; empty for others."""
    return [known.get((split.key(index), stamp_of(split, index) or ""), "") for index in part]


def _priority(photo: PhotoName) -> tuple[int, bool]:
    """The lower, the rather a photo stays: a labeled one within its split; the first among equals."""
    order = _STAYS_FIRST.index(photo.split) if photo.split in _STAYS_FIRST else len(_STAYS_FIRST)
    return order, not photo.wnid


def _without(split: SourceSplit, keys: set[str]) -> SourceSplit:
    if not keys:
        return split
    kept = [index for index in range(len(split)) if split.key(index) not in keys]
    return Subset(split, np.array(kept, np.int64))

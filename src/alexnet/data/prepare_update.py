"""What a store is made from, and what of it is still right when the photos have changed.

A store's fingerprint is everything that determines its bytes. `compare` finds the shards that a new store
would have too.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from alexnet.data import store_notes
from alexnet.data.classes import Class
from alexnet.data.decode import UnreadableImage
from alexnet.data.findings import PhotoNote
from alexnet.data.manifest import FINGERPRINT_FILE, MANIFEST_FILE, VERSION, PrepareSettings, read_manifest
from alexnet.data.prepare_shard import ShardTask
from alexnet.data.sources import Source, SourceSplit
from alexnet.data.sources.base import group_of, path_of, stamp_of
from alexnet.data.store import TRAIN
from alexnet.data.store_notes import ShardNote, content_hash
from alexnet.errors import CommandError
from alexnet.json_reader import read_object
from alexnet.text import first_few

CLASSES_HASH, PHOTOS_HASH = "classes", "photos"
"""In a fingerprint: the hash of the classes, and that of classes, labels and keys."""
Fingerprint = dict[str, str | int | float]
"""What determines the store's bytes: the version, all settings, and the source's form and contents."""
_NAMED = 3


@dataclass(frozen=True)
class Job:
    """A store to be made."""

    source: Source
    path: Path
    settings: PrepareSettings
    fingerprint: Fingerprint

    @property
    def statistics_split(self) -> str:
        """The split that mean and covariance are computed from: `train`, or the first one without."""
        return TRAIN if TRAIN in self.source.splits else next(iter(self.source.splits))


def make_fingerprint(source: Source, settings: PrepareSettings) -> Fingerprint:
    """The fingerprint of the store that a source and settings give; reads no photo."""
    digest = hashlib.sha256()
    for name, split in source.splits.items():
        digest.update(f"{name} {len(split)} ".encode() + split.labels.tobytes())
        for index in range(len(split)):
            digest.update(split.key(index).encode() + b"\n")
    digest.update(json.dumps([each.wnid for each in source.classes]).encode())
    return {
        "version": VERSION,
        **settings.to_dict(),
        "source": source.form,
        "options": _options(source.options),
        **_choices(source.class_filter, source.val_fraction, source.group_by, source.dropped is not None),
        CLASSES_HASH: _digest_of_classes(source.classes),
        PHOTOS_HASH: digest.hexdigest(),
    }


def _options(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def _digest_of_classes(classes: Iterable[Class]) -> str:
    return hashlib.sha256(json.dumps([each.wnid for each in classes]).encode()).hexdigest()


def _choices(
    class_filter: str, val_fraction: float, group_by: str, drop_duplicates: bool
) -> dict[str, str | int | float]:
    """The options that choose photos, by their names on the command line."""
    return {
        "--classes": class_filter,
        "--val-fraction": val_fraction,
        "--group-by": group_by,
        "--drop-duplicates": drop_duplicates,
    }


def fingerprint_of_store(job: Job) -> Fingerprint:
    """That of the finished or unfinished store at the path; empty if there is none."""
    if not (job.path / MANIFEST_FILE).exists():
        unfinished = job.path / FINGERPRINT_FILE
        return _read_fingerprint(unfinished) if unfinished.exists() else {}
    manifest = read_manifest(job.path)
    source = manifest.source
    chosen = _choices(source.class_filter, source.val_fraction, source.group_by, source.drop_duplicates)
    digests = {CLASSES_HASH: _digest_of_classes(manifest.classes), PHOTOS_HASH: source.sha256}
    apart = {"source": source.form, "options": _options(source.options), **chosen, **digests}
    return {name: getattr(manifest, name) for name in job.fingerprint if name not in apart} | apart


def side_of_store(path: Path) -> int:
    """Side in pixels of the finished or unfinished store at the path; 0 if there is none."""
    if (path / MANIFEST_FILE).exists():
        return read_manifest(path).side
    unfinished = path / FINGERPRINT_FILE
    return int(_read_fingerprint(unfinished)["side"]) if unfinished.exists() else 0


def _read_fingerprint(path: Path) -> Fingerprint:
    """That of an unfinished store; DataError if the file is damaged."""
    return read_object(path, dict, "is damaged", f"delete {path.parent} and prepare it again")


def check_fingerprint(
    job: Job, found: Fingerprint, of_earlier_version: bool = False, same_photos: bool = False
) -> None:
    """CommandError if the store at the path was made with other settings, or from another source.

    Other photos and classes are allowed, unless they must be the `same_photos`: shards are compared with
    them. For stores `of_earlier_version` the photos must be the same: these stores have no notes of their
    photos, and did not record all options that choose photos.
    """
    found = {"channels": 3, "options": "{}", **found}  # older versions did not write these
    ignored = {CLASSES_HASH, *(_choices("", 0, "", False) if of_earlier_version else [PHOTOS_HASH])}
    if same_photos:
        ignored = {CLASSES_HASH}  # which determine the hash of the photos, too
    differ = [
        _difference(name, found[name], wanted)
        for name, wanted in job.fingerprint.items()
        if name not in ignored and found.get(name, wanted) != wanted
    ]
    if differ:
        raise OtherSettings(job.path, ", ".join(differ))


def _difference(name: str, before: object, now: object) -> str:
    if name == PHOTOS_HASH:
        return "other photos"
    if name == "options":
        return f"{_as_typed(str(before))} (now {_as_typed(str(now))})"
    return f"{name} {before} (now {now})"


def _as_typed(options: str) -> str:
    """The options of a source, saved as JSON, as a user types them."""
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f" {shlex.quote(_as_word(value))}")
        for name, value in json.loads(options).items()
    ]
    return " ".join(words) or "no options"


def _as_word(value: object) -> str:
    """`train=a,val=b` for the splits, any other value as it is."""
    if isinstance(value, dict):
        return ",".join(f"{name}={each}" for name, each in cast(dict[str, str], value).items())
    return str(value)


class OtherSettings(CommandError):  # noqa: N818 - what was found
    """The store was prepared with other settings, or from other photos."""

    def __init__(self, path: Path, differences: str) -> None:
        super().__init__(
            f"{path} was prepared with {differences}: use the same settings, or choose another STORE"
        )
        self.differences = differences


@dataclass
class SourceChanges:
    """How a source differs from the notes of a store. Photos are named `split/key`."""

    current: dict[ShardTask, ShardNote] = field(default_factory=dict[ShardTask, ShardNote])
    """The shards that a new store would have too."""
    touched: list[ShardTask] = field(default_factory=list[ShardTask])
    """Those whose notes have new times or places: files were written again or moved, with the same contents.
    """
    unchanged: int = 0
    """Photos that are in the store and in the source, with the same contents and class."""
    changed: list[str] = field(default_factory=list[str])
    """Photos or boxes with other contents."""
    relabeled: list[str] = field(default_factory=list[str])
    """Photos with the same contents and another label; also if only the order of the classes changed."""
    moved: list[str] = field(default_factory=list[str])
    """Photos that were in another split."""
    new: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])

    def describe(self) -> str:
        """What has changed, in words."""
        kinds = {
            "changed": self.changed,
            "with another label": self.relabeled,
            "in another split than before": self.moved,
            "new": self.new,
            "removed": self.removed,
        }
        found = [(kind, names) for kind, names in kinds.items() if names]
        return ", ".join(f"{len(names):,} {kind} ({first_few(names, _NAMED)})" for kind, names in found)


def find_changes(
    source: Source, tasks: Sequence[ShardTask], notes: Mapping[str, ShardNote], by_stamp: bool = True
) -> SourceChanges:
    """The source as it is now, beside the notes of a store.

    Sizes and times of files decide, and where these differ or are unknown, the contents; without `by_stamp`
    always the contents.
    """
    found = SourceChanges()
    for task in tasks:
        note = notes.get(task.file)
        now = None if note is None else _current_note(source.splits[task.split], task, note, by_stamp)
        if now is not None:
            found.current[task] = now
            found.unchanged += len(now.photos)
            if now is not note:
                found.touched.append(task)
    right = {task.file for task in found.current}
    others = {file: note for file, note in notes.items() if file not in right}
    before = {(split, photo.key): photo for split, photo in store_notes.photos(others)}
    for task in tasks:
        if task not in found.current:
            _compare_photos(source.splits[task.split], task, before, found, by_stamp)
    _find_moved(source, before, found, by_stamp)
    found.removed = [f"{split}/{key}" for split, key in before]
    return found


def _find_moved(
    source: Source, before: dict[tuple[str, str], PhotoNote], found: SourceChanges, by_stamp: bool
) -> None:
    """Reports photos that changed their split as moved, instead of as new and removed."""
    gone = {key for _, key in before}
    arrived = {name for name in found.new if name.partition("/")[2] in gone}
    others = sorted({name for name, _ in before})
    for name, split in source.splits.items() if arrived else ():
        for index in range(len(split)):
            key = split.key(index)
            if f"{name}/{key}" not in arrived:
                continue
            for other in others:
                photo = before.get((other, key))
                stamp = (stamp_of(split, index) or "") if by_stamp else ""
                if photo is not None and _same_contents(split, index, stamp, photo):
                    del before[other, key]
                    found.moved.append(f"{name}/{key}")
                    break
    moved = set(found.moved)
    found.new = [name for name in found.new if name not in moved]


def _current_note(split: SourceSplit, task: ShardTask, note: ShardNote, by_stamp: bool) -> ShardNote | None:
    """The note with the files' times and places of now; None if the shard must be made again."""
    path = task.folder / task.file
    whole = path.is_file() and path.stat().st_size == note.bytes
    if not whole or len(note.photos) != task.stop - task.start:
        return None
    labels, photos = split.labels, list[PhotoNote]()
    for index, photo in zip(range(task.start, task.stop), note.photos, strict=True):
        if split.key(index) != photo.key or int(labels[index]) != photo.label:
            return None
        stamp = stamp_of(split, index) or ""
        if not _same_contents(split, index, stamp if by_stamp else "", photo):
            return None
        path = path_of(split, index) or ""
        photos.append(photo._replace(stamp=stamp, path=path, group=group_of(split, index)))
    return note if photos == note.photos else replace(note, photos=photos)


def _compare_photos(
    split: SourceSplit,
    task: ShardTask,
    before: dict[tuple[str, str], PhotoNote],
    found: SourceChanges,
    by_stamp: bool,
) -> None:
    """Adds the photos of a shard that must be made again; removes them from those `before`."""
    labels = split.labels
    for index in range(task.start, task.stop):
        key = split.key(index)
        photo = before.pop((task.split, key), None)
        if photo is None:
            found.new.append(f"{task.split}/{key}")
            continue
        stamp = (stamp_of(split, index) or "") if by_stamp else ""
        if not _same_contents(split, index, stamp, photo):
            found.changed.append(f"{task.split}/{key}")
        elif int(labels[index]) != photo.label:
            found.relabeled.append(f"{task.split}/{key}")
        else:
            found.unchanged += 1


def _same_contents(split: SourceSplit, index: int, stamp: str, photo: PhotoNote) -> bool:
    if stamp and stamp == photo.stamp:
        return True
    try:
        return content_hash(split[index]) == photo.content
    except UnreadableImage:
        return not photo.content

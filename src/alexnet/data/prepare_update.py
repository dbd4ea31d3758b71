"""Which photos of a source have changed since they were prepared, and which shards are still right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from alexnet.data import store_notes
from alexnet.data.decode import UnreadableImage
from alexnet.data.photo_note import PhotoNote, content_hash
from alexnet.data.prepare_shard import ShardTask
from alexnet.data.sources import Source, SourceSplit
from alexnet.data.sources.base import stamp_of
from alexnet.data.store_notes import ShardNote

_NAMED = 3


@dataclass
class Comparison:
    """A source beside the notes of a store. Photos are named `split/key`."""

    current: dict[ShardTask, ShardNote] = field(default_factory=dict[ShardTask, ShardNote])
    """The shards that a new store would have too."""
    touched: list[ShardTask] = field(default_factory=list[ShardTask])
    """Those whose notes have new times: files were written again with the same contents."""
    unchanged: int = 0
    """Photos that are in the store and in the source, with the same contents and class."""
    changed: list[str] = field(default_factory=list[str])
    """Photos or boxes with other contents."""
    relabeled: list[str] = field(default_factory=list[str])
    """Photos with the same contents and another label, also where only the order of classes is another."""
    new: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])

    def describe(self) -> str:
        """What has changed, in words."""
        kinds = {
            "changed": self.changed,
            "with another label": self.relabeled,
            "new": self.new,
            "removed": self.removed,
        }
        return ", ".join(f"{len(names):,} {kind}{_some(names)}" for kind, names in kinds.items() if names)


def compare(
    source: Source, tasks: Sequence[ShardTask], notes: Mapping[str, ShardNote], by_stamp: bool = True
) -> Comparison:
    """The source as it is now, beside the notes of a store.

    Sizes and times of files decide, and where these differ or are unknown, the contents; without `by_stamp`
    always the contents.
    """
    found = Comparison()
    for task in tasks:
        note = notes.get(task.file)
        now = None if note is None else _still_right(source.splits[task.split], task, note, by_stamp)
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
    found.removed = [f"{split}/{key}" for split, key in before]
    return found


def _still_right(split: SourceSplit, task: ShardTask, note: ShardNote, by_stamp: bool) -> ShardNote | None:
    """The note with the files' times of now; None if the shard must be made again."""
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
        photos.append(photo._replace(stamp=stamp))
    return note if photos == note.photos else replace(note, photos=photos)


def _compare_photos(
    split: SourceSplit,
    task: ShardTask,
    before: dict[tuple[str, str], PhotoNote],
    found: Comparison,
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


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return f" ({', '.join(names[:_NAMED])}{more})"

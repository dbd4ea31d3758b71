"""From a source to a store: every photo decoded, resized and stored once, with the statistics training needs.

While it works, the store's folder holds `preparing.json`, the fingerprint of what it is to become, and for
each finished shard a note and its statistics. They are what an interrupted `prepare` continues from.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.decode import HEIC_SUFFIXES, INSTALL_HEIC, NoDecoder, heic_is_readable, image_size
from alexnet.data.manifest import (
    MANIFEST_FILE,
    VERSION,
    Manifest,
    OddFiles,
    PrepareSettings,
    ShardEntry,
    SourceEntry,
    SplitEntry,
    UnreadableFile,
    read_manifest,
    write_manifest,
)
from alexnet.data.prepare_shard import ShardNote, ShardTask, read_note
from alexnet.data.prepare_workers import make_shards
from alexnet.data.resize import FILTER
from alexnet.data.sources import Source
from alexnet.data.statistics import PixelStatistics
from alexnet.data.store import RECORDS_PER_SHARD, TRAIN, Store
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.hardware import cpu_count
from alexnet.io import CannotWrite, exclusive_lock, is_left_over, write_json, write_whole

__all__ = ["PrepareSettings", "prepare"]

FINGERPRINT_FILE = "preparing.json"
MEAN_IMAGE = "mean_image.npy"
MAX_ODD_NAMED = 20
"""Unusual photos of each kind that the manifest names; others are counted."""

_TEMPORARY = (FINGERPRINT_FILE, "*.part", "*.note.json", "*.statistics.npz")
_BYTES_PER_VALUE = {"jpeg": 0.27, "raw": 1.0}
"""For the estimate of disk space; quality 95 without subsampling takes about 0.2 at side 256."""

Fingerprint = dict[str, str | int]
"""What determines the store's bytes: the version, all settings, and the source's form and contents."""


@dataclass(frozen=True)
class _Job:
    source: Source
    path: Path
    settings: PrepareSettings
    fingerprint: Fingerprint

    @property
    def statistics_split(self) -> str:
        """The split that mean and covariance are computed from: `train`, or the first one without."""
        return TRAIN if TRAIN in self.source.splits else next(iter(self.source.splits))


def prepare(
    source: Source,
    path: Path,
    settings: PrepareSettings = PrepareSettings(),  # noqa: B008 - frozen
    workers: int | None = None,
    strict: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> Store:
    """The finished store at `path`; if it was finished before, only its hashes are checked.

    `workers` processes (default: one per core); `progress(count)` is called as images are finished.
    Unreadable photos are skipped and listed in the manifest; with `strict` they are a DataError instead.
    CommandError if `path` holds something else or is inside the source; WorkError if the disk is full.
    Finished shards are kept: the same call continues.
    """
    if path.resolve().is_relative_to(source.path.resolve()):
        raise CommandError(f"{path} is inside the source, which is never changed: choose another STORE")
    job = _Job(source, path, settings, _fingerprint(source, settings))
    finished = (path / MANIFEST_FILE).exists()
    try:
        if finished:
            _check_finished(job)
        else:
            _make(job, workers or cpu_count(), strict, progress)
        _clear(path)
    except (OSError, CannotWrite) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        reason = "the disk is full" if full else error
        raise WorkError(
            f"{path}: {reason}; finished shards are kept, run the same command again to continue"
        ) from error
    store = Store.open(path, verify=finished)
    if strict:
        _refuse_unreadable(store.manifest)
    return store


def _fingerprint(source: Source, settings: PrepareSettings) -> Fingerprint:
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
        "photos": digest.hexdigest(),
    }


def _options(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def _check_finished(job: _Job) -> None:
    """CommandError if the store at the path was made from something else."""
    manifest = read_manifest(job.path)
    apart = {
        "source": manifest.source.form,
        "options": _options(manifest.source.options),
        "photos": manifest.source.sha256,
    }
    found = {name: getattr(manifest, name) for name in job.fingerprint if name not in apart} | apart
    _check_fingerprint(job, found)


def _check_fingerprint(job: _Job, found: Fingerprint) -> None:
    found = {"channels": 3, "options": "{}", **found}  # older versions did not write these
    differ = [
        "other photos" if name == "photos" else f"{name} {found.get(name)} (now {wanted})"
        for name, wanted in job.fingerprint.items()
        if found.get(name) != wanted
    ]
    if differ:
        raise CommandError(
            f"{job.path} was prepared with {', '.join(differ)}: use the same settings, or choose another "
            "STORE"
        )


def _make(job: _Job, workers: int, strict: bool, progress: Callable[[int], None]) -> None:
    _refuse_without_decoder(job.source)
    tasks = _tasks(job)
    _claim(job)
    with exclusive_lock(job.path):
        for part in job.path.glob("*.part"):
            part.unlink()
        missing = [task for task in tasks if not task.note_path.exists()]
        images, missing_images = (sum(task.stop - task.start for task in some) for some in (tasks, missing))
        progress(images - missing_images)
        _check_space(job.path, job.settings, missing_images)
        try:
            make_shards(job.source, missing, workers, progress)
        except DataError:
            # Other settings may be used here as long as no shard is finished.
            if not any(job.path.glob("*.note.json")):
                _clear(job.path)
            raise
        _finish(job, {task: read_note(task.note_path) for task in tasks}, strict)


def _refuse_without_decoder(source: Source) -> None:
    """DataError, with their number, if there are HEIC photos and no library to read them.

    A whole class may be such photos, and training without them is not what anyone means.
    """
    if heic_is_readable():
        return
    found = [
        (split, index)
        for split in source.splits.values()
        for index in range(len(split))
        if split.key(index).lower().endswith(HEIC_SUFFIXES)
    ]
    for split, index in found:
        try:
            image_size(split[index].image)
        except NoDecoder as error:
            first = split.key(index)
            raise DataError(f"{len(found):,} HEIC photos such as {first}: {INSTALL_HEIC}") from error
        except DataError:
            continue


def _tasks(job: _Job) -> list[ShardTask]:
    tasks: list[ShardTask] = []
    for name, split in job.source.splits.items():
        for number, start in enumerate(range(0, len(split), RECORDS_PER_SHARD)):
            stop = min(start + RECORDS_PER_SHARD, len(split))
            tasks.append(ShardTask(job.path, name, number, start, stop, job.settings))
    return tasks


def _claim(job: _Job) -> None:
    """Makes the folder, or continues one with the same fingerprint; CommandError if it is something else."""
    path = job.path
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} is a file: choose another STORE")
    if (path / FINGERPRINT_FILE).exists():
        _check_fingerprint(job, json.loads((path / FINGERPRINT_FILE).read_text()))
    elif path.exists() and not all(map(is_left_over, path.iterdir())):
        raise CommandError(f"{path} is not empty and not a store: choose another STORE")
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / FINGERPRINT_FILE, job.fingerprint)


def _clear(path: Path) -> None:
    """Removes the files that only unfinished work needs."""
    for pattern in _TEMPORARY:
        for temporary in path.glob(pattern):
            temporary.unlink(missing_ok=True)


def _check_space(path: Path, settings: PrepareSettings, images: int) -> None:
    """WorkError if the disk has less space than the missing images will take."""
    area = settings.side**2 * (1.4 if settings.shape == "whole" else 1)
    needed = int(images * area * settings.channels * _BYTES_PER_VALUE[settings.encoding])
    free = shutil.disk_usage(path).free
    if needed > free:
        raise WorkError(
            f"{path} needs about {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB free: "
            "free some space, or use a smaller --side or --encoding jpeg"
        )


def _finish(job: _Job, notes: Mapping[ShardTask, ShardNote], strict: bool) -> None:
    """Writes the mean image and the manifest.

    DataError for a class without readable photos and, if `strict`, for unreadable photos.
    """
    statistics = PixelStatistics.empty(job.settings.side, job.settings.channels)
    for task in notes:
        if task.split == job.statistics_split:
            statistics.merge(PixelStatistics.load(task.statistics_path))
    if not np.any(statistics.covariance):
        raise DataError(
            "all training photos are alike, of one color: nothing can be learned from them, look at them"
        )
    manifest = _manifest(job, notes, statistics)
    if strict:
        _refuse_unreadable(manifest)
    _check_classes(job, notes)
    mean_image = io.BytesIO()
    np.save(mean_image, statistics.mean_image)
    write_whole(job.path / MEAN_IMAGE, mean_image.getvalue())
    digest = hashlib.sha256(mean_image.getvalue()).hexdigest()
    write_manifest(job.path, dataclasses.replace(manifest, mean_image_sha256=digest))


def _refuse_unreadable(manifest: Manifest) -> None:
    """DataError that lists all unreadable photos, if there are any."""
    listed = ", ".join(f"{each.split}/{each.key} ({each.reason})" for each in manifest.unreadable)
    if listed:
        found = f"{len(manifest.unreadable)} unreadable photos: {listed}"
        raise DataError(f"{found}; without --strict they are skipped")


def _check_classes(job: _Job, notes: Mapping[ShardTask, ShardNote]) -> None:
    classes = job.source.classes
    counts = np.zeros(len(classes), np.int64)
    for task, note in notes.items():
        if task.split == job.statistics_split:
            counts += np.bincount(note.labels, minlength=len(counts))
            counts[note.box_labels] += 1  # a small object need not be the label of any photo
    empty = [classes[label].wnid for label in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(f"no readable training photo of {', '.join(empty)}: add some, or remove the class")


def _manifest(job: _Job, notes: Mapping[ShardTask, ShardNote], statistics: PixelStatistics) -> Manifest:
    source, settings = job.source, job.settings
    eigenvalues, eigenvectors = statistics.axes()
    return Manifest(
        version=VERSION,
        **settings.to_dict(),
        resampling=FILTER,
        source=SourceEntry(
            form=source.form,
            photos={name: len(split) for name, split in source.splits.items()},
            sha256=str(job.fingerprint["photos"]),
            class_filter=source.class_filter,
            unfiltered_classes=source.unfiltered_classes,
            val_fraction=source.val_fraction,
            options=source.options,
        ),
        splits={name: _split_entry(name, notes) for name in source.splits},
        classes=tuple(source.classes),
        statistics_split=job.statistics_split,
        channel_mean=_floats(statistics.channel_mean),
        mean_image=MEAN_IMAGE,
        color_covariance=tuple(map(_floats, statistics.covariance)),
        color_eigenvalues=_floats(eigenvalues),
        color_eigenvectors=tuple(map(_floats, eigenvectors)),
        odd=_odd(notes),
        unreadable=tuple(
            UnreadableFile(task.split, key, reason)
            for task, note in notes.items()
            for key, reason in note.unreadable.items()
        ),
        picture=max(note.longest_side for note in notes.values()) if settings.resize == "pad" else 0,
    )


def _split_entry(name: str, notes: Mapping[ShardTask, ShardNote]) -> SplitEntry:
    shards = [
        ShardEntry(task.file, len(note.labels), note.bytes, note.sha256)
        for task, note in notes.items()
        if task.split == name
    ]
    return SplitEntry(sum(shard.count for shard in shards), tuple(shards))


def _odd(notes: Mapping[ShardTask, ShardNote]) -> dict[str, OddFiles]:
    by_kind: dict[str, list[str]] = {}
    for task, note in notes.items():
        for key, kinds in note.odd.items():
            for kind in kinds:
                by_kind.setdefault(kind, []).append(f"{task.split}/{key}")
    return {kind: OddFiles(len(keys), tuple(keys[:MAX_ODD_NAMED])) for kind, keys in by_kind.items()}


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(float, values))

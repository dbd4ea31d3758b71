"""From a source to a store: every photo decoded, resized and stored once, with the statistics training needs.

While it works, the store's folder holds `preparing.json`, the fingerprint of what it is to become. In its
folder `notes` each finished shard has a note and its statistics. They are what an interrupted `prepare`
continues from, and what a later one compares with the source: shards of changed photos are made again.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import shutil
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from alexnet.checksum import Damaged, write_json_with_checksum
from alexnet.data import store_notes
from alexnet.data.decode import HEIC_SUFFIXES, INSTALL_HEIC, NoDecoder, heic_is_readable, image_size
from alexnet.data.duplicates import drop_duplicates as without_duplicates
from alexnet.data.findings import findings_of
from alexnet.data.manifest import (
    FINGERPRINT_FILE,
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
from alexnet.data.prepare_shard import ShardTask
from alexnet.data.prepare_update import (
    CLASSES_HASH,
    PHOTOS_HASH,
    Job,
    SourceChanges,
    check_fingerprint,
    find_changes,
    fingerprint_of_store,
    make_fingerprint,
)
from alexnet.data.prepare_workers import make_all
from alexnet.data.remote import local_source
from alexnet.data.resize import FILTER
from alexnet.data.sources import Source, SourceOptions, filter_classes, hold_out, open_source
from alexnet.data.statistics import PixelStatistics
from alexnet.data.store import RECORDS_PER_SHARD, Store, mean_image_damage
from alexnet.data.store_notes import Notes, ShardNote
from alexnet.errors import AlreadyExists, Busy, CommandError, DataError, WorkError
from alexnet.hardware import cpu_count
from alexnet.io import (
    CannotWrite,
    exclusive_lock,
    file_sha256,
    is_left_over,
    remove_left_over,
    unfinished_path,
    write_whole,
    writing,
)
from alexnet.text import sized

MEAN_IMAGE = "mean_image.npy"
PARTS_FOLDER = "parts"
"""In the folder of an unfinished store: where `prepare_parts` makes shards."""
MAX_ODD_NAMED = 20
"""Unusual photos of each kind that the manifest names; others are counted."""
_TEMPORARY = (
    FINGERPRINT_FILE,
    "*.part",
    f"{store_notes.FOLDER}/.*.part",
    *("*.note.json", "*.statistics.npz"),  # of earlier versions
)
_BYTES_PER_VALUE = {"jpeg": 0.27, "raw": 1.0}
"""For the estimate of disk space; quality 95 without subsampling takes about 0.2 at side 256."""


@runtime_checkable
class SavesToDisk(Protocol):
    """A `datasets.Dataset`, or a `datasets.DatasetDict` of splits."""

    def save_to_disk(self, dataset_path: str) -> None:
        """Writes Arrow files, with the bytes of photos that are in other files."""
        ...


def prepare_source(
    source: str | Path | Source | SavesToDisk,
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
    it is never changed. It can be an address such as `s3://bucket/photos` (see `data.remote.local_source`),
    or a `datasets.Dataset` or `DatasetDict`, of which a copy is on the disk of the store meanwhile. `side` is
    the length in pixels of the (shorter) side. Settings that are None are the source's own: 256 pixels,
    color, cropped, JPEG; of digits 32, gray, padded, raw. Where photos come without a validation split,
    `val_fraction` of each class is held out; `group_by`, a regular expression over keys, names photos that
    stay in one split (see `hold_out`). `drop_duplicates` keeps one of each set of photos with the same
    pixels, which decodes all of them twice. `classes` keeps the first N classes ("10"), or those named
    by WNID or name ("n01440764,crane"). `exif` turns photos upright. `options` choose how the source is read,
    where several ways fit. With `strict` an unreadable photo is an error. `workers` are processes, by default
    one per core; `progress` is called with numbers of photos, `log` with a line about what was made again of
    a finished store.

    CommandError for settings that do not exist or another store at `store`; DataError if nothing is
    recognized or photos are unreadable; WorkError if the disk is full.
    """
    with _opened(source, Path(store), options, log) as photos:
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


@contextmanager
def _opened(
    source: str | Path | Source | SavesToDisk, store: Path, options: SourceOptions, log: Callable[[str], None]
) -> Generator[Source]:
    """The source, with all its photos in `train` if they come without a validation split."""
    if isinstance(source, Source):
        yield source
    elif isinstance(source, SavesToDisk):
        copy = unfinished_path(store)
        with writing(store):
            remove_left_over(store)
        try:
            source.save_to_disk(str(copy))
            yield open_source(copy, 0, options)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    elif isinstance(source, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]
        yield open_source(local_source(source, log=log), 0, options)
    else:
        raise CommandError(
            f"{type(source).__name__} is not a source: pass a path, a URL, or a datasets.Dataset that is "
            "not streamed"
        )


def prepare(
    source: Source,
    path: Path,
    settings: PrepareSettings = PrepareSettings(),  # noqa: B008 - frozen
    workers: int | None = None,
    strict: bool = False,
    progress: Callable[[int], None] = lambda count: None,
    log: Callable[[str], None] = lambda line: None,
) -> Store:
    """The finished store at `path`; if it was finished before, its hashes are checked.

    If photos or boxes have changed since, were added or removed, the shards concerned are made again; the
    store is then equal to a new one. `workers` processes (default: one per core); `progress(count)` is called
    as images are finished, `log(line)` with what was made again. Unreadable photos are skipped and listed in
    the manifest; with `strict` they are a DataError instead. CommandError if `path` holds something else or
    is inside the source; WorkError if the disk is full. Finished shards are kept: the same call continues.
    """
    job = job_of(source, path, settings)
    finished = (path / MANIFEST_FILE).exists()
    with disk_errors(path):
        begun = finished or (path / FINGERPRINT_FILE).exists()
        notes = store_notes.read_all(path) if begun else {}
        if finished and not notes:
            check_fingerprint(job, fingerprint_of_store(job), of_earlier_version=True)
        else:
            finished = _bring_up_to_date(job, notes, workers or cpu_count(), strict, progress, log)
        _clear(path)
    store = Store.open(path, verify=finished)
    if strict:
        _refuse_unreadable(store.manifest)
    return store


def job_of(source: Source, path: Path, settings: PrepareSettings) -> Job:
    """The store to be made; CommandError if its folder is inside the source."""
    if path.resolve().is_relative_to(source.path.resolve()):
        raise CommandError(f"{path} is inside the source, which is never changed: choose another STORE")
    return Job(source, path, settings, make_fingerprint(source, settings))


@contextmanager
def disk_errors(path: Path) -> Generator[None]:
    """Turns an OSError into a WorkError about the store at `path`."""
    try:
        yield
    except (CommandError, DataError):
        raise
    except (OSError, CannotWrite) as error:
        reason = str(error)
        if isinstance(error, OSError):
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or reason
        raise WorkError(
            f"{path}: {reason}; finished shards are kept, run the same command again to continue"
        ) from error


def _bring_up_to_date(
    job: Job,
    notes: Notes,
    workers: int,
    strict: bool,
    progress: Callable[[int], None],
    log: Callable[[str], None],
) -> bool:
    """Makes what is missing or no longer right; whether there was nothing to do."""
    path, tasks = job.path, shard_tasks(job.source, job.path, job.settings)
    finished = (path / MANIFEST_FILE).exists()
    fingerprint = fingerprint_of_store(job)
    if notes:
        check_fingerprint(job, fingerprint)
    # With other classes, boxes of unchanged files have other labels.
    same_classes = fingerprint.get(CLASSES_HASH) == job.fingerprint[CLASSES_HASH]
    found = find_changes(job.source, tasks, notes, by_stamp=same_classes)
    before = sum(len(note.photos) for note in notes.values())
    same = found.unchanged + len(found.relabeled) + len(found.moved)
    if 2 * same < before:
        delete = "" if finished else ", or delete this unfinished one"
        raise CommandError(
            f"{path} was prepared with other photos: of its {before:,}, only {same:,} are still in "
            f"{job.source.path}; choose another STORE{delete}"
        )
    if finished and _is_complete(job, tasks, notes, found):
        _note_places(job, found)
        return True
    refuse_without_decoder(job.source)
    make_folder(path)
    with exclusive_lock(path):
        if fingerprint_of_store(job) != fingerprint:
            raise Busy(f"{path} was begun by another process meanwhile: run the same command again")
        write_json_with_checksum(path / FINGERPRINT_FILE, job.fingerprint)
        if finished or found.changed or found.relabeled or found.moved or found.removed:
            log(_described(path, tasks, found))
        _remove_outdated(job, notes, found)
        missing = [task for task in tasks if task not in found.current]
        images, missing_images = (sum(task.stop - task.start for task in some) for some in (tasks, missing))
        try:
            progress(images - missing_images)
            check_space(path, job.settings, missing_images)
            make_all(job.source, missing, workers, progress)
        except BaseException as error:  # also a signal: unfinished shards would take up space
            _remove_parts(path)
            if isinstance(error, DataError | WorkError):
                _remove_unused(path)
            raise
        done = {task: store_notes.read_note(task.note_path) for task in tasks}
        try:
            _finish(job, done, strict)
        except _AllAlike:
            _remove_outdated(job, {task.file: note for task, note in done.items()}, SourceChanges())
            _remove_unused(path)
            raise
    return False


def _note_places(job: Job, found: SourceChanges) -> None:
    """Records new times and places of the files that a finished store was made from, if it can be written."""
    manifest, place = read_manifest(job.path), str(job.source.path.resolve())
    with suppress(CannotWrite):
        for task in found.touched:
            store_notes.write_note(task.note_path, found.current[task])
        if manifest.source.path != place:
            source = dataclasses.replace(manifest.source, path=place)
            write_manifest(job.path, dataclasses.replace(manifest, source=source))


class _AllAlike(DataError):  # noqa: N818 - what was found
    """All training photos have the same color; such a store is of no use."""


def _remove_unused(path: Path) -> None:
    """Removes the directory if no shard in it is finished, so that it is not in the way of other photos."""
    if not _has_notes(path):
        _clear(path)
        for folder in (path / store_notes.FOLDER, path):
            with suppress(OSError):  # it holds something else, or was never made
                folder.rmdir()


def _is_complete(job: Job, tasks: list[ShardTask], notes: Notes, found: SourceChanges) -> bool:
    """Whether a new store would have the same shards and manifest."""
    manifest = read_manifest(job.path)
    same_photos = manifest.source.sha256 == job.fingerprint[PHOTOS_HASH]
    same_classes = manifest.classes == tuple(job.source.classes)  # with their names
    if mean_image_damage(job.path, manifest):
        return False
    return len(found.current) == len(tasks) == len(notes) and same_photos and same_classes


def _described(path: Path, tasks: list[ShardTask], found: SourceChanges) -> str:
    changes = (
        found.describe() or "the photos have not changed, but the list of classes or files of the store have"
    )
    again = len(tasks) - len(found.current)
    return f"updating {path}: {changes}; rewriting {again:,} of {len(tasks):,} shards"


def _remove_outdated(job: Job, notes: Notes, found: SourceChanges) -> None:
    """Removes the manifest, and shards and notes that are no longer right."""
    path = job.path
    _remove_parts(path)
    (path / MANIFEST_FILE).unlink(missing_ok=True)
    right = {task.file for task in found.current}
    for file in notes.keys() - right:
        note = (path / store_notes.FOLDER / file).with_suffix(".json")
        for outdated in (note, note.with_suffix(".npz"), path / file):
            outdated.unlink(missing_ok=True)
    for task in found.touched:
        store_notes.write_note(task.note_path, found.current[task])


def _remove_parts(path: Path) -> None:
    """Removes unfinished files; the lock of the store is held, and its workers have ended."""
    for part in (*path.glob("*.part"), *path.glob(f"{store_notes.FOLDER}/.*.part")):
        part.unlink()


def refuse_without_decoder(source: Source) -> None:
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


def shard_tasks(source: Source, path: Path, settings: PrepareSettings) -> list[ShardTask]:
    """All shards of the store, in order."""
    tasks: list[ShardTask] = []
    for name, split in source.splits.items():
        for number, start in enumerate(range(0, len(split), RECORDS_PER_SHARD)):
            stop = min(start + RECORDS_PER_SHARD, len(split))
            tasks.append(ShardTask(path, name, number, start, stop, settings))
    return tasks


def make_folder(path: Path) -> None:
    """Makes the folder of a store that is begun or continued; CommandError if it is something else."""
    if path.exists() and not path.is_dir():
        raise AlreadyExists(f"{path} is a file: choose another STORE")
    if path.exists() and not _is_begun(path):
        others = not all(map(_is_ours, path.iterdir()))
        if others and not _is_begun(path):  # another process may have begun it meanwhile
            raise AlreadyExists(f"{path} is not empty and not a store: choose another STORE")
    path.mkdir(parents=True, exist_ok=True)


def _is_begun(path: Path) -> bool:
    return (path / FINGERPRINT_FILE).exists() or (path / MANIFEST_FILE).exists()


def _has_notes(path: Path) -> bool:
    """Whether any shard is finished."""
    return any((path / store_notes.FOLDER).glob("*.json"))


def _is_ours(path: Path) -> bool:
    """Whether it is a temporary file of a killed `prepare`, a folder of notes with no others, or one of
    parts.
    """
    notes = path.name == store_notes.FOLDER and path.is_dir()
    parts = path.name == PARTS_FOLDER and path.is_dir()
    return is_left_over(path) or parts or (notes and all(map(is_left_over, path.iterdir())))


def _clear(path: Path) -> None:
    """Removes the files that only unfinished work needs."""
    for pattern in _TEMPORARY:
        for temporary in path.glob(pattern):
            temporary.unlink(missing_ok=True)
    shutil.rmtree(path / PARTS_FOLDER, ignore_errors=True)


def check_space(path: Path, settings: PrepareSettings, images: int) -> None:
    """WorkError if the disk has less space than the missing images will take."""
    area = settings.side**2 * (1.4 if settings.shape == "whole" else 1)
    needed = int(images * area * settings.channels * _BYTES_PER_VALUE[settings.encoding])
    free = shutil.disk_usage(path).free
    if needed > free:
        raise WorkError(
            f"{path} needs about {sized(needed)} and its disk has {sized(free)} free: "
            "free some space, or use a smaller --side or --encoding jpeg"
        )


def _finish(job: Job, notes: Mapping[ShardTask, ShardNote], strict: bool) -> None:
    """Writes the mean image and the manifest.

    DataError for a class without readable photos and, if `strict`, for unreadable photos.
    """
    statistics = PixelStatistics.empty(job.settings.side, job.settings.channels)
    for task in notes:
        if task.split == job.statistics_split:
            statistics.merge(_statistics_of(task, notes[task]))
    if not np.any(statistics.covariance):
        raise _AllAlike(
            "every training photo is of the same single color: nothing can be learned from them; check "
            "the photos"
        )
    manifest = _manifest(job, notes, statistics)
    if strict:
        _refuse_unreadable(manifest)
    _check_classes(job, notes)
    _refuse_empty(job, notes)
    mean_image = io.BytesIO()
    np.save(mean_image, statistics.mean_image)
    write_whole(job.path / MEAN_IMAGE, mean_image.getvalue())
    digest = hashlib.sha256(mean_image.getvalue()).hexdigest()
    if job.source.dropped is not None:
        store_notes.write_dropped(job.path, job.source.dropped)
    write_manifest(job.path, dataclasses.replace(manifest, mean_image_sha256=digest))


def _statistics_of(task: ShardTask, note: ShardNote) -> PixelStatistics:
    """The sums of a finished shard's pixels; Damaged if they are not those that were written."""
    path = task.statistics_path
    if note.statistics_sha256 and (not path.is_file() or file_sha256(path) != note.statistics_sha256):
        raise Damaged(f"{path} is damaged", f"delete {task.note_path} and prepare again")
    return PixelStatistics.load(path)


def _refuse_empty(job: Job, notes: Mapping[ShardTask, ShardNote]) -> None:
    """DataError for a split of which no photo could be read."""
    for name, split in job.source.splits.items():
        found = [note for task, note in notes.items() if task.split == name]
        if len(split) and not any(note.labels for note in found):
            key, reason = next((item for note in found for item in note.unreadable.items()), ("", ""))
            why = f" ({key}: {reason})" if key else ""
            raise DataError(
                f"none of the {len(split):,} photos of {name} can be read{why}: repair or remove them, or "
                "choose another --val-fraction"
            )


def _refuse_unreadable(manifest: Manifest) -> None:
    """DataError that lists all unreadable photos, if there are any."""
    listed = ", ".join(f"{each.split}/{each.key} ({each.reason})" for each in manifest.unreadable)
    if listed:
        found = f"{len(manifest.unreadable)} unreadable photos: {listed}"
        raise DataError(f"{found}; without --strict they are skipped")


def _check_classes(job: Job, notes: Mapping[ShardTask, ShardNote]) -> None:
    classes = job.source.classes
    counts = np.zeros(len(classes), np.int64)
    for task, note in notes.items():
        if task.split == job.statistics_split:
            counts += np.bincount(note.labels, minlength=len(counts))
            counts[note.box_labels] += 1  # a small object need not be the label of any photo
    empty = [classes[label].wnid for label in np.flatnonzero(counts == 0)]
    if empty:
        dropped = "after duplicates were dropped, " if job.source.dropped else ""
        raise DataError(
            f"{dropped}no readable training photo is left of {', '.join(empty)}: add some, or remove the "
            "class"
        )


def _manifest(job: Job, notes: Mapping[ShardTask, ShardNote], statistics: PixelStatistics) -> Manifest:
    source, settings = job.source, job.settings
    eigenvalues, eigenvectors = statistics.axes()
    return Manifest(
        version=VERSION,
        **settings.to_dict(),
        resampling=FILTER,
        source=SourceEntry(
            form=source.form,
            path=str(source.path.resolve()),
            photos={name: len(split) for name, split in source.splits.items()},
            sha256=str(job.fingerprint[PHOTOS_HASH]),
            class_filter=source.class_filter,
            unfiltered_classes=source.unfiltered_classes,
            val_fraction=source.val_fraction,
            options=source.options,
            group_by=source.group_by,
            drop_duplicates=source.dropped is not None,
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
        findings=findings_of(
            ((task.split, photo) for task, note in notes.items() for photo in note.photos),
            source.classes,
            job.statistics_split,
            source.dropped,
        ).shortened(),
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

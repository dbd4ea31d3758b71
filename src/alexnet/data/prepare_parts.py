"""One store that is prepared by several machines on a shared disk, each of which makes a part of the shards.

A process makes shards in a folder of its own and moves the finished ones into the store, the note last. So
processes need nothing of each other: a shard that is made twice is the same both times. Whichever process
finds the notes of all shards finishes the store, as `prepare` does after an interruption.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from alexnet.checksum import write_json_with_checksum
from alexnet.data import store_notes
from alexnet.data.manifest import FINGERPRINT_FILE, MANIFEST_FILE, PrepareSettings
from alexnet.data.prepare import (
    PARTS_FOLDER,
    check_space,
    disk_errors,
    job_of,
    make_folder,
    prepare,
    refuse_without_decoder,
    shard_tasks,
)
from alexnet.data.prepare_shard import ShardTask
from alexnet.data.prepare_update import Job, check_fingerprint, find_changes, fingerprint_of_store
from alexnet.data.prepare_workers import make_all
from alexnet.data.sources import Source, SourceSplit
from alexnet.data.store import Store
from alexnet.errors import CommandError, WorkError
from alexnet.hardware import cpu_count
from alexnet.io import exclusive_lock, host_name, is_running


@dataclass(frozen=True, order=True)
class Part:
    """Part `number`, from 1, of `count` parts: adjacent shards, as many as in the others or one more."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """From `2/5`; CommandError for anything else."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise CommandError(f"--part {text}: expected I/N, such as 1/5 for the first of five parts")
        return cls(int(found[1]), int(found[2]))

    def of(self, tasks: Sequence[ShardTask]) -> Sequence[ShardTask]:
        """The shards of this part; none if there are fewer shards than parts."""
        first, last = ((number * len(tasks)) // self.count for number in (self.number - 1, self.number))
        return tasks[first:last]

    def images(self, source: Source, settings: PrepareSettings) -> int:
        """The number of photos of this part."""
        return sum(task.stop - task.start for task in self.of(shard_tasks(source, Path(), settings)))


@dataclass(frozen=True)
class PartResult:
    """What is there after a part was made."""

    part: Part
    shards: int
    """Of this part."""
    all_shards: int
    """Of the store."""
    store: Store | None
    """The finished store; None as long as shards are missing."""
    missing: Mapping[Part, int] = field(default_factory=dict[Part, int])
    """The parts with missing shards, and the number of these."""


def prepare_part(
    source: Source,
    path: Path,
    part: Part,
    settings: PrepareSettings,
    workers: int | None = None,
    strict: bool = False,
    progress: Callable[[int], None] = lambda count: None,
    log: Callable[[str], None] = lambda line: None,
) -> PartResult:
    """Makes one part of the store at `path` and, if it is the last one to be finished, the store.

    The store is the same as that of `prepare`, byte for byte. Other parts may be made meanwhile, by other
    processes and machines that see the folder; a stopped part is continued. `progress` is called with numbers
    of photos of this part. A finished store is treated as `prepare` treats it, which has the other arguments
    and errors. CommandError if other parts were made with other settings or photos.
    """
    tasks = shard_tasks(source, path, settings)
    mine = part.of(tasks)

    def finish() -> Store:
        return prepare(source, path, settings, workers, strict, log=log)

    if (path / MANIFEST_FILE).exists():
        return PartResult(part, len(mine), len(tasks), finish())
    job = job_of(source, path, settings)
    with disk_errors(path):
        refuse_without_decoder(source)
        make_folder(path)
        try:
            with _own_folder(path, part) as folder:
                _agree(job, folder)
                _make(job, mine, folder, workers or cpu_count(), progress)
        except (OSError, WorkError):
            if not (path / MANIFEST_FILE).exists():  # else another process has finished the store meanwhile
                raise
        missing = _missing(path, tasks, part.count)
        store = None if missing else _joined(path, finish)
    return PartResult(part, len(mine), len(tasks), store, missing)


@dataclass(frozen=True)
class _MovedTask:
    """A shard that is made in another folder than that of its store, and moved when it is finished."""

    task: ShardTask
    folder: Path

    @property
    def split(self) -> str:
        """As for `SplitTask`."""
        return self.task.split

    def make(self, split: SourceSplit, count: Callable[[], None]) -> None:
        """Makes the shard and moves its files, the note last."""
        made = replace(self.task, folder=self.folder)
        made.make(split, count)
        self.task.note_path.parent.mkdir(exist_ok=True)
        (self.folder / made.file).replace(self.task.folder / self.task.file)
        made.statistics_path.replace(self.task.statistics_path)
        made.note_path.replace(self.task.note_path)


@contextmanager
def _own_folder(path: Path, part: Part) -> Generator[Path]:
    """A new folder for the shards that this process makes; it is locked, and removed at the end."""
    parts = path / PARTS_FOLDER
    parts.mkdir(exist_ok=True)
    _remove_abandoned(parts)
    prefix = f"{part.number}-of-{part.count}.{host_name()}.{os.getpid()}."
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parts))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # other processes have folders there
            parts.rmdir()


def _remove_abandoned(parts: Path) -> None:
    """Removes the folders of killed processes of this machine."""
    for folder in parts.iterdir():
        _, *of = folder.name.split(".")
        if of[:1] == [host_name()] and len(of) == 3 and of[1].isdigit() and not is_running(int(of[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _agree(job: Job, folder: Path) -> None:
    """Records what the store is to become, or compares it with what another part recorded."""
    recorded = job.path / FINGERPRINT_FILE
    if not recorded.exists():
        own = folder / FINGERPRINT_FILE
        write_json_with_checksum(own, job.fingerprint)
        try:
            os.link(own, recorded)  # fails if another process was faster
        except FileExistsError:
            pass
        except OSError:  # there are no links on this disk
            own.replace(recorded)
    check_fingerprint(job, fingerprint_of_store(job), same_photos=True)


def _make(
    job: Job, tasks: Sequence[ShardTask], folder: Path, workers: int, progress: Callable[[int], None]
) -> None:
    """Makes the shards that are missing or were made of other photos."""
    finished = _finished(job.path)
    notes = {task.file: store_notes.read_note(task.note_path) for task in tasks if task.file in finished}
    found = find_changes(job.source, tasks, notes)
    missing = [task for task in tasks if task not in found.current]
    for task in missing:
        task.note_path.unlink(missing_ok=True)
    images, missing_images = (sum(task.stop - task.start for task in some) for some in (tasks, missing))
    progress(images - missing_images)
    check_space(job.path, job.settings, missing_images)
    make_all(job.source, [_MovedTask(task, folder) for task in missing], workers, progress)


def _finished(path: Path) -> set[str]:
    """The files of the shards that have notes.

    The folder is listed: on a network disk, that a certain file is missing may be remembered for a while.
    """
    notes = path / store_notes.FOLDER
    names = [path.name for path in notes.iterdir()] if notes.is_dir() else []
    return {f"{name.removesuffix('.json')}.arrow" for name in names if name.endswith(".json")}


def _missing(path: Path, tasks: Sequence[ShardTask], count: int) -> dict[Part, int]:
    """The parts of which shards are missing, and the number of these."""
    finished = _finished(path)
    parts = (Part(number, count) for number in range(1, count + 1))
    found = {part: sum(task.file not in finished for task in part.of(tasks)) for part in parts}
    return {part: shards for part, shards in found.items() if shards}


def _joined(path: Path, finish: Callable[[], Store]) -> Store:
    """The finished store: of processes that find all shards at the same time, one finishes it.

    They lock the folder of notes, which no process removes.
    """
    notes = path / store_notes.FOLDER
    try:
        with exclusive_lock(notes, wait=True):
            if not (path / MANIFEST_FILE).exists():
                return finish()
            (path / FINGERPRINT_FILE).unlink(missing_ok=True)
            return Store.open(path)
    finally:
        with suppress(OSError):
            path.joinpath(f".{notes.name}.lock").unlink()

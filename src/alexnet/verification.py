"""`alexnet verify`: compares everything in a store, a run or an exported file with what was recorded of it.

So it does with model repositories. Folders that hold stores and runs, as those of `fit`, `ensemble` and
`claims`, are searched for them. Links to checkpoints are moved and what killed processes left is removed;
damaged files are only reported.
"""

from __future__ import annotations

import dataclasses
import glob
import shlex
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet.analysis.features import FeatureNote, graph_path, known_rows_digest
from alexnet.checksum import has_checksum, known_sha256, without_checksum
from alexnet.data import store_notes
from alexnet.data.manifest import FINGERPRINT_FILE, MANIFEST_FILE, Manifest, read_manifest
from alexnet.data.store import mean_image_damage
from alexnet.errors import AlexNetError, Busy, CommandError, DataError, NotFound
from alexnet.io import exclusive_lock, is_abandoned, remove_left_over
from alexnet.json_reader import read_json
from alexnet.models import bundle
from alexnet.runs import hugging_face
from alexnet.runs.checkpoints import STATE, checkpoint_folders, read_checkpoint
from alexnet.runs.metrics_log import all_have_checksums, read_metrics
from alexnet.runs.predictions import check_archive
from alexnet.runs.run_dir import RunDir
from alexnet.training import checkpoint

_OF_STORES = (MANIFEST_FILE, FINGERPRINT_FILE)
"""One of them is in every store, finished or not."""
CLASSIC_POSITION = "state.json"
"""In the folder of features: a classic pipeline is still being trained."""
_DEPTH = 3
"""Folders of folders that are searched for stores and runs."""


@dataclass(frozen=True)
class Problem:
    """A damaged or missing file."""

    file: str
    found: str
    repair: str
    """What to type or do."""


@dataclass
class Verification:
    """The result for one path."""

    path: str
    checked: int = 0
    """Files that were compared with a digest and are as they were written."""
    unchecked: list[str] = field(default_factory=list[str])
    """Files of earlier versions, of which no digest was recorded."""
    problems: list[Problem] = field(default_factory=list[Problem])
    repaired: list[str] = field(default_factory=list[str])
    """What was repaired or removed."""
    busy: bool = False
    """Whether another process works there; then nothing was repaired or removed."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def describe(self) -> list[str]:
        """The result as lines of text."""
        state = f"{len(self.problems)} damaged" if self.problems else "no damage found"
        lines = [f"{self.path}: {self.checked:,} files compared with their digests, {state}"]
        lines += [
            f"  damaged: {each.file}: {each.found}\n    repair: {each.repair}" for each in self.problems
        ]
        lines += [f"  {each}" for each in self.repaired]
        lines += [
            f"  not checked, since an earlier version recorded no digest: {each}" for each in self.unchecked
        ]
        return lines + (["  in use by another process: nothing was repaired or removed"] if self.busy else [])


def verify(path: Path) -> Verification:
    """Checks the store, run, exported file, or folder of these at `path`.

    CommandError if it is none of these, or does not exist.
    """
    found = Verification(str(path))
    if not path.exists():
        raise NotFound(f"there is no {path}: type the path of a store, run or exported file")
    if path.is_file():
        _verify_model_file(path, found)
        return found
    folders = _folders(path)
    stores = [each for each in folders if any((each / name).is_file() for name in _OF_STORES)]
    repositories = list(filter(_is_repository, folders))
    runs = [each for each in folders if (each / "config.json").is_file() or (each / "checkpoints").is_dir()]
    runs = [each for each in runs if each not in repositories]
    if not stores and not runs and not repositories:
        raise CommandError(f"{path} is not a store, run or exported file, nor a folder of these")
    for store in stores:
        _verify_store(store, found)
    for run in runs:
        _verify_run(RunDir(run), found)
    for repository in repositories:
        _verify_model_file(repository / hugging_face.WEIGHTS_FILE, found)
        with _noting(repository / hugging_face.CONFIG_FILE, "export the model again", found):
            hugging_face.weights_in(repository)
            found.checked += 1
    own = {*stores, *runs, *repositories}
    for folder in folders:
        for file in () if own & {folder, *folder.parents} else sorted(folder.glob("*.json")):
            _verify_json(file, f"restore it, or delete {folder} and make it again", found)
    return found


def _is_repository(folder: Path) -> bool:
    try:
        return hugging_face.is_model_repository(folder)
    except DataError:  # its `config.json` is checked as that of a run
        return False


def _folders(path: Path) -> list[Path]:
    """The folder and those in it, to a depth of `_DEPTH`; links are not followed."""
    found = [path]
    for folder in found:
        depth = len(folder.relative_to(path).parts)
        if depth < _DEPTH:
            found += sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
    return found


@contextmanager
def _noting(file: Path, repair: str, found: Verification) -> Generator[None]:
    """Notes an error of the package within the context as a problem of `file`."""
    try:
        yield
    except AlexNetError as error:
        found.problems.append(Problem(str(file), error.what, error.hint or repair))


# Exported files.


def _verify_model_file(path: Path, found: Verification) -> None:
    _remove_abandoned(path.parent.glob(f".{glob.escape(path.name)}.*.part"), found)
    with _noting(path, "copy or export it again", found):
        _count(path, bundle.verify(path), found)


# Stores.


def _verify_store(folder: Path, found: Verification) -> None:
    _repair(folder, found, lambda: None)
    again = "run the same `alexnet prepare` command again"
    if not (folder / MANIFEST_FILE).is_file():
        found.problems.append(Problem(str(folder), "it is not finished", again))
        return
    with _noting(folder / MANIFEST_FILE, f"delete {folder}, then {again}", found):
        manifest = read_manifest(folder)
        _count(folder / MANIFEST_FILE, _has_checksum(folder / MANIFEST_FILE), found)
        _verify_pixels(folder, manifest, found)
    for file in sorted((folder / store_notes.FOLDER).glob("*.json")):
        repair = f"delete {file}, then {again}"
        _verify_json(file, repair, found)
    for file in sorted((folder / store_notes.FOLDER).glob("*.npz")):
        note = file.with_suffix(".json")
        with _noting(file, f"delete {note}, then {again}", found):
            wanted = store_notes.read_note(note).statistics_sha256 if note.is_file() else ""
            _compare(file, known_sha256, wanted, f"delete {note}, then {again}", found)


def _verify_pixels(folder: Path, manifest: Manifest, found: Verification) -> None:
    again = "run the same `alexnet prepare` command again"
    damage, file = mean_image_damage(folder, manifest), folder / manifest.mean_image
    if damage:
        found.problems.append(Problem(str(file), damage, again))
    else:
        _count(file, bool(manifest.mean_image_sha256), found)
    for split in manifest.splits.values():
        for shard in split.shards:
            file = folder / shard.file
            _compare(file, known_sha256, shard.sha256, f"delete {file}, then {again}", found)


# Runs.


def _verify_run(run: RunDir, found: Verification) -> None:
    _repair(run.path, found, lambda: _move_links(run, found))
    resume = f"alexnet train {_recipe(run)} --store STORE --run {shlex.quote(str(run.path))} --resume"
    repairs = {
        "config.json": "restore it",
        "environment.json": "delete it, if nothing has to be known of how the run was made",
        "evaluation.json": "delete it and evaluate again",
        "calibration.json": "delete it and calibrate again",
    }
    for file in sorted({*run.path.glob("*.json"), run.config_file}):
        _verify_json(file, repairs.get(file.name, "restore it"), found)
    with _noting(run.metrics_file, resume, found):
        read_metrics(run.metrics_file)
        if run.metrics_file.is_file():
            _count(run.metrics_file, all_have_checksums(run.metrics_file), found)
    _verify_checkpoints(run, resume, found)
    for file in sorted(run.path.glob("predictions/*.npz")):
        with _noting(file, "delete it; it is made again when it is needed", found):
            check_archive(file)
            found.checked += 1
    for file in sorted(run.path.glob("features/*.json")):
        if file.name == CLASSIC_POSITION:
            _verify_classic(file, resume, found)
        else:
            _verify_features(file, found)


def _recipe(run: RunDir) -> str:
    try:
        return run.config().recipe
    except (AlexNetError, OSError):
        return "RECIPE"


def _verify_checkpoints(run: RunDir, resume: str, found: Verification) -> None:
    whole: list[Path] = []
    damaged: list[Problem] = []
    for path in checkpoint_folders(run.checkpoints):
        try:
            read = read_checkpoint(path)
        except AlexNetError as error:
            damaged.append(Problem(str(path / "meta.json"), error.what, ""))
            continue
        _count(path / "meta.json", _has_checksum(path / "meta.json"), found)
        names = read.damaged_files()
        damaged += [
            Problem(str(path / name), "it is missing, or its SHA-256 differs from that in meta.json", "")
            for name in names
        ]
        found.checked += len(read.meta.sha256) - len(names)
        if read.has_state and not names:
            whole.append(path)
    from_there = f"{resume} continues at {whole[0].name}" if whole else f"delete {run.path} and train again"
    unused = f"not needed to use the weights; to train further, start a new run with --init-from {run.path}"
    for each in damaged:
        only_state = not whole and each.file.endswith(STATE)
        found.problems.append(dataclasses.replace(each, repair=unused if only_state else from_there))


def _verify_classic(file: Path, resume: str, found: Verification) -> None:
    """The features of a classic pipeline in training."""
    from alexnet.training.classic_trainer import FeatureCache  # it loads scikit-learn

    with _noting(file, f"delete {file.parent}; {resume} starts again", found):
        FeatureCache.saved(file.parent)
        found.checked += 1


def _verify_features(file: Path, found: Verification) -> None:
    vectors = file.with_suffix(".npy")
    repair = "delete it; it is made again when it is needed"
    note = FeatureNote.read(file)
    if not vectors.is_file() or vectors.name.endswith(".part.npy"):
        return  # unfinished: checked when it is continued
    if note is None:
        found.problems.append(Problem(str(file), "it is damaged", repair))
        return
    with _noting(vectors, repair, found):
        _compare(vectors, known_rows_digest, note.sha256, repair, found)
    if graph_path(file).is_file():
        _compare(graph_path(file), known_sha256, note.graph_sha256, repair, found)


def _move_links(run: RunDir, found: Verification) -> None:
    links = [run.checkpoints / name for name in ("last", "best")]
    before = [link.readlink() if link.is_symlink() else None for link in links]
    checkpoint.tidy(run.checkpoints)
    for link, old in zip(links, before, strict=True):
        new = link.readlink() if link.is_symlink() else None
        if old != new:
            found.repaired.append(f"moved: {link} from {old or 'nothing'} to {new or 'nothing'}")


# All of them.


def _repair(folder: Path, found: Verification, repair: Callable[[], None]) -> None:
    """Removes what killed processes left in a folder and calls `repair`.

    Does neither if another process works there.
    """
    try:
        with exclusive_lock(folder):
            _remove_abandoned(folder.rglob(".*.part"), found)
            repair()
    except Busy:
        found.busy = True


def _remove_abandoned(paths: Iterable[Path], found: Verification) -> None:
    for path in sorted(paths):
        if is_abandoned(path):
            remove_left_over(path.with_name(path.name[1:].rsplit(".", 2)[0]))
            found.repaired.append(f"removed, left by a killed process: {path}")


def _verify_json(file: Path, repair: str, found: Verification) -> None:
    with _noting(file, repair, found):
        try:
            document = read_json(file)
        except (OSError, ValueError) as error:
            raise DataError(f"it cannot be read ({error})", repair) from error
        without_checksum(document, file, repair)
        _count(file, has_checksum(document), found)


def _has_checksum(file: Path) -> bool:
    return has_checksum(read_json(file))


def _count(file: Path, has_digest: bool, found: Verification) -> None:
    if has_digest:
        found.checked += 1
    else:
        found.unchecked.append(str(file))


def _compare(
    file: Path, digest: Callable[[Path], str], wanted: str, repair: str, found: Verification
) -> None:
    """Compares a file with its recorded digest; empty is none."""
    if not file.is_file():
        found.problems.append(Problem(str(file), "it is missing", repair))
    elif not wanted:
        found.unchecked.append(str(file))
    elif digest(file) != wanted:
        found.problems.append(Problem(str(file), "its SHA-256 differs from the recorded one", repair))
    else:
        found.checked += 1

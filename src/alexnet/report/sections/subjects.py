"""The subjects of a report: runs, exported files, ensembles and results, and their models with photos of a
store.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.image_reader import read_square
from alexnet.data.store import Split, Store, training_images
from alexnet.errors import AlexNetError, CommandError, DataError
from alexnet.evaluation.predictor import Predictor, load
from alexnet.models import bundle
from alexnet.runs import predictions
from alexnet.runs.environment import Environment
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.provenance import Provenance, provenance
from alexnet.runs.results import EvalResult, is_results, read_results
from alexnet.runs.run_dir import EnsembleDir, RunDir, find_weights, is_ensemble, is_fit, model_name
from alexnet.runs.snapshot import snapshot

SPLIT = "val"
"""The split whose photos are shown, unless all evaluations are of another one."""
DIGITS_SHOWN = 12
"""Number of digits of a store's digest in an error."""


class Drawn(NamedTuple):
    """A figure with a description."""

    figure: Figure
    alt_text: str


@dataclass(frozen=True, eq=False)
class OpenModel:
    """The model of a run directory or exported file, with a store of photos for it."""

    path: Path
    store: Store
    device: torch.device | str = "auto"
    split: str = SPLIT
    """The split whose photos are shown."""

    @cached_property
    def classifier(self) -> Predictor:
        """The model with its preprocessing; loaded when it is first used."""
        return load(self.path, self.device)

    @property
    def name(self) -> str:
        """The run's name in titles."""
        return self.path.name

    @property
    def run(self) -> RunDir:
        """The run directory, or the exported file."""
        return RunDir(self.path)

    @property
    def photos(self) -> Split:
        """The photos that are shown."""
        return self.store.split(self.split)

    @property
    def data(self) -> str:
        """The name of these photos in titles."""
        return f"{self.store.path.name} {self.split}"

    @property
    def training_images(self) -> int:
        """Number of images that the model was trained on."""
        return len(training_images(self.store, self.classifier.config.data))

    def some(self, count: int) -> list[int]:
        """Indices of `count` photos, evenly through the classes, without manual selection."""
        order = np.argsort(self.photos.labels, kind="stable")
        return order[np.linspace(0, len(order) - 1, count + 2)[1:-1].astype(int)].tolist()

    def squares(self, numbers: Sequence[int]) -> npt.NDArray[np.uint8]:
        """(N, side, side, C) of the photos with these indices."""
        store = self.store
        squares = np.empty((len(numbers), store.side, store.side, store.channels), np.uint8)
        for number, square in zip(numbers, squares, strict=True):
            read_square(self.photos, number, square)
        return squares

    def names(self, numbers: Sequence[int]) -> list[str]:
        """The true classes of the photos with these indices; empty for unlabeled photos."""
        labels: list[int] = self.photos.labels[list(numbers)].tolist()
        return [self.store.classes[label].name if label >= 0 else "" for label in labels]

    def best(self, probabilities: npt.NDArray[np.floating]) -> tuple[str, float]:
        """The most probable class of (K,) and its probability."""
        label = int(probabilities.argmax())
        return self.classifier.classes[label].name, float(probabilities[label])


@dataclass(frozen=True, eq=False)
class Subject:
    """A run directory, an exported file, the directory of an ensemble, or results of a model of another
    library, with its predictions, as `alexnet.evaluate_model` saves them.
    """

    path: Path
    """The path; for an unfinished run, that of a copy, which does not change."""
    original: Path
    """The path that the caller gave."""
    kind: Literal["run", "file", "ensemble", "results"]
    results: Sequence[EvalResult] = ()
    """Its evaluations."""
    members: Sequence[Path] = ()
    """For an ensemble, the existing run directories of its members."""
    environment: Environment = field(default_factory=Environment)

    @property
    def name(self) -> str:
        """Its name on the page."""
        return model_name(self.path)

    @property
    def run(self) -> RunDir:
        """The run directory, or the exported file."""
        return RunDir(self.path)

    @property
    def is_whole(self) -> bool:
        """Whether all models of an ensemble exist and their training is finished."""
        try:
            return bool(EnsembleDir(self.path).voting())
        except AlexNetError:
            return False

    @cached_property
    def weights(self) -> bundle.Metadata | None:
        """The metadata of the weights' file; None without weights."""
        if self.kind in ("ensemble", "results"):
            return None
        try:
            return bundle.load_metadata(find_weights(self.path))
        except CommandError:
            return None

    @cached_property
    def config(self) -> RunConfig | None:
        """The configuration of the run, or in the exported file; None for an ensemble and results."""
        if self.kind in ("ensemble", "results"):
            return None
        if self.kind == "file":
            return None if self.weights is None else self.weights.config
        return self.run.config()

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its `metrics.jsonl`; empty without one."""
        return read_metrics(self.run.metrics_file) if self.kind == "run" else []

    @cached_property
    def origin(self) -> Provenance | None:
        """The provenance of its weights; None without weights, or if it is unknown."""
        if not self.weights:
            return None
        return self.weights.provenance if self.kind == "file" else provenance(self.run)

    @cached_property
    def classes(self) -> list[Class]:
        """In label order, from its weights or else its evaluations; empty if unknown."""
        if self.weights:
            return self.weights.classes
        return [Class(each.wnid, each.name) for each in self.results[0].per_class] if self.results else []

    @property
    def store_name(self) -> str:
        """Name of the store it was trained on, of results that of the test; empty if unknown."""
        if self.kind == "results":
            return self.results[0].store
        return self.environment.store or (self.origin.store if self.origin else "")

    @property
    def store_digest(self) -> str:
        """Digest of the store it was trained on, or else evaluated on; empty if unknown."""
        trained = self.environment.store_digest or (self.origin.store_digest if self.origin else "")
        return trained or (self.results[0].store_digest if self.results else "")

    @property
    def command(self) -> list[str]:
        """The words of the `alexnet` command line that trained it; empty for other programs or if unknown."""
        words = shlex.split(self.environment.command)
        known = bool(words) and Path(words[0]).stem in ("alexnet", "__main__")
        return ["alexnet", *words[1:]] if known else []

    def found_store(self) -> Store | None:
        """The store it was trained on, if it still exists."""
        place = self.environment.store_path
        try:
            store = Store.open(Path(place)) if place else None
        except AlexNetError:
            return None
        return store if store is not None and store.digest == self.store_digest else None


def subjects_of(paths: Iterable[Path], copies: Path) -> list[Subject]:
    """The subjects at `paths`, each ensemble followed by its members; unfinished runs are copied to `copies`.

    A fit that chose one model is that model. CommandError if one occurs twice or is not a run, file,
    ensemble or results.
    """
    subjects: list[Subject] = []
    for path in paths:
        members = _members(path)
        alone = len(members) == 1 and is_fit(path)
        for each in members if alone else (path, *members):
            subjects.append(_subject(each, copies / str(len(subjects))))
    places = [subject.original.resolve() for subject in subjects]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice:
        raise CommandError(f"{twice.name} occurs twice: type each run once")
    return subjects


def _members(path: Path) -> list[Path]:
    """The existing run directories of an ensemble's members; none for anything else."""
    if not is_ensemble(path):
        return []
    named = [path / member.name for member in EnsembleDir(path).members() if not member.pretraining]
    return [member for member in named if (member / "config.json").is_file()]


def _subject(path: Path, copy: Path) -> Subject:
    if is_ensemble(path):
        return Subject(path, path, "ensemble", read_results(path), _members(path))
    if is_results(path):
        return Subject(path, path, "results", read_results(path))
    run = RunDir.open(path, or_file=True)
    if run.is_exported:
        bundle.load_metadata(run.path)  # raises an error that describes the file
        return Subject(run.path, run.path, "file")
    place = snapshot(path, copy)
    return Subject(place, path, "run", read_results(place), environment=RunDir(place).environment())


def refuse_different_data(subjects: Sequence[Subject]) -> None:
    """DataError, naming the difference, where two subjects were trained on different photos.

    The same photos stored at another size are the same data, if stores or predictions show this.
    """
    known = [each for each in subjects if each.kind != "ensemble"]
    for other in known[1:]:
        difference = _difference(known[0], other)
        if difference:
            raise DataError(
                f"{difference}: a report is about runs on the same data: write one report for each"
            )


def _difference(one: Subject, other: Subject) -> str:
    mine, theirs = ({each.wnid for each in subject.classes} for subject in (one, other))
    if mine and theirs and mine != theirs:
        only = min(mine ^ theirs)
        where = one.name if only in mine else other.name
        return (
            f"{one.name} has {len(mine):,} classes and {other.name} {len(theirs):,}, "
            f"the id {only} is in {where} only"
        )
    if not one.store_digest or not other.store_digest or one.store_digest == other.store_digest:
        return ""
    if _same_source(one, other) or _same_photos(one, other):
        return ""
    trained = [
        f"{each.name} on {each.store_name or 'a store'} (digest {each.store_digest[:DIGITS_SHOWN]})"
        for each in (one, other)
    ]
    return f"{trained[0]} and {trained[1]} were trained on different photos"


def _same_source(one: Subject, other: Subject) -> bool:
    stores = one.found_store(), other.found_store()
    sources = [store.manifest.source.sha256 for store in stores if store is not None]
    return len(sources) == 2 and sources[0] != "" and sources[0] == sources[1]


def _same_photos(one: Subject, other: Subject) -> bool:
    """Whether both have saved predictions for the same photos, by their keys and true classes."""
    return any(
        np.array_equal(mine, theirs) for mine in _predicted_photos(one) for theirs in _predicted_photos(other)
    )


def _predicted_photos(subject: Subject) -> list[npt.NDArray[np.str_]]:
    """(2, N) keys and WNIDs of each file of predictions."""
    found: list[npt.NDArray[np.str_]] = []
    left_out = predictions.left_out_path(subject.path)  # of training photos
    for file in sorted({*(subject.path / "predictions").glob("*.npz")} - {left_out}):
        try:
            made = predictions.load(file)
        except AlexNetError:
            continue
        found.append(np.stack([made.keys, made.classes[made.labels]]))
    return found

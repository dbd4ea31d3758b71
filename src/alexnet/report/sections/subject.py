"""What a report is about: runs, exported files and ensembles, as far as their folders tell."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.store import Store
from alexnet.errors import AlexNetError, CommandError, DataError
from alexnet.models import bundle
from alexnet.report.run_details import options
from alexnet.runs import predictions
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.provenance import provenance
from alexnet.runs.results import read_evaluations
from alexnet.runs.run_dir import EnsembleDir, RunDir, find_weights, is_ensemble
from alexnet.runs.snapshot import still

DIGITS_SHOWN = 12
"""Of a store's digest in an error."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One run folder, exported file, or ensemble's folder."""

    path: Path
    """Of a run that is not finished a copy, which stays as it is."""
    typed: Path
    """Where it really lies."""
    kind: Literal["run", "file", "ensemble"]
    entries: Sequence[dict[str, Any]] = ()
    """Its evaluations."""
    members: Sequence[Path] = ()
    """Of an ensemble: the run folders that are there."""
    environment: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """What it is called on the page."""
        return self.path.resolve().name

    @property
    def run(self) -> RunDir:
        """The folder, or the file in its place."""
        return RunDir(self.path)

    @property
    def is_whole(self) -> bool:
        """Whether the nets of an ensemble are all there and trained to the end."""
        try:
            return bool(EnsembleDir(self.path).voting())
        except AlexNetError:
            return False

    @cached_property
    def weights(self) -> bundle.Metadata | None:
        """What travels with the weights; None where there are none."""
        if self.kind == "ensemble":
            return None
        try:
            return bundle.load_metadata(find_weights(self.path))
        except CommandError:
            return None

    @cached_property
    def config(self) -> RunConfig | None:
        """Its configuration; an ensemble has none of its own."""
        if self.kind == "run":
            return self.run.config()
        return self.weights.config if self.weights else None

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its `metrics.jsonl`."""
        file = self.run.metrics_file
        return read_metrics(file) if self.kind == "run" and file.is_file() else []

    @cached_property
    def origin(self) -> dict[str, Any]:
        """What is known of where its weights come from; empty where there are none."""
        if not self.weights:
            return {}
        return self.weights.provenance if self.kind == "file" else provenance(self.run)

    @cached_property
    def classes(self) -> list[Class]:
        """In label order, from its weights or else its evaluations; empty where nothing tells."""
        if self.weights:
            return self.weights.classes
        told = self.entries[0].get("per_class", []) if self.entries else []
        return [Class(each["wnid"], each["name"]) for each in told]

    @property
    def store_name(self) -> str:
        """Of the store it was trained on; empty where that is not known."""
        return self.environment.get("store", "") or self.origin.get("store", "") or ""

    @property
    def store_digest(self) -> str:
        """Of the store it was trained on, or else tested; empty where neither is known."""
        trained = self.environment.get("store_digest", "") or self.origin.get("store_digest", "")
        return trained or (self.entries[0].get("store_digest", "") if self.entries else "")

    @property
    def command(self) -> list[str]:
        """The words of the command line that trained it, beginning with `alexnet`; empty if not known."""
        words = shlex.split(self.environment.get("command", ""))
        return ["alexnet", *words[1:]] if words else []

    def found_store(self) -> Store | None:
        """The store it was trained on, where its command said it lay, if it is still that store there."""
        typed = options(self.command).get("--store")
        try:
            store = Store.open(Path(typed)) if typed else None
        except AlexNetError:
            return None
        return store if store is not None and store.digest == self.store_digest else None


def subjects_of(paths: Iterable[Path], copies: Path) -> list[Subject]:
    """Each with an ensemble's members behind it; runs that are not finished are copied into `copies`.

    CommandError where one is named twice or is none.
    """
    subjects: list[Subject] = []
    for path in paths:
        for each in (path, *_members(path)):
            subjects.append(_subject(each, copies / str(len(subjects))))
    places = [subject.typed.resolve() for subject in subjects]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice:
        raise CommandError(f"{twice.name} is named twice: give each run once")
    return subjects


def _members(path: Path) -> list[Path]:
    """The run folders of an ensemble that are there; none of anything else."""
    if not is_ensemble(path):
        return []
    members = EnsembleDir(path).description()["members"]
    named = [path / member["name"] for member in members if not member["pretraining"]]
    return [member for member in named if (member / "config.json").is_file()]


def _subject(path: Path, copy: Path) -> Subject:
    if is_ensemble(path):
        return Subject(path, path, "ensemble", read_evaluations(path), _members(path))
    run = RunDir.open(path, or_file=True)
    if run.is_exported:
        bundle.load_metadata(path)  # or an error that says what the file is
        return Subject(path, path, "file")
    place = still(path, copy)
    return Subject(place, path, "run", read_evaluations(place), environment=RunDir(place).environment())


def refuse_different_data(subjects: Sequence[Subject]) -> None:
    """DataError, which names the difference, where two were trained on different photos.

    The same photos stored at another size are the same data, as far as stores or predictions show it.
    """
    known = [each for each in subjects if each.kind != "ensemble"]
    for other in known[1:]:
        difference = _difference(known[0], other)
        if difference:
            raise DataError(f"{difference}: a report is of runs on the same data, write one for each")


def _difference(one: Subject, other: Subject) -> str:
    mine, theirs = ({each.wnid for each in subject.classes} for subject in (one, other))
    if mine and theirs and mine != theirs:
        only = min(mine ^ theirs)
        where = one.name if only in mine else other.name
        return (
            f"{one.name} knows {len(mine):,} classes and {other.name} {len(theirs):,}, "
            f"the id {only} is in {where} only"
        )
    if not one.store_digest or not other.store_digest or one.store_digest == other.store_digest:
        return ""
    if _same_source(one, other) or _same_photos(one, other):
        return ""
    said = [
        f"{each.name} on {each.store_name or 'a store'} (digest {each.store_digest[:DIGITS_SHOWN]})"
        for each in (one, other)
    ]
    return f"{said[0]} and {said[1]} were trained on different photos"


def _same_source(one: Subject, other: Subject) -> bool:
    stores = one.found_store(), other.found_store()
    sources = [store.manifest.source.sha256 for store in stores if store is not None]
    return len(sources) == 2 and sources[0] != "" and sources[0] == sources[1]


def _same_photos(one: Subject, other: Subject) -> bool:
    """Whether both have saved what they say of the same photos, by their names and classes."""
    return any(np.array_equal(mine, yours) for mine in _asked(one) for yours in _asked(other))


def _asked(subject: Subject) -> list[Any]:
    found: list[Any] = []
    for file in sorted((subject.path / "predictions").glob("*.npz")):
        try:
            made = predictions.load(file)
        except AlexNetError:
            continue
        found.append(np.stack([made.keys, made.classes[made.labels]]))
    return found

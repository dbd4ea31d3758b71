"""A store in two: the first half of its classes to learn from, the second to be asked about."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from alexnet import old_names
from alexnet.config import RunConfig
from alexnet.data.image_reader import read_square
from alexnet.data.prepare import Settings, prepare
from alexnet.data.sources.base import Example, Labels, Source
from alexnet.data.store import Split, Store
from alexnet.errors import Busy, CommandError, DataError
from alexnet.experiments.claim_registry import COMMON
from alexnet.experiments.claims import Arm, ArmRun, Claim, Comparison
from alexnet.experiments.defaults import EPOCHS, common, config_of, fitting
from alexnet.experiments.measures import ErrorOf
from alexnet.io import exclusive_lock, write_json
from alexnet.runs.run_dir import RunDir
from alexnet.training.resume import differences
from alexnet.training.train_state import check

SPLITS = ("train", "val")
LEAST_CLASSES = 4
"""Two to learn from, two to be asked about."""


def halves(store: Store, folder: Path) -> tuple[Store, Store]:
    """Stores of the first and of the second half of a store's classes, made in `folder` or found there.

    They hold the very same pixels, raw. CommandError where there are fewer than four classes.
    """
    count = len(store.classes)
    if count < LEAST_CLASSES:
        raise CommandError(
            f"{store.path} has {count} classes, and features travel from some to others: it takes "
            f"{LEAST_CLASSES} at least, or a store of other classes, --other-store"
        )
    middle = count // 2
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder, wait=True):
        first = _prepared(store, range(middle), folder / "first-half")
        return first, _prepared(store, range(middle, count), folder / "second-half")


def _prepared(store: Store, labels: range, path: Path) -> Store:
    splits = {name: _Part(store.path, name, labels.start, labels.stop) for name in SPLITS}
    classes, header = store.classes[labels.start : labels.stop], store.header
    source = Source("classes of a store", store.path, classes, dict(splits))
    return prepare(source, path, Settings(header.side, encoding="raw", channels=header.channels))


@dataclass(frozen=True)
class _Part:
    """The photos of some labels in a row, as files that lose nothing."""

    store: Path
    name: str
    first: int
    end: int

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def labels(self) -> Labels:
        return (self._whole.labels[self._chosen] - self.first).astype(np.int32)

    def key(self, index: int) -> str:
        return self._whole.key(int(self._chosen[index]))

    def __getitem__(self, index: int) -> Example:
        side, channels = self._whole.header.side, self._whole.header.channels
        pixels = np.empty((side, side, channels), np.uint8)
        read_square(self._whole, int(self._chosen[index]), pixels)
        file = io.BytesIO()
        Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(file, "PNG")
        return Example(file.getvalue(), int(self.labels[index]), self.key(index))

    @property
    def _whole(self) -> Split:
        return _split(self.store, self.name)

    @property
    def _chosen(self) -> npt.NDArray[np.int64]:
        labels = self._whole.labels
        return np.flatnonzero((labels >= self.first) & (labels < self.end))


@functools.cache
def _split(store: Path, name: str) -> Split:
    """Opened once in each process."""
    return Store.open(store).split(name)


ABOUT, VERDICT, RUNS, STORES, LOCKS = "claims.json", "claim.json", "runs", "stores", "locks"


@dataclass(frozen=True, eq=False)
class ExperimentDir:
    """`path/runs/<arm>-seed-<n>` are its runs, `path/<id>/claim.json` its verdicts."""

    path: Path
    store: Store
    other: Store | None
    """Of other classes, to learn features from; None is half of the store's own."""
    settings: tuple[str, ...]
    """`key=value` for all arms."""
    device: torch.device
    stores: Path
    """Where halves of the store are made, if it takes some."""
    _configs: dict[Arm, RunConfig] = field(default_factory=dict[Arm, RunConfig])
    """Of the arms that were asked for."""

    @classmethod
    def open(
        cls, path: Path, store: Path, other: Path | None, settings: Sequence[str], device: torch.device
    ) -> ExperimentDir:
        """The folder, new or as it was left; nothing is written yet.

        CommandError where it was made with another store or other settings, DataError where it is damaged.
        """
        common(settings)  # or an error that names the setting, before it is compared with others
        opened, others = Store.open(store), None if other is None else Store.open(other)
        for name in SPLITS:
            opened.split(name)
        made = cls(path, opened, others, tuple(fitting(opened, settings)), device, path / STORES)
        made._refuse_other()
        return made

    def about(self) -> dict[str, Any]:
        """What all its runs have in common, ready for JSON."""
        return {
            "store": self.store.path.resolve().name,
            "store_digest": self.store.digest,
            "other_store": "" if self.other is None else self.other.path.resolve().name,
            "other_store_digest": "" if self.other is None else self.other.digest,
            "settings": [*self.settings],
        }

    def trying_out(self, scratch: Path) -> ExperimentDir:
        """The same, but nothing is written to its folder: halves of the store are made in `scratch`."""
        return replace(self, stores=self.stores if self.stores.is_dir() else scratch)

    def begin(self) -> None:
        """Makes the folder and writes down what it is for."""
        write_json(self.path / ABOUT, self.about())

    def trial(self, arm: Arm, seed: int) -> ArmRun:
        """The run of an arm with a seed, trained or not.

        CommandError where the arm does not fit the store, or its folder was trained otherwise.
        """
        store, config = self.store_of(arm), self._config(arm)
        config = replace(config, training=replace(config.training, seed=seed))
        run = RunDir(self.path / RUNS / f"{arm.name}-seed-{seed}")
        if run.config_file.is_file() and (changed := differences(run.config(), config)):
            raise CommandError(
                f"{run.path} was trained otherwise ({'; '.join(changed)}): move it away or give another --run"
            )
        target = self.halves[1] if arm.photos == "other" else None
        return ArmRun(arm, seed, run, config, store, target, self.device)

    @contextmanager
    def at_work_on(self, trial: ArmRun, wait: bool) -> Generator[bool]:
        """Whether the run is ours meanwhile: not where another process trains it, unless we wait for that."""
        lock = self.path / LOCKS / trial.name
        lock.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive_lock(lock, wait))
            except Busy:
                yield False
                return
            yield True

    def trials(self, claims: Sequence[Claim], seeds: Sequence[int] | None) -> list[ArmRun]:
        """All runs that claims need, each once; with `seeds` instead of the claims' own."""
        wanted = [(arm, seed) for claim in claims for arm in claim.arms for seed in seeds or claim.seeds]
        return [self.trial(arm, seed) for arm, seed in dict.fromkeys(wanted)]

    def fitting(self, claims: Sequence[Claim]) -> tuple[list[Claim], list[str]]:
        """The claims of which something can be tested on this store, and a line for each thing that cannot.

        Comparisons that cannot stay in their claim, `left_out`.
        """
        fit: list[Claim] = []
        why: list[str] = []
        for claim in claims:
            tried = [replace(each, left_out=self._why_not(each)) for each in claim.comparisons]
            out = [each for each in tried if each.left_out]
            if len(out) == len(tried):
                why.append(f"{claim.id} cannot be tested here: {out[0].left_out}")
                continue
            fit.append(replace(claim, comparisons=tuple(tried)))
            why.extend(f"{claim.id}: {each.words} cannot be tested here: {each.left_out}" for each in out)
        return fit, why

    def _why_not(self, comparison: Comparison) -> str:
        """Why a comparison cannot be made on this store; empty where it can."""
        try:
            first, second = (
                [self._config(arm) for arm in arms] for arms in (comparison.first, comparison.second)
            )
        except CommandError as error:
            return str(error)
        measures = [comparison.measure, comparison.other_measure]
        if ErrorOf("ten") in measures and not first[0].data.mirror:
            return "half of the ten crops are mirrored, and nets are trained with data.mirror=no"
        if comparison.other_measure is None and first == second:
            names = " and ".join(arm.name for arm in comparison.arms)
            return f"{names} are trained alike with these settings"
        return ""

    def store_of(self, arm: Arm) -> Store:
        """What the arm is trained on; halves of the store are made when they are first asked for."""
        return self.store if arm.photos == "all" else self.halves[0 if arm.photos == "other" else 1]

    @cached_property
    def halves(self) -> tuple[Store, Store]:
        """Other classes, and those that a net of them is asked about."""
        if self.other is not None:
            return self.other, self.store
        return halves(self.store, self.stores)

    def _config(self, arm: Arm) -> RunConfig:
        """An arm's configuration, worked out and tried on its store once."""
        if arm not in self._configs:
            store = self.store_of(arm)
            try:
                made = config_of(arm, self.settings, store, self.store)
                check(made, store)
            except CommandError as error:
                raise CommandError(self._said_of(arm, error)) from error
            self._configs[arm] = made
        return self._configs[arm]

    def _said_of(self, arm: Arm, error: CommandError) -> str:
        """Why an arm does not fit; with what to type only where the common net does not fit either.

        What an arm sets itself no setting changes.
        """
        try:
            check(config_of(COMMON, self.settings, self.store, self.store), self.store)
        except CommandError as of_common:
            if str(of_common) == str(error):
                return str(error)
        return f"{arm.name}: {str(error).partition(': type ')[0]}"

    def refuse_fewer_seeds(self, claims: Sequence[Claim], seeds: Sequence[int] | None) -> None:
        """CommandError where a claim was judged here by seeds not among these: their numbers would be lost.

        `seeds` are instead of the claims' own.
        """
        for claim in claims:
            before = (read_verdict(self.path, claim) or {}).get("seeds", [])
            if not {*before} <= {*(seeds or claim.seeds)}:
                known = ",".join(map(str, before))
                raise CommandError(
                    f"{claim.id} was judged in {self.path} by seeds {known}: type --seeds {known}, or more"
                )

    def _holds_more_than_stores(self) -> bool:
        """Whether there is anything but what a claim that did not fit has left."""
        return any(each.name != STORES for each in self.path.iterdir())

    def _refuse_other(self) -> None:
        file = self.path / ABOUT
        if not file.is_file():
            if self.path.exists() and (not self.path.is_dir() or self._holds_more_than_stores()):
                raise CommandError(f"{self.path} holds something else: name a new folder with --run")
            return
        found, wanted = _read(file), self.about()
        apart = [
            f"{key} {_words(found.get(key))} there, {_words(value)} here"
            for key, value in wanted.items()
            if key != "settings" and found.get(key) != value
        ]
        apart += differences(common(old_names.new_settings(found.get("settings", []))), common(self.settings))
        if apart:
            raise CommandError(
                f"{self.path} was made for other runs ({'; '.join(apart)}): give another --run"
            )


def read_verdict(path: Path, claim: Claim) -> dict[str, Any] | None:
    """What was found about a claim in a folder of claims; None where it was not judged there."""
    file = path / claim.id / VERDICT
    return _read(file) if file.is_file() else None


def judged_since(
    path: Path, claim: Claim, seeds: Sequence[int] | None, began: float
) -> dict[str, Any] | None:
    """The verdict that was written at `began`, in seconds of the clock, or later, by those seeds."""
    verdict = read_verdict(path, claim)
    if verdict is None or (path / claim.id / VERDICT).stat().st_mtime < began:
        return None
    return verdict if verdict["seeds"] == [*(seeds or claim.seeds)] else None


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is not JSON ({error}): delete it and run the claim again") from error


def _words(value: Any) -> str:
    return str(value)[:12] or "none"


def listed(claim: Claim, folder: Path) -> dict[str, Any]:
    """For JSON. `passes` are those of all its runs through as many photos as the store has, by default."""
    found = read_verdict(folder, claim) or {}
    return {
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "arms": [arm.name for arm in claim.arms],
        "seeds": [*claim.seeds],
        "runs": len(claim.arms) * len(claim.seeds),
        "passes": len(claim.seeds) * sum(arm.longer * EPOCHS for arm in claim.arms),
        "verdict": found.get("verdict", ""),
        "reason": found.get("reason", ""),
    }

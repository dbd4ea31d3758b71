"""A directory in which claims are tested, with its store, runs and verdicts."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from alexnet import old_names, recipes
from alexnet.checksum import write_json_with_checksum
from alexnet.config import RunConfig, resolve
from alexnet.data.image_reader import read_square
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources.base import Example, Labels, Source
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError
from alexnet.experiments.arms import RECIPE, Arm, ArmRun, common, run_config, settings_of_store
from alexnet.experiments.claim_results import CLAIM_FILE, ClaimResult, read_claim
from alexnet.experiments.claims import COMMON, Claim, Comparison
from alexnet.experiments.measures import ErrorOf
from alexnet.experiments.runner import LOCKS, Runner, changes_since, refuse_changed
from alexnet.experiments.spec import RunSpec, overrides_of
from alexnet.experiments.validation import with_training_error
from alexnet.io import exclusive_lock, is_left_over
from alexnet.json_reader import read_object
from alexnet.progress import Progress, no_progress
from alexnet.runs.run_dir import RunDir
from alexnet.training.run import differences
from alexnet.training.train_state import check_network

SPLITS = ("train", "val")
MIN_CLASSES = 4
"""Minimum number of classes: two to learn features from, two to test them on."""


def halves(store: Store, folder: Path) -> tuple[Store, Store]:
    """Stores of the first and of the second half of a store's classes, made in `folder` or found there.

    They have exactly the same pixels, stored raw. CommandError if there are fewer than four classes.
    """
    count = len(store.classes)
    if count < MIN_CLASSES:
        raise CommandError(
            f"{store.path} has {count} classes, but features are learned from some and tested on others: use "
            f"a store with at least {MIN_CLASSES}, or a store with other classes, --other-store"
        )
    middle = count // 2
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder, wait=True):
        first = _prepared(store, range(middle), folder / "first-half")
        return first, _prepared(store, range(middle, count), folder / "second-half")


def _prepared(store: Store, labels: range, path: Path) -> Store:
    splits = {name: _Part(store.path, name, labels.start, labels.stop) for name in SPLITS}
    classes, header = store.classes[labels.start : labels.stop], store.manifest
    source = Source("classes of a store", store.path, classes, dict(splits))
    return prepare(source, path, PrepareSettings(header.side, encoding="raw", channels=header.channels))


@dataclass(frozen=True)
class _Part:
    """The photos with consecutive labels, as lossless files."""

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
        side, channels = self._whole.manifest.side, self._whole.manifest.channels
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
    """A split of the store, opened once in each process."""
    return Store.open(store).split(name)


ABOUT, RUNS, STORES = "claims.json", "runs", "stores"


@dataclass(frozen=True, eq=False)
class ExperimentDir:
    """A directory of claims: `path/runs/<arm>-seed-<n>` are its runs, `path/<id>/claim.json` its verdicts."""

    path: Path
    store: Store
    other: Store | None
    """A store with other classes to learn features from; None for half of the store's own classes."""
    settings: tuple[str, ...]
    """`key=value` for all arms."""
    device: torch.device
    stores: Path
    """The folder in which halves of the store are made, if they are needed."""
    _configs: dict[Arm, RunConfig] = field(default_factory=dict[Arm, RunConfig])
    """Configurations of the arms that were used."""

    @classmethod
    def open(
        cls, path: Path, store: Path, other: Path | None, settings: Sequence[str], device: torch.device
    ) -> ExperimentDir:
        """The directory, new or existing; nothing is written yet.

        CommandError if it was made with another store or other settings, DataError if it is damaged.
        """
        common(settings)  # raises an error that names a wrong setting, before settings are compared
        opened, others = Store.open(store), None if other is None else Store.open(other)
        for name in SPLITS:
            opened.split(name)
        resolved = (f"{key}={text}" for key, text in resolve(recipes.get(RECIPE), settings))
        whole = (*settings_of_store(opened, settings), *resolved)
        made = cls(path, opened, others, whole, device, path / STORES)
        made._refuse_other()
        return made

    def about(self) -> dict[str, Any]:
        """What all its runs have in common, for JSON."""
        return {
            "store": self.store.path.resolve().name,
            "store_digest": self.store.digest,
            "other_store": "" if self.other is None else self.other.path.resolve().name,
            "other_store_digest": "" if self.other is None else self.other.digest,
            "settings": [*self.settings],
        }

    def trying_out(self, scratch: Path) -> ExperimentDir:
        """The same, but nothing is written to its directory: halves of the store are made in `scratch`."""
        return replace(self, stores=self.stores if self.stores.is_dir() else scratch)

    def begin(self) -> None:
        """Makes the directory and records its store and settings."""
        write_json_with_checksum(self.path / ABOUT, self.about())

    def runner(
        self,
        runs: Sequence[ArmRun],
        progress: Callable[[str], Progress] = lambda name: no_progress,
        log: Callable[[str], None] = lambda line: None,
    ) -> Runner:
        """The runner that trains these runs."""
        return Runner(
            self.path / RUNS,
            tuple(run.spec for run in runs),
            self.device,
            validation=with_training_error,
            for_comparison=True,
            progress=progress,
            log=log,
            locks=self.path / LOCKS,
        )

    def arm_run(self, arm: Arm, seed: int) -> ArmRun:
        """The run of an arm with a seed, trained or not.

        CommandError if the arm does not fit the store, or its run directory was trained with other settings.
        """
        store, config = self.store_of(arm), self._config(arm)
        spec = RunSpec(
            f"{arm.name}-seed-{seed}", config.recipe, store.path, overrides_of(config), seed, shows=arm.name
        )
        run = RunDir(self.path / RUNS / spec.name)
        if run.config_file.is_file():
            refuse_changed(run, changes_since(run, spec, store.digest))
        target = self.halves[1] if arm.photos == "other" else None
        return ArmRun(arm, spec, run, store, target, self.device)

    def arm_runs(self, claims: Sequence[Claim], seeds: Sequence[int] | None) -> list[ArmRun]:
        """All runs that the claims need, each once; `seeds` replaces the claims' own."""
        wanted = [(arm, seed) for claim in claims for arm in claim.arms for seed in seeds or claim.seeds]
        return [self.arm_run(arm, seed) for arm, seed in dict.fromkeys(wanted)]

    def fitting(self, claims: Sequence[Claim]) -> tuple[list[Claim], list[str]]:
        """The claims that can be tested on this store at least in part, and a line for each comparison that
        cannot be.

        Such comparisons remain in their claim, as `left_out`.
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
        """Why a comparison cannot be made on this store; empty if it can."""
        try:
            first, second = (
                [self._config(arm) for arm in arms] for arms in (comparison.first, comparison.second)
            )
        except CommandError as error:
            return str(error)
        measures = [comparison.measure, comparison.other_measure]
        if ErrorOf("ten") in measures and not first[0].data.mirror:
            return "half of the ten crops are mirrored, and models are trained with data.mirror=no"
        if comparison.other_measure is None and first == second:
            names = " and ".join(arm.name for arm in comparison.arms)
            return f"{names} are trained alike with these settings"
        return ""

    def store_of(self, arm: Arm) -> Store:
        """The store that the arm is trained on; halves of the store are made when they are first needed."""
        return self.store if arm.photos == "all" else self.halves[0 if arm.photos == "other" else 1]

    @cached_property
    def halves(self) -> tuple[Store, Store]:
        """The store with other classes, and the store that a model trained on them is tested on."""
        if self.other is not None:
            return self.other, self.store
        return halves(self.store, self.stores)

    def _config(self, arm: Arm) -> RunConfig:
        """An arm's configuration, computed and checked against its store only once."""
        if arm not in self._configs:
            store = self.store_of(arm)
            try:
                made = run_config(arm, self.settings, store, self.store)
                check_network(made, store)
            except CommandError as error:
                raise self._misfit(arm, error) from error
            self._configs[arm] = made
        return self._configs[arm]

    def _misfit(self, arm: Arm, error: CommandError) -> CommandError:
        """Why an arm does not fit.

        The advice what to type is only included if the common model does not fit either, since no setting
        changes what an arm sets itself.
        """
        try:
            check_network(run_config(COMMON, self.settings, self.store, self.store), self.store)
        except CommandError as of_common:
            if str(of_common) == str(error):
                return error
        return CommandError(f"{arm.name}: {error.what}")

    def refuse_fewer_seeds(self, claims: Sequence[Claim], seeds: Sequence[int] | None) -> None:
        """CommandError if a claim was judged here with seeds that are not among these: their results would be
        lost.

        `seeds` replaces the claims' own.
        """
        for claim in claims:
            before = read_claim(self.path / claim.id)
            if before is not None and not {*before.seeds} <= {*(seeds or claim.seeds)}:
                known = ",".join(map(str, before.seeds))
                raise CommandError(
                    f"{claim.id} was judged in {self.path} with seeds {known}: type --seeds {known}, or more"
                )

    def judged_since(self, claim: Claim, seeds: Sequence[int] | None, began: float) -> ClaimResult | None:
        """The result with these seeds that was written at the time `began` (seconds) or later."""
        folder = self.path / claim.id
        result = read_claim(folder)
        if result is None or (folder / CLAIM_FILE).stat().st_mtime < began:
            return None
        return result if result.seeds == tuple(seeds or claim.seeds) else None

    def _holds_more_than_stores(self) -> bool:
        """Whether the directory has anything else than what a claim that did not fit, or a kill, has left."""
        return any(each.name != STORES and not is_left_over(each) for each in self.path.iterdir())

    def _refuse_other(self) -> None:
        file = self.path / ABOUT
        if not file.is_file():
            if self.path.exists() and (not self.path.is_dir() or self._holds_more_than_stores()):
                raise CommandError(f"{self.path} contains something else: choose a new folder with --run")
            return
        found, wanted = _read(file), self.about()
        apart = [
            f"{key} {_short(found.get(key))} there, {_short(value)} here"
            for key, value in wanted.items()
            if key != "settings" and found.get(key) != value
        ]
        apart += differences(common(old_names.new_settings(found.get("settings", []))), common(self.settings))
        if apart:
            raise CommandError(
                f"{self.path} was made for other runs ({'; '.join(apart)}): choose another --run"
            )


def _read(file: Path) -> dict[str, Any]:
    return read_object(file, dict, "does not describe an experiment", "delete it and run the claim again")


def _short(value: Any) -> str:
    return str(value)[:12] or "none"

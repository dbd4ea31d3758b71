"""Specifications of runs: recipe, settings, store, seed. Experiments are lists of these."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet import recipes
from alexnet.config import RunConfig, flatten, override


@dataclass(frozen=True)
class RunSpec:
    """One run to train."""

    name: str
    """Name of its run directory; unique in a list of specs."""
    recipe: str
    store: Path = Path()
    """The store for training and validation."""
    overrides: tuple[str, ...] = ()
    """`key=value` changes of the recipe, as `alexnet train` takes them; without the seed."""
    seed: int = 0
    init_from: str = ""
    """Name of the spec whose trained weights it is initialized from; empty is a random initialization."""
    shows: str = ""
    """A description of what the run shows."""

    def config(self) -> RunConfig:
        """The whole configuration; CommandError if overrides do not fit the recipe."""
        return override(recipes.get(self.recipe), [*self.overrides, f"training.seed={self.seed}"])


def overrides_of(config: RunConfig) -> tuple[str, ...]:
    """The `key=value` changes from the recipe to `config`, without the seed."""
    before, after = flatten(recipes.get(config.recipe)), flatten(config)
    return tuple(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in after.items()
        if value != before[key] and key != "training.seed"
    )


def chain(specs: Sequence[RunSpec], name: str) -> list[RunSpec]:
    """The spec of that name, preceded by all specs that it is initialized from, in the order of training."""
    by_name = {spec.name: spec for spec in specs}
    found = [by_name[name]]
    while found[0].init_from:
        found.insert(0, by_name[found[0].init_from])
    return found


def without_dependents(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """The specs that no other one is initialized from: each can be trained alone, with its `chain`."""
    given = list(specs)
    needed = {spec.init_from for spec in given}
    return [spec for spec in given if spec.name not in needed]

"""The list of recorded runs: recipe, data, settings, and what each one shows."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from alexnet.errors import CommandError


@dataclass(frozen=True)
class RecordedRun:
    """One run whose evidence is kept under `results/<name>/`."""

    name: str
    recipe: str
    source: str
    """File or folder inside the data folder the command is given."""
    side: int
    settings: tuple[str, ...]
    shows: str

    @property
    def store(self) -> str:
        """Name of the store the run is trained and tested on."""
        return f"{self.source.removesuffix('.tar')}-{self.side}"


EPOCHS = 40
_SMALL = (
    *("data.side=128", "data.crop=112", f"schedule.epochs={EPOCHS}", "training.seed=0"),
    "training.precision=bfloat16",  # for all alike: some processors multiply it much faster
)


def _imagenette(recipe: str, shows: str, *settings: str) -> RecordedRun:
    return RecordedRun(f"imagenette-{recipe}", recipe, "imagenette-224.tar", 128, (*_SMALL, *settings), shows)


RUNS = (
    _imagenette(
        "alexnet-2012",
        f"The net and the training of 2012, in {EPOCHS} epochs at most, not 91, and in bfloat16.",
    ),
    _imagenette(
        "alexnet-one-weird-trick",
        "The single-tower net of 2014 with the data and update rule of 2012.",
    ),
    _imagenette(
        "alexnet-torchvision",
        "The stock recipe of a torchvision user, the baseline; its rate falls after each third of the run.",
        f"schedule.step_epochs={EPOCHS / 3:.4f}",
    ),
    _imagenette(
        "alexnet-modern", "The same five convolutions and three fully connected layers, trained as today."
    ),
)


def names() -> list[str]:
    """The names of all recorded runs."""
    return [run.name for run in RUNS]


def find(name: str) -> RecordedRun:
    """The recorded run of that name; CommandError names the nearest one."""
    for run in RUNS:
        if run.name == name:
            return run
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.0)
    raise CommandError(f"no recorded run {name!r}; the nearest is {near[0]!r}")

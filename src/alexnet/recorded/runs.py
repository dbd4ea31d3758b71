"""The list of recorded results: a run's recipe, data and settings, an ensemble's members, what each shows."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.errors import CommandError


@dataclass(frozen=True)
class Source:
    """A data set that recorded runs are trained on."""

    file: str
    """File or folder inside the data folder the command is given."""
    training_photos: int


IMAGENETTE = Source("imagenette-224.tar", 9_469)
TINY_IMAGENET = Source("tiny-imagenet-30.tar", 15_000)


@dataclass(frozen=True)
class RecordedRun:
    """One run whose evidence is kept under `results/<name>/`."""

    name: str
    recipe: str
    source: Source
    side: int
    settings: tuple[str, ...]
    shows: str
    init_from: str = ""
    """The recorded run it begins with; empty is first weights of its own."""

    @property
    def store(self) -> str:
        """Name of the store the run is trained and tested on."""
        return f"{self.source.file.removesuffix('.tar')}-{self.side}"

    def config(self) -> RunConfig:
        """What the recipe and the settings make of it today."""
        return override(recipes.get(self.recipe), self.settings)


@dataclass(frozen=True)
class RecordedEnsemble:
    """Recorded runs whose probabilities are averaged; its evidence is kept in the same way."""

    name: str
    members: tuple[str, ...]
    shows: str


Recorded = RecordedRun | RecordedEnsemble

EPOCHS, SEEDS, STAR_SEEDS = 40, range(5), range(2)


def _run(
    source: Source, recipe: str, shows: str, *settings: str, seed: int = 0, init_from: str = ""
) -> RecordedRun:
    small = (
        *("data.side=128", "data.crop=112", f"schedule.epochs={EPOCHS}", f"training.seed={seed}"),
        "training.precision=bfloat16",  # for all alike: some processors multiply it much faster
    )
    name = f"{source.file.partition('-224')[0].removesuffix('.tar')}-{recipe}" + (
        f"-seed-{seed}" if seed else ""
    )
    return RecordedRun(name, recipe, source, 128, (*small, *settings), shows, init_from)


_SINGLE = (
    _run(
        IMAGENETTE,
        "alexnet-2012",
        f"The net and the training of 2012, in {EPOCHS} epochs at most, not 91, and in bfloat16: 1 CNN.",
    ),
    _run(
        IMAGENETTE,
        "alexnet-one-weird-trick",
        "The single-tower net of 2014 with the data and update rule of 2012.",
    ),
    _run(
        IMAGENETTE,
        "alexnet-torchvision",
        "The stock recipe of a torchvision user, the baseline; its rate falls after each third of the run.",
        f"schedule.step_epochs={EPOCHS / 3:.4f}",
    ),
    _run(
        IMAGENETTE,
        "alexnet-modern",
        "The same five convolutions and three fully connected layers, trained as today.",
    ),
)
_PLAIN = tuple(
    _run(IMAGENETTE, "alexnet-2012", "Another seed of 1 CNN, for 5 CNNs.", seed=seed) for seed in SEEDS[1:]
)
_PRETRAINED = tuple(
    _run(
        TINY_IMAGENET,
        "alexnet-2012-star-pretrain",
        "The six-convolution net on 30 other classes (64-pixel photos, enlarged), its rate divided by 10 for "
        "the last quarter as in 2012: what 1 CNN* begins with.",
        f"schedule.step_epochs={3 * EPOCHS / 4:g}",
        seed=seed,
    )
    for seed in STAR_SEEDS
)
_STAR = tuple(
    _run(
        IMAGENETTE,
        "alexnet-2012-star",
        f"The six-convolution net pre-trained on 30 other classes, then fine-tuned: 1 CNN*, seed {seed}.",
        seed=seed,
        init_from=pretrained.name,
    )
    for seed, pretrained in zip(STAR_SEEDS, _PRETRAINED, strict=True)
)
RUNS = (*_SINGLE, *_PLAIN, *_PRETRAINED, *_STAR)

_FIVE = (_SINGLE[0].name, *(run.name for run in _PLAIN))
ENSEMBLES = (
    RecordedEnsemble("imagenette-5-cnns", _FIVE, "5 CNNs: nets that differ in their seed only, averaged."),
    RecordedEnsemble(
        "imagenette-7-cnns-star",
        (*_FIVE, *(run.name for run in _STAR)),
        "7 CNNs*: the five and two that were pre-trained, averaged.",
    ),
)
ALL: tuple[Recorded, ...] = (*RUNS, *ENSEMBLES)
"""In the order in which they can be made: what a run begins with, and an ensemble's members, come before."""


def names() -> list[str]:
    """The names of all recorded results."""
    return [recorded.name for recorded in ALL]


def find(name: str) -> Recorded:
    """The recorded result of that name; CommandError names the nearest one."""
    for recorded in ALL:
        if recorded.name == name:
            return recorded
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.0)
    raise CommandError(f"no recorded result {name!r}; the nearest is {near[0]!r}")


def run_named(name: str) -> RecordedRun:
    """The recorded run of that name, which must be one."""
    return next(run for run in RUNS if run.name == name)

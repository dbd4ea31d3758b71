"""The list of recorded results: a run's recipe, data and settings, an ensemble's members, what each shows."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.errors import CommandError

VIEWS = ("centre", "ten")
"""What photos are tested with."""
CENTRE = VIEWS[:1]
"""For digits, which have no mirror images, and for whatever sees whole squares."""


@dataclass(frozen=True)
class Source:
    """A data set that recorded runs are trained on, or some of its classes."""

    name: str
    """What the names of its runs begin with."""
    file: str
    """File or folder inside the data folder the command is given."""
    training_photos: int
    classes: int = 0
    """How many are kept, the first ones; 0 is all."""

    @property
    def options(self) -> tuple[str, ...]:
        """What `prepare` is told beside the side."""
        return ("--classes", str(self.classes)) if self.classes else ()


IMAGENETTE = Source("imagenette", "imagenette-224.tar", 9_469)
TINY_IMAGENET = Source("tiny-imagenet-30", "tiny-imagenet-30.tar", 15_000)
TINY_CLASSES = tuple(
    Source(f"tiny-imagenet-{classes}-classes", TINY_IMAGENET.file, 500 * classes, classes)
    for classes in (10, 20, 30)
)
MNIST = Source("mnist", "mnist", 60_000)


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
    views: tuple[str, ...] = VIEWS
    """What it is tested with: names of tests, such as `dense@112,128`, with the scales after an @."""

    @property
    def store(self) -> str:
        """Name of the store the run is trained and tested on."""
        classes = f"-{self.source.classes}-classes" if self.source.classes else ""
        return f"{self.source.file.removesuffix('.tar')}{classes}-{self.side}"

    @property
    def training_images(self) -> int:
        """How many images it is trained on."""
        return self.config().data.images or self.source.training_photos

    @property
    def pictures(self) -> tuple[str, ...]:
        """The files of the pictures that are kept with it: of the first seed, and those that fit it."""
        config = self.config()
        if config.training.seed:
            return ()
        if config.classic is not None:
            return ("confusions.png",)
        mistakes = ("misread.png", "confusions.png") if self.source is MNIST else ()
        return (*_PICTURES[config.model.name], *mistakes)

    def config(self) -> RunConfig:
        """What the recipe and the settings make of it today."""
        return override(recipes.get(self.recipe), self.settings)


_PICTURES = {"alexnet": ("curves.png", "filters.png"), "lenet": ("curves.png",), "vgg": ("curves.png",)}
"""By the net; first filters of 5 x 5 grey pixels or of 3 x 3 show nothing."""


@dataclass(frozen=True)
class RecordedEnsemble:
    """Recorded runs whose probabilities are averaged; its evidence is kept in the same way."""

    name: str
    members: tuple[str, ...]
    shows: str
    views: tuple[str, ...] = VIEWS


Recorded = RecordedRun | RecordedEnsemble

EPOCHS, SEEDS, STAR_SEEDS, DIGIT_SEEDS = 40, range(5), range(2), range(3)
SIDE, SMALL_SIDE, TINY_SIDE = 128, 72, 64
"""Of stored photos: where nets are compared, for numbers of images and classes; of Tiny ImageNet's own."""
IMAGES = (1_184, 2_368, 4_736, 9_469)
"""Of Imagenette's training photos: an eighth, a quarter, half, all."""
PASSES = 30
"""Through all training photos; with fewer images as many more, so that all nets are updated as often."""


def _named(source: Source, recipe: str, seed: int = 0) -> str:
    return f"{source.name}-{recipe}" + (f"-seed-{seed}" if seed else "")


def _run(
    source: Source, recipe: str, shows: str, *settings: str, seed: int = 0, init_from: str = ""
) -> RecordedRun:
    small = (
        *(f"data.side={SIDE}", "data.crop=112", f"schedule.epochs={EPOCHS}", f"training.seed={seed}"),
        "training.precision=bfloat16",  # for all alike: some processors multiply it much faster
    )
    return RecordedRun(
        _named(source, recipe, seed), recipe, source, SIDE, (*small, *settings), shows, init_from
    )


def _digits(recipe: str, shows: str) -> tuple[RecordedRun, ...]:
    """The recipe as it is, on MNIST, with each seed."""
    return tuple(
        RecordedRun(
            *(_named(MNIST, recipe, seed), recipe, MNIST, recipes.get(recipe).data.side),
            *((f"training.seed={seed}",), shows if seed == 0 else f"Another seed of {recipe}.", "", CENTRE),
        )
        for seed in DIGIT_SEEDS
    )


def _whole(source: Source, recipe: str, shows: str, *settings: str) -> RecordedRun:
    """The recipe as it is, on whole squares of its own size, but of at most twice the photos' own."""
    own = recipes.get(recipe).data.side
    side = min(own, 2 * TINY_SIDE) if source in TINY_CLASSES else own
    smaller = (f"data.side={side}", f"data.crop={side}") if side < own else ()
    return RecordedRun(_named(source, recipe), recipe, source, side, (*settings, *smaller), shows, "", CENTRE)


def _sized(source: Source, shows: str, images: int = 0) -> RecordedRun:
    """The net of 2012 on small photos, on some classes or on some images, always updated as often."""
    times = round(source.training_photos / images) if images else 1
    settings = (
        *(f"data.side={SMALL_SIDE}", "data.crop=64"),
        *(f"schedule.epochs={times * PASSES}", f"training.evaluate_every_epochs={times}"),
        *((f"data.images={images}",) if images else ()),
    )
    recipe, some = "alexnet-2012", f"{images}-images-" if images else ""
    return RecordedRun(f"{source.name}-{some}{recipe}", recipe, source, SMALL_SIDE, settings, shows)


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
_DIGITS = (
    *_digits("lenet-5", "LeNet-5 of 1998 on all of MNIST."),
    *_digits("lenet-modern", "LeNet-5 as one would build and train it today, on all of MNIST."),
    *_digits("lenet-1989", "The net of 1989 on as many digits as it had then, of MNIST."),
)
_SIZES = (
    *(_sized(IMAGENETTE, f"AlexNet on {images:,} photos of ten classes.", images) for images in IMAGES),
    *(_sized(source, f"AlexNet on {source.classes} classes of 500 photos each.") for source in TINY_CLASSES),
)
COLOUR = ("data.channels=3", "data.mirror=yes")
"""What makes a LeNet see photos."""
_BEFORE = tuple(
    _whole(source, recipe, f"What came before, on the same photos: {recipe}.", *settings)
    for source in (IMAGENETTE, *TINY_CLASSES)
    for recipe, settings in (("lenet-5", COLOUR), ("sift-fv", ()), ("sparse-coding", ()))
)
RUNS = (*_SINGLE, *_PLAIN, *_PRETRAINED, *_STAR, *_DIGITS, *_SIZES, *_BEFORE)

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

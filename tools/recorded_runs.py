"""The list of recorded results: each with recipe, data and settings, or its members, and what it shows."""

from __future__ import annotations

import difflib

from alexnet import recipes
from alexnet.errors import CommandError
from tools.recorded_run import (
    CENTER,
    IMAGENETTE,
    MNIST,
    RAW_IMAGENETTE,
    TINY_CLASSES,
    TINY_IMAGENET,
    TINY_SCENES,
    VIEWS,
    Recorded,
    RecordedEnsemble,
    RecordedRun,
    Source,
)

EPOCHS, SEEDS, STAR_SEEDS, DIGIT_SEEDS = 40, range(5), range(2), range(3)
SIDE, SMALL_SIDE, TINY_SIDE = 128, 72, 64
"""Of stored photos: where nets are compared, for numbers of images and classes; of Tiny ImageNet's own."""
IMAGES = (1_184, 2_368, 4_736, 9_469)
"""Of Imagenette's training photos: an eighth, a quarter, half, all."""
PASSES = 15
"""Through all training photos; with fewer images as many more, so that all nets are updated as often."""


def _named(source: Source, recipe: str, seed: int = 0) -> str:
    return f"{source.name}-{recipe}" + (f"-seed-{seed}" if seed else "")


def _run(
    source: Source, recipe: str, shows: str, *settings: str, seed: int = 0, init_from: str = ""
) -> RecordedRun:
    small = (
        *(
            f"data.image_size={SIDE}",
            "data.input_size=112",
            f"schedule.epochs={EPOCHS}",
            f"training.seed={seed}",
        ),
        "training.precision=bfloat16",  # for all alike: some processors multiply it much faster
    )
    return RecordedRun(
        _named(source, recipe, seed), recipe, source, SIDE, (*small, *settings), shows, init_from
    )


def _digits(recipe: str, shows: str) -> tuple[RecordedRun, ...]:
    """The recipe as it is, on MNIST, with each seed."""
    return tuple(
        RecordedRun(
            *(_named(MNIST, recipe, seed), recipe, MNIST, recipes.get(recipe).data.image_size),
            *((f"training.seed={seed}",), shows if seed == 0 else f"Another seed of {recipe}.", "", CENTER),
        )
        for seed in DIGIT_SEEDS
    )


def _whole(source: Source, recipe: str, shows: str, *settings: str, side: int = 0) -> RecordedRun:
    """The recipe as it is, on whole squares of its own size, but of at most twice the photos' own.

    With `side` on squares of that size, which its name then says.
    """
    own, some = recipes.get(recipe).data.image_size, f"side-{side}-" if side else ""
    side = side or (min(own, 2 * TINY_SIDE) if source in TINY_CLASSES else own)
    smaller = (f"data.image_size={side}", f"data.input_size={side}") if side < own else ()
    name, settings = f"{source.name}-{some}{recipe}", (*settings, *smaller)
    return RecordedRun(name, recipe, source, side, settings, shows, "", CENTER)


def _sized(source: Source, shows: str, images: int = 0) -> RecordedRun:
    """The net of 2012 on small photos, on some classes or on some images, always updated as often."""
    times = round(source.training_photos / images) if images else 1
    settings = (
        *(f"data.image_size={SMALL_SIDE}", "data.input_size=64"),
        *(f"schedule.epochs={times * PASSES}", f"training.evaluate_every_epochs={times}"),
        *((f"data.max_images={images}",) if images else ()),
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
AFTER_SIDE, AFTER_EPOCHS, SMALL_EPOCHS = 256, 30, 8
"""Of what came after: the papers' own size of photo, passes through all of them, and through small ones."""
WINDOW = 72
"""Pixels that nets see of the small photos that have boxes: the fewest of which OverFeat reads all (of 64 it
reads the first 48)."""
INITIALIZED = "model.architecture.initialization=kaiming"
OVERFEAT = (INITIALIZED, "schedule.milestones=[]", "data.test_scales=[]")
"""How OverFeat learns from few photos, as its recipe says."""
HALF = (
    INITIALIZED,
    "model.architecture.widths=[48,128,256,512,512,1536,2048]",
    "model.architecture.regression=[2048,512]",
)
"""Of OverFeat's maps and units, on the photos that have boxes: for two cores."""
MANY_VIEWS = (*VIEWS, "multi-crop", "dense@256", "dense@256,288,320", "dense+multi-crop@256")
"""For nets that slide, at scales where a step of 32 pixels reaches the border."""
BOX_VIEWS = ("center", "dense@72", "dense@72,104")
"""What localization knows, at such scales too."""


def _after(
    source: Source,
    side: int,
    recipe: str,
    shows: str,
    *settings: str,
    epochs: int,
    init_from: str = "",
    views: tuple[str, ...] = MANY_VIEWS,
) -> RecordedRun:
    """All nets with the same shape of the rate, from its recipe's first one to 0."""
    settings = (f"data.image_size={side}", "schedule.name=cosine", f"schedule.epochs={epochs}", *settings)
    name = f"{source.name}-side-{side}-{recipe}"
    return RecordedRun(name, recipe, source, side, settings, shows, init_from, views)


def _full_size(recipe: str, shows: str, *settings: str) -> RecordedRun:
    """On Imagenette's photos as large as the papers', cropped as in the recipe; for a GPU."""
    settings = ("training.precision=bfloat16", *settings)
    return _after(RAW_IMAGENETTE, AFTER_SIDE, recipe, shows, *settings, epochs=AFTER_EPOCHS)


def _small_size(recipe: str, shows: str, *settings: str) -> RecordedRun:
    """On small photos, for two cores."""
    settings = ("data.input_size=64", *settings)
    return _after(IMAGENETTE, SMALL_SIDE, recipe, shows, *settings, epochs=SMALL_EPOCHS, views=VIEWS)


_FAST = _after(
    *(TINY_IMAGENET, SMALL_SIDE, "overfeat-fast", "What localization begins with.", *HALF, *OVERFEAT[1:]),
    *(f"data.input_size={WINDOW}", "data.cropping=random-resized", "data.resized_area=[0.4,1]"),
    *("optimizer.lr=0.03", "training.batch_size=32"),
    epochs=12,
    views=VIEWS,
)
_PLACES = _after(
    *(TINY_IMAGENET, SMALL_SIDE, "overfeat-fast-localization"),
    *("Where things are: boxes on top of OverFeat's fast net.", *HALF, "data.test_scales=[]"),
    *(f"data.input_size={WINDOW}", "training.batch_size=32"),
    epochs=10,
    init_from=_FAST.name,
    views=BOX_VIEWS,
)
_OBJECTS = RecordedRun(
    *(f"{TINY_SCENES.name}-overfeat-fast-detection", "overfeat-fast-detection", TINY_SCENES, SMALL_SIDE),
    (
        f"data.image_size={TINY_SCENES.scenes}",
        *("data.input_size=136", "data.test_scales=[144,216]", *HALF, f"model.architecture.window={WINDOW}"),
        *("optimizer.lr=0.01", "optimizer.momentum=0.9"),
        *("training.batch_size=16", "training.evaluate_every_epochs=5"),
    ),
    "All objects of composed scenes: background beside the classes, on top of the localization.",
    init_from=_PLACES.name,
    views=CENTER,
)
_BOXES = (_FAST, _PLACES, _OBJECTS)
_AFTER = (
    _full_size("alexnet-2012", "AlexNet beside what came after."),
    _full_size(
        *("overfeat-fast", "What came after: OverFeat's fast net, wider.", *OVERFEAT),
        "optimizer.lr=0.01",
    ),
    _full_size(
        "vgg-a-batchnorm",
        "What came after: VGG's shallowest net, with batch normalization.",
        *("data.scales=[0,0]", "training.batch_size=128"),
    ),
    _small_size("alexnet-2012", "AlexNet beside what came after, on small photos."),
    _small_size(
        "vgg-a-batchnorm",
        "What came after, on small photos: VGG's shallowest net, with batch normalization.",
        *("data.scales=[0,0]", "training.batch_size=128"),
    ),
    *_BOXES,
)
COLOR = ("data.channels=3", "data.mirror=yes")
"""What makes a LeNet see photos."""
_BEFORE = tuple(
    _whole(source, recipe, f"What came before, on the same photos: {recipe}.", *settings)
    for source in (IMAGENETTE, *TINY_CLASSES)
    for recipe, settings in (("lenet-5", COLOR), ("sift-fv", ()), ("sparse-coding", ()))
)
_AS_SMALL = tuple(
    _whole(IMAGENETTE, recipe, f"{recipe} on photos as small as AlexNet's: of {SIDE} pixels.", side=SIDE)
    for recipe in ("sift-fv", "sparse-coding")
)
"""What sees more of a photo than AlexNet, on stored squares of the same size."""
RUNS = (*_SINGLE, *_PLAIN, *_PRETRAINED, *_STAR, *_DIGITS, *_SIZES, *_BEFORE, *_AS_SMALL, *_AFTER)

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

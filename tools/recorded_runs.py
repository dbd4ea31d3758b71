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
    TINY_WHOLE,
    VIEWS,
    Recorded,
    RecordedEnsemble,
    RecordedRun,
    Source,
)

EPOCHS, SEEDS, STAR_SEEDS, DIGIT_SEEDS = 40, range(5), range(2), range(3)
SIDE, SMALL_SIDE, TINY_SIDE = 128, 72, 64
"""Sizes of stored photos: for comparing recipes; for comparing numbers of images and classes; of Tiny
ImageNet."""
IMAGES = (1_184, 2_368, 4_736, 9_469)
"""Numbers of Imagenette's training photos: an eighth, a quarter, half, all."""
PASSES = 15
"""Epochs with all training photos; more with fewer images, so that all models get the same number of
updates."""


def _named(source: Source, recipe: str, seed: int = 0) -> str:
    return f"{source.name}-{recipe}" + (f"-seed-{seed}" if seed else "")


def _run(
    source: Source, recipe: str, shows: str, *overrides: str, seed: int = 0, init_from: str = ""
) -> RecordedRun:
    small = (
        f"data.image_size={SIDE}",
        "data.input_size=112",
        f"schedule.epochs={EPOCHS}",
        "training.precision=bfloat16",  # for all runs: some processors multiply it much faster
    )
    return RecordedRun(
        name=_named(source, recipe, seed),
        recipe=recipe,
        source=source,
        side=SIDE,
        overrides=(*small, *overrides),
        seed=seed,
        shows=shows,
        init_from=init_from,
    )


def _digits(recipe: str, shows: str) -> tuple[RecordedRun, ...]:
    """The unchanged recipe on MNIST, with each seed."""
    return tuple(
        RecordedRun(
            name=_named(MNIST, recipe, seed),
            recipe=recipe,
            source=MNIST,
            side=recipes.get(recipe).data.image_size,
            seed=seed,
            shows=shows if seed == 0 else f"Another seed of {recipe}.",
            views=CENTER,
        )
        for seed in DIGIT_SEEDS
    )


def _whole(source: Source, recipe: str, shows: str, *overrides: str, side: int = 0) -> RecordedRun:
    """The unchanged recipe on whole squares of its own size, but at most twice the size of the photos.

    With `side`, on squares of that size, which is then part of the name.
    """
    own, some = recipes.get(recipe).data.image_size, f"side-{side}-" if side else ""
    side = side or (min(own, 2 * TINY_SIDE) if source in TINY_CLASSES else own)
    smaller = (f"data.image_size={side}", f"data.input_size={side}") if side < own else ()
    return RecordedRun(
        name=f"{source.name}-{some}{recipe}",
        recipe=recipe,
        source=source,
        side=side,
        overrides=(*overrides, *smaller),
        shows=shows,
        views=CENTER,
    )


def _sized(source: Source, shows: str, images: int = 0) -> RecordedRun:
    """The model of 2012 on small photos, on some classes or images, with the same number of updates."""
    times = round(source.training_photos / images) if images else 1
    overrides = (
        *(f"data.image_size={SMALL_SIDE}", "data.input_size=64"),
        *(f"schedule.epochs={times * PASSES}", f"training.evaluate_every_epochs={times}"),
        *((f"data.max_images={images}",) if images else ()),
    )
    recipe, some = "alexnet-2012", f"{images}-images-" if images else ""
    return RecordedRun(
        name=f"{source.name}-{some}{recipe}",
        recipe=recipe,
        source=source,
        side=SMALL_SIDE,
        overrides=overrides,
        shows=shows,
    )


_SINGLE = (
    _run(
        IMAGENETTE,
        "alexnet-2012",
        f"The model and training of 2012, for {EPOCHS} epochs at most, not 91, in bfloat16: 1 CNN.",
    ),
    _run(
        IMAGENETTE,
        "alexnet-one-weird-trick",
        "The single-tower model of 2014 with the data and update rule of 2012.",
    ),
    _run(
        IMAGENETTE,
        "alexnet-torchvision",
        "The baseline: torchvision's model and training; the learning rate falls after each third of the "
        "run.",
        f"schedule.step_epochs={EPOCHS / 3:.4f}",
    ),
    _run(
        IMAGENETTE,
        "alexnet-modern",
        "The same five convolutions and three fully connected layers, with modern training.",
    ),
)
_PLAIN = tuple(
    _run(IMAGENETTE, "alexnet-2012", "Another seed of 1 CNN, for 5 CNNs.", seed=seed) for seed in SEEDS[1:]
)
_PRETRAINED = tuple(
    _run(
        TINY_IMAGENET,
        "alexnet-2012-star-pretrain",
        "The six-convolution model on 30 other classes (64-pixel photos, enlarged), with the learning rate "
        "divided by 10 for the last quarter as in 2012; 1 CNN* is initialized from it.",
        f"schedule.step_epochs={3 * EPOCHS / 4:g}",
        seed=seed,
    )
    for seed in STAR_SEEDS
)
_STAR = tuple(
    _run(
        IMAGENETTE,
        "alexnet-2012-star",
        f"The six-convolution model pre-trained on 30 other classes, then fine-tuned: 1 CNN*, seed {seed}.",
        seed=seed,
        init_from=pretrained.name,
    )
    for seed, pretrained in zip(STAR_SEEDS, _PRETRAINED, strict=True)
)
_DIGITS = (
    *_digits("lenet-5", "LeNet-5 of 1998 on all of MNIST."),
    *_digits("lenet-modern", "LeNet-5 with modern layers and training, on all of MNIST."),
    *_digits("lenet-1989", "The network of 1989 on as many MNIST digits as it was trained on then."),
)
_SIZES = (
    *(_sized(IMAGENETTE, f"AlexNet on {images:,} photos of ten classes.", images) for images in IMAGES),
    *(_sized(source, f"AlexNet on {source.classes} classes of 500 photos each.") for source in TINY_CLASSES),
)
AFTER_SIDE, AFTER_EPOCHS, SMALL_EPOCHS = 256, 30, 8
"""Later models: size of photos as in the papers, epochs on these, and epochs on small photos."""
WINDOW = 72
"""Crop of the small photos that have boxes: the smallest that OverFeat reads completely (of 64 pixels it
reads the first 48)."""
INITIALIZED = "model.architecture.initialization=kaiming"
OVERFEAT = (INITIALIZED, "schedule.milestones=[]", "data.test_scales=[]")
"""Settings for training OverFeat on few photos, as described in its recipe."""
HALF = (
    INITIALIZED,
    "model.architecture.widths=[48,128,256,512,512,1536,2048]",
    "model.architecture.regression=[2048,512]",
)
"""Half of OverFeat's maps and units, for photos with boxes, on two cores."""
_GLOROT = ("data.scales=[0,0]", "model.architecture.initialization=glorot")
"""VGG without pre-training of a shallower network (footnote 1 of its paper), on small photos."""
MANY_VIEWS = (*VIEWS, "multi-crop", "dense@256", "dense@256,288,320", "dense+multi-crop@256")
"""Views for models that slide, at scales for which steps of 32 pixels reach the border."""
BOX_VIEWS = ("center", "dense@72", "dense@72,104")
"""Views for localization, at such scales, too."""


def _after(
    source: Source,
    side: int,
    recipe: str,
    shows: str,
    *overrides: str,
    epochs: int,
    init_from: str = "",
    views: tuple[str, ...] = MANY_VIEWS,
    name: str = "",
) -> RecordedRun:
    """A run of a later model; all have the same schedule, from the recipe's initial learning rate to 0.

    Its name begins with those of the photos and their size; `name` replaces that of the recipe.
    """
    return RecordedRun(
        name=f"{source.name}-side-{side}-{name or recipe}",
        recipe=recipe,
        source=source,
        side=side,
        overrides=(
            f"data.image_size={side}",
            "schedule.name=cosine",
            f"schedule.epochs={epochs}",
            *overrides,
        ),
        shows=shows,
        init_from=init_from,
        views=views,
    )


def _full_size(recipe: str, shows: str, *overrides: str) -> RecordedRun:
    """A run on Imagenette's photos, as large as those of the papers, cropped as in the recipe; for a GPU."""
    overrides = ("training.precision=bfloat16", *overrides)
    return _after(RAW_IMAGENETTE, AFTER_SIDE, recipe, shows, *overrides, epochs=AFTER_EPOCHS)


def _small_size(recipe: str, shows: str, *overrides: str) -> RecordedRun:
    """A run on small photos, for two cores."""
    overrides = ("data.input_size=64", *overrides)
    return _after(IMAGENETTE, SMALL_SIDE, recipe, shows, *overrides, epochs=SMALL_EPOCHS, views=VIEWS)


_FAST = _after(
    *(
        TINY_IMAGENET,
        SMALL_SIDE,
        "overfeat-fast",
        "The classifier from which the localization is initialized.",
        *HALF,
        *OVERFEAT[1:],
    ),
    *(f"data.input_size={WINDOW}", "data.cropping=random-resized", "data.resized_area=[0.4,1]"),
    *("optimizer.lr=0.03", "training.batch_size=32"),
    epochs=12,
    views=VIEWS,
)
_PLACES = _after(
    *(TINY_IMAGENET, SMALL_SIDE, "overfeat-fast-localization"),
    *("Localization: boxes on top of OverFeat's fast model.", *HALF, "data.test_scales=[]"),
    *(f"data.input_size={WINDOW}", "training.batch_size=32"),
    epochs=10,
    init_from=_FAST.name,
    views=BOX_VIEWS,
)
_OBJECTS = RecordedRun(
    name=f"{TINY_SCENES.name}-overfeat-fast-detection",
    recipe="overfeat-fast-detection",
    source=TINY_SCENES,
    side=SMALL_SIDE,
    overrides=(
        f"data.image_size={TINY_SCENES.scenes}",
        *("data.input_size=136", "data.test_scales=[144,216]", *HALF, f"model.architecture.window={WINDOW}"),
        *("optimizer.lr=0.01", "optimizer.momentum=0.9"),
        *("training.batch_size=16", "training.evaluate_every_epochs=5"),
    ),
    shows="Detection of all objects in composed scenes: classes and background, on top of the localization.",
    init_from=_PLACES.name,
    views=CENTER,
)
_BOXES = (_FAST, _PLACES, _OBJECTS)
_AFTER = (
    _full_size("alexnet-2012", "AlexNet for comparison with later models."),
    _full_size(
        *("overfeat-fast", "Later models: OverFeat's fast model, wider.", *OVERFEAT),
        "optimizer.lr=0.01",
    ),
    _full_size(
        "vgg-a-batchnorm",
        "Later models: VGG's shallowest, with batch normalization.",
        *("data.scales=[0,0]", "training.batch_size=128"),
    ),
    _small_size("alexnet-2012", "AlexNet for comparison with later models, on small photos."),
    _small_size(
        "vgg-a-batchnorm",
        "Later models, on small photos: VGG's shallowest, with batch normalization.",
        *("data.scales=[0,0]", "training.batch_size=128"),
    ),
    *_BOXES,
)
LONG_EPOCHS = 60
"""Epochs on small photos until training errors have come down, about 4,400 updates."""
_BATCHNORM = (
    'model.architecture.stages=[["batchnorm","relu","pool"],["batchnorm","relu","pool"],["batchnorm","relu"],'
    '["batchnorm","relu"],["batchnorm","relu","pool"],["relu","dropout"],["relu","dropout"]]'
)
"""AlexNet with batch normalization after each convolution, as in VGG, and no response normalization."""
_LONGER = tuple(
    _after(
        *(IMAGENETTE, SMALL_SIDE, recipe, f"Later models, trained longer: {shows}"),
        *("data.input_size=64", "training.batch_size=128", *overrides),
        epochs=LONG_EPOCHS,
        views=VIEWS,
        name=f"{LONG_EPOCHS}-epochs-{name}",
    )
    for name, recipe, shows, overrides in (
        ("alexnet-2012", "alexnet-2012", "AlexNet.", ()),
        ("alexnet-2012-batchnorm", "alexnet-2012", "AlexNet with batch normalization.", (_BATCHNORM,)),
        ("vgg-a", "vgg-a", "VGG-A without normalization.", _GLOROT),
        ("vgg-a-lrn", "vgg-a-lrn", "VGG-A with response normalization.", _GLOROT),
        ("vgg-a-batchnorm", "vgg-a-batchnorm", "VGG-A with batch normalization.", ("data.scales=[0,0]",)),
    )
)
FULL_SIDE, FULL_INPUT, FULL_EPOCHS = 224, 200, 100
"""Imagenette's photos at the size they have, and 100 passes."""
_TORCHVISION = tuple((f"alexnet-torchvision-lr-{rate:g}", rate) for rate in (0.01, 0.03))


def _long(name: str, recipe: str, epochs: int, *overrides: str, seed: int) -> RecordedRun:
    """A run on Imagenette's photos as they are, with as many updates as AlexNet's; for a GPU."""
    return RecordedRun(
        name=f"{RAW_IMAGENETTE.name}-side-{FULL_SIDE}-{name}" + (f"-seed-{seed}" if seed else ""),
        recipe=recipe,
        source=RAW_IMAGENETTE,
        side=FULL_SIDE,
        overrides=(
            *(f"data.image_size={FULL_SIDE}", f"data.input_size={FULL_INPUT}", f"schedule.epochs={epochs}"),
            *("training.precision=bfloat16", *overrides),
        ),
        seed=seed,
        shows=f"Recipes with {FULL_EPOCHS} passes, on photos of {FULL_SIDE} pixels: {name}.",
    )


_LONG = tuple(
    run
    for seed in range(3)
    for run in (
        _long("alexnet-2012", "alexnet-2012", FULL_EPOCHS, seed=seed),
        _long("alexnet-modern", "alexnet-modern", FULL_EPOCHS, seed=seed),
        *(
            _long(
                *(name, "alexnet-torchvision", 2 * FULL_EPOCHS, f"optimizer.lr={rate:g}"),
                f"schedule.step_epochs={2 * FULL_EPOCHS / 3:.4f}",
                seed=seed,
            )
            for name, rate in _TORCHVISION
        ),
    )
)
COLOR = ("data.channels=3", "data.mirror=yes")
"""Settings that a LeNet needs for photos."""
_BEFORE = tuple(
    _whole(source, recipe, f"Earlier systems, on the same photos: {recipe}.", *overrides)
    for source in (IMAGENETTE, *TINY_CLASSES)
    for recipe, overrides in (("lenet-5", COLOR), ("sift-fv", ()), ("sparse-coding", ()))
)
_AS_SMALL = tuple(
    _whole(IMAGENETTE, recipe, f"{recipe} on photos as small as AlexNet's: of {SIDE} pixels.", side=SIDE)
    for recipe in ("sift-fv", "sparse-coding")
)
"""Systems with a larger input than AlexNet's, on stored squares of the same size."""
TINY_TOTAL, PER_CLASS, WHOLE_SEEDS = 200, (25, 100, 500), range(3)
"""Classes of the whole of Tiny ImageNet, photos of each class that are trained on, and seeds of networks."""
WHOLE_EPOCHS = {"alexnet-2012": 40, "alexnet-modern": 40, "lenet-5": 20}
"""Epochs with all photos, about 31,000 updates or more; with fewer photos more, for as many updates."""


def _whole_tiny(recipe: str, per_class: int, *overrides: str, seed: int = 0) -> RecordedRun:
    """A system on all 200 classes of Tiny ImageNet, with `per_class` training photos of each."""
    photos, config = per_class * TINY_TOTAL, recipes.get(recipe)
    side = SMALL_SIDE if recipe in WHOLE_SIZES else min(config.data.image_size, 2 * TINY_SIDE)
    epochs = WHOLE_EPOCHS.get(recipe, 0) * TINY_WHOLE.training_photos // photos
    return RecordedRun(
        name=f"{TINY_WHOLE.name}-{per_class}-a-class-{recipe}" + (f"-seed-{seed}" if seed else ""),
        recipe=recipe,
        source=TINY_WHOLE,
        side=side,
        overrides=(
            *overrides,
            *WHOLE_SIZES.get(recipe, (f"data.image_size={side}", f"data.input_size={side}")),
            *((f"data.max_images={photos}",) if photos < TINY_WHOLE.training_photos else ()),
            *((f"schedule.epochs={epochs}",) if epochs else ()),
            *((f"training.evaluate_every_epochs={epochs // 20}",) if epochs else ()),
        ),
        seed=seed,
        shows=f"The first table on the whole of Tiny ImageNet: {recipe}, {per_class} photos of each class.",
        views=VIEWS if recipe in WHOLE_SIZES else CENTER,
    )


_SMALL_ALEXNET = (f"data.image_size={SMALL_SIDE}", "data.input_size=64", "schedule.name=cosine")
WHOLE_SIZES: dict[str, tuple[str, ...]] = {
    "alexnet-2012": _SMALL_ALEXNET,
    "alexnet-modern": _SMALL_ALEXNET,
}
"""Sizes and schedule of the networks that are not trained on whole squares."""
_WHOLE = tuple(
    _whole_tiny(recipe, per_class, *overrides, seed=seed)
    for per_class in PER_CLASS
    for recipe, overrides, seeds in (
        ("lenet-5", COLOR, WHOLE_SEEDS),
        ("sparse-coding", (), range(1)),
        ("sift-fv", (), range(1)),
        ("alexnet-2012", (), WHOLE_SEEDS),
        ("alexnet-modern", (), WHOLE_SEEDS),
    )
    for seed in seeds
)
RUNS = (
    *(*_SINGLE, *_PLAIN, *_PRETRAINED, *_STAR, *_DIGITS, *_SIZES, *_BEFORE, *_AS_SMALL, *_AFTER, *_LONGER),
    *(*_LONG, *_WHOLE),
)

_FIVE = (_SINGLE[0].name, *(run.name for run in _PLAIN))
ENSEMBLES = (
    RecordedEnsemble("imagenette-5-cnns", _FIVE, "5 CNNs: models that differ only in their seed, averaged."),
    RecordedEnsemble(
        "imagenette-7-cnns-star",
        (*_FIVE, *(run.name for run in _STAR)),
        "7 CNNs*: the five models and two pre-trained ones, averaged.",
    ),
)
ALL: tuple[Recorded, ...] = (*RUNS, *ENSEMBLES)
"""All recorded results, in the order in which they can be made: runs that others are initialized from, and
members of ensembles, come first."""


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
    """The recorded run of that name, which must not be an ensemble."""
    return next(run for run in RUNS if run.name == name)


def with_all_before(run: RecordedRun) -> list[RecordedRun]:
    """The run, preceded by all runs that it is directly or indirectly initialized from."""
    return [*(with_all_before(run_named(run.init_from)) if run.init_from else ()), run]


def members_of(recorded: Recorded) -> list[RecordedRun]:
    """The runs of an ensemble, or the one run."""
    return list(map(run_named, recorded.members)) if isinstance(recorded, RecordedEnsemble) else [recorded]

"""OverFeat of 2013: classification, localization and detection."""

from __future__ import annotations

from dataclasses import replace

from alexnet.config import OptimizerConfig, RunConfig, ScheduleConfig
from alexnet.data.config import DataConfig
from alexnet.models.config import OVERFEAT_VARIANTS, ModelConfig
from alexnet.published.overfeat import SCALES
from alexnet.training.config import TrainingConfig

_TEST_SCALES = tuple(min(size) for size in SCALES)


def overfeat_fast() -> RunConfig:
    """OverFeat's fast model: five convolutions, wider than AlexNet's, without normalization or overlapping
    pooling.

    For runs shorter than 90 epochs, set `milestones` with `epochs`. For small stores, on which the paper's
    initial weights learn slowly, set `initialization=kaiming`; for a small crop, set `test_scales`, too.

    Source: Sermanet et al. 2013 (arXiv:1312.6229), section 3.2 and table 1.
    Expected: ILSVRC-2012 validation, six scales, 38.1 / 16.3 % (table 2).
    """
    return _classification("overfeat-fast", "fast", crop=231)


def overfeat_accurate() -> RunConfig:
    """OverFeat's accurate model: six convolutions, the first with half the stride of the fast model's.

    Settings for shorter runs and small stores as for `overfeat-fast`.

    Source: Sermanet et al. 2013 (arXiv:1312.6229), section 3.2 and table 3.
    Expected: ILSVRC-2012 validation, four scales, 35.7 / 14.2 % (table 2).
    """
    return _classification("overfeat-accurate", "accurate", crop=221)


def overfeat_fast_localization() -> RunConfig:
    """Localization: boxes on top of a trained `overfeat-fast`, from which the run is initialized.

    The convolutions and the classifier are frozen; a box for each class is learned from windows that contain
    half of an object or more. The store must have boxes. `predict` and `evaluate` accept the run.

    Source: Sermanet et al. 2013 (arXiv:1312.6229), section 4; learning rate and epochs are this
    project's (docs/deviations.md).
    Expected: 30.0 % localization error on ILSVRC-2012 validation, four scales, one box for all classes.
    """
    begun = overfeat_fast()
    shares = [(begun.data.input_size / scale) ** 2 for scale in (_TEST_SCALES[-1], _TEST_SCALES[0])]
    return replace(
        begun,
        recipe="overfeat-fast-localization",
        data=replace(
            begun.data,
            cropping="random-resized",
            resized_area=(round(shares[0], 2), round(shares[1], 2)),
            resized_aspect=(1.0, 1.0),
        ),
        model=replace(begun.model, name="overfeat-localizer"),
        optimizer=replace(begun.optimizer, lr=0.01),
        schedule=ScheduleConfig(name="cosine", epochs=20),
        training=replace(begun.training, loss="boxes", fine_tuning=True),
    )


def overfeat_fast_detection() -> RunConfig:
    """Detection of all objects of an image, with an additional background class, on top of a trained
    localization.

    The run is initialized from one of `overfeat-fast-localization`. All layers are trained on windows at all
    positions of an image: a few with an object, some without, and the worst of those without. Boxes are
    trained on windows with an object. The store must have boxes; `compose` makes scenes from a store with one
    object per photo. `predict` and `evaluate` accept the run. If the localization was trained on smaller
    crops, set their size as the window, such as `window=72`, and a larger `input_size`.

    Source: Sermanet et al. 2013 (arXiv:1312.6229), section 5; sizes, learning rate and epochs are
    this project's (docs/deviations.md).
    Expected: 0.194 mean average precision on ILSVRC-2013 detection, 0.243 after the contest.
    """
    begun = overfeat_fast_localization()
    return replace(
        begun,
        recipe="overfeat-fast-detection",
        data=replace(
            begun.data, image_size=384, input_size=327, test_scales=(384, 512, 768), resized_area=(0.4, 1.0)
        ),
        model=replace(
            begun.model,
            name="overfeat-detector",
            architecture=replace(OVERFEAT_VARIANTS["fast"], window=begun.data.input_size),
        ),
        optimizer=replace(begun.optimizer, lr=0.005),
        schedule=ScheduleConfig(name="cosine", epochs=10),
        training=replace(begun.training, batch_size=64, loss="objects"),
    )


def _classification(recipe: str, variant: str, crop: int) -> RunConfig:
    """Section 3.2: SGD with momentum 0.6, the learning rate halved after 30, 50, 60, 70 and 80 epochs."""
    return RunConfig(
        recipe=recipe,
        data=DataConfig(input_size=crop, test_scales=_TEST_SCALES, normalization="mean-and-std"),
        model=ModelConfig(name="overfeat", variant=variant),
        optimizer=OptimizerConfig(
            name="sgd",
            lr=0.05,
            momentum=0.6,
            weight_decay=1e-5,
            bias_lr_multiplier=1.0,
            bias_weight_decay=True,
        ),
        schedule=ScheduleConfig(name="milestones", epochs=90, milestones=(30, 50, 60, 70, 80), factor=0.5),
        training=TrainingConfig(batch_size=128),
    )


RECIPES = (overfeat_fast, overfeat_accurate, overfeat_fast_localization, overfeat_fast_detection)

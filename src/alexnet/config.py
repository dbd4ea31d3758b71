"""One run's whole configuration: frozen dataclasses, to and from JSON, and `override("a.b=3")`.

A recipe (`alexnet.recipes`) returns one `RunConfig`; `RUN/config.json` holds it. Everything that can
change a number is a field here; what only changes speed (threads, device) is an argument of a command.
Errors are `ConfigError`, one line that names the nearest right key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from alexnet.box_config import SLIDING, box_checks
from alexnet.classic_config import SHARED, ClassicConfig, classic_checks, classic_hint
from alexnet.optimizer_config import OptimizerConfig, optimizer_checks
from alexnet.plain import ConfigError, from_dict, to_dict, unknown_key
from alexnet.schedule_config import ScheduleConfig, schedule_checks

__all__ = ["ConfigError", "OptimizerConfig", "ScheduleConfig", "from_dict", "to_dict"]  # what they travel by


@dataclass(frozen=True)
class DataConfig:
    """How stored images become the net's input; sizes in pixels."""

    side: int = 256
    """Side of the stored square; the store must have been prepared with it."""
    crop: int = 224
    """Side of the square the net sees."""
    channels: int = 3
    """3 for colour, 1 for grey; the store must have been prepared with as many."""
    images: int = 0
    """Training images, as many of each class; 0 is all. See `data.subset`; statistics are of all images."""
    scales: tuple[int, int] = (0, 0)
    """Range of the shorter side that a training photo is resized to before it is cropped, drawn anew for each
    photo and epoch; (0, 0) crops the stored square as it is. It wants a store of whole photos."""
    test_scales: tuple[int, ...] = ()
    """Shorter sides that a whole photo is tested at (`evaluate --views dense`), if no others are typed; empty
    is `test_scale` alone."""
    cropping: Literal["random", "random-resized", "centre"] = "random"
    """Training crops: a random offset (paper, section 4.1), a random area and aspect (Szegedy 2014), none."""
    resized_area: tuple[float, float] = (0.08, 1.0)
    """Range of the area fraction of `random-resized`."""
    resized_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    """Range of the aspect ratio of `random-resized`."""
    images_per_draw: int = 1
    """Consecutive images that share one crop offset and mirroring; the 2012 source drew once per 32."""
    mirror: bool = True
    """Mirror every second image, at random."""
    color_noise: Literal["none", "source", "paper"] = "none"
    """PCA noise: standard deviations x strength, then / 1.1 (source); eigenvalues x strength (paper)."""
    color_noise_strength: float = 0.1
    color_jitter: float = 0.0
    """Brightness, contrast and saturation each multiplied by a draw from 1 -+ this; 0 is off."""
    erasing: float = 0.0
    """Probability that a random rectangle is set to the mean (Zhong 2017)."""
    normalization: Literal["mean-image", "channel-mean", "mean-and-std", "range"] = "mean-image"
    """Subtracted from 0..255 values; `mean-and-std` also divides by the channel's standard deviation.
    `range` knows no mean: it takes 0..255 to `data.range` in a straight line."""
    range: tuple[float, float] = (-0.1, 1.175)
    """What `range` makes of black and of white. LeCun 1998, section II.B: -0.1 and 1.175, for a mean of
    about 0 (and a variance of about 1, it says; of MNIST's 28 x 28 pixels it is 0.15)."""
    mean_position: Literal["centre", "crop"] = "centre"
    """Part of the mean image subtracted: always its centre (2012 source) or the crop's place (Caffe)."""
    order: Literal["each-epoch", "once"] = "each-epoch"
    """Shuffle anew each epoch, or once for all epochs as the 2012 source did."""

    @property
    def test_scale(self) -> int:
        """Shorter side of a photo in the test, in pixels: that of training, or the middle of its range.

        Source: Simonyan and Zisserman 2014, section 4.1.
        """
        return (self.scales[0] + self.scales[1]) // 2 if any(self.scales) else self.side


@dataclass(frozen=True)
class ModelConfig:
    """Which net; the number of classes comes from the store."""

    name: str = "alexnet"
    variant: str = "2012"
    dropout: float = 0.5
    """Probability that a unit of the last hidden layers (fc6 and fc7) is silent; 0 is off."""
    activation: str = ""
    """`relu`, `tanh`, ...; empty is the variant's own."""
    bottleneck: int = 0
    """Units of a linear layer between fc7 and fc8, for very many classes (2,048 in 2012); 0 is none."""
    towers_on: str = ""
    """Two devices, `cuda:0,cuda:1` or `cpu,cpu`, to train a tower each on; empty is both on one."""


@dataclass(frozen=True)
class Event:
    """Something that happens once, at a share of the schedule's epochs."""

    at: float
    """Share of the schedule, 0..1."""
    action: Literal["layer-factor", "color-noise-off"]
    layer: str = ""
    value: float = 0.0
    """`layer-factor`: the layer's learning-rate factor from now on; 0 freezes it."""


@dataclass(frozen=True)
class TrainingConfig:
    """The rest of a training run."""

    seed: int = 0
    batch: int = 128
    """Images per update, over all processes and micro-batches."""
    accumulation: int = 1
    """Micro-batches a process splits its share of a batch into; the update is the same but for rounding."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of matrix products and convolutions (autocast); weights, normalisers and loss stay float32."""
    loss: Literal["cross-entropy", "squared-error", "rbf", "boxes", "objects"] = "cross-entropy"
    """What training makes small (`training.losses`); `rbf`, of LeNet-5, wants logits that are distances,
    `boxes` and `objects`, of OverFeat, its nets for boxes (`box_config`) and a store that has them."""
    fine_tuning: bool = False
    """The run must begin with a trained net's weights: `train` wants `--init-from`."""
    label_smoothing: float = 0.0
    mixup: float = 0.0
    """Beta parameter of mixup (Zhang 2017); 0 is off."""
    cutmix: float = 0.0
    """Beta parameter of CutMix (Yun 2019); 0 is off. With mixup on too, each batch draws one of them."""
    weight_average: float = 0.0
    """Decay per step of a moving average of the weights, which is then what is tested; 0 is off."""
    evaluate_every_epochs: int = 1
    log_every_steps: int = 20
    checkpoint_every_minutes: float = 10.0


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run but the store."""

    recipe: str
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    events: tuple[Event, ...] = ()
    classic: ClassicConfig | None = None
    """A classic pipeline in place of a net; None for nets. Then `model` has no meaning."""


def usual_crop(side: int, net: str = "alexnet") -> int:
    """The crop that goes with stored squares of `side` pixels, in the proportion of 224 to 256.

    OverFeat reads whole steps of 32 pixels, 231 of 256, with up to 3 more that it need not.
    """
    if net.startswith("overfeat"):
        read = 32 * ((side - 7) // 32) + 7
        return side if side < max(71, read + 4) else read
    return min(side, max(64, 8 * round(side * 7 / 64)))


def override(config: RunConfig, settings: Iterable[str]) -> RunConfig:
    """`config` with each `dotted.name=value` applied; the value is read as the field's type.

    Lists are JSON (`data.resized_area=[0.3,1]`). ConfigError names the nearest key that exists, or refuses
    what would change nothing in a classic pipeline.
    """
    values = to_dict(config)
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting!r} is not key=value, such as schedule.epochs=30")
        _set(values, name, text)
    changed = validate(from_dict(RunConfig, values))
    if changed.classic is not None:
        _refuse_without_effect(config, changed)
    return changed


def keys(config: RunConfig) -> list[str]:
    """All dotted names that `override` accepts."""
    values = to_dict(config)
    nested = {name: part for name, part in values.items() if isinstance(part, dict)}
    return [f"{name}.{key}" for name, part in nested.items() for key in part] + ["events"]


def validate(config: RunConfig) -> RunConfig:
    """`config` itself, or ConfigError where values do not fit together."""
    data, training = config.data, config.training
    _refuse_not_finite(config)
    checks = [
        (
            data.crop <= data.side,
            f"data.crop={data.crop} is larger than data.side={data.side}: "
            f"type data.crop={usual_crop(data.side, config.model.name)} or less",
        ),
        (data.channels in (1, 3), f"data.channels={data.channels} must be 3 (colour) or 1 (grey)"),
        (
            data.channels == 3 or (data.color_noise == "none" and data.color_jitter == 0),
            "grey images have no colours to change: type data.color_noise=none data.color_jitter=0",
        ),
        (data.images >= 0, "data.images must be at least 0, which is all"),
        *(_scale_checks(data) if any(data.scales) else ()),
        (
            config.model.name == SLIDING or min(data.test_scales, default=data.crop) >= data.crop,
            f"data.test_scales must be data.crop={data.crop} or more",
        ),
        (
            max(data.test_scales, default=0) <= 2 * data.side,
            f"data.test_scales={list(data.test_scales)} are more than twice data.side={data.side}: "
            f"type data.test_scales=[{data.side},{3 * data.side // 2}], or [] for their own side",
        ),
        (data.range[0] < data.range[1], "data.range must rise: black first, then white"),
        (data.images_per_draw >= 1, "data.images_per_draw must be at least 1"),
        (0 < data.resized_area[0] <= data.resized_area[1] <= 1, "data.resized_area must rise within (0, 1]"),
        (
            0 < data.resized_aspect[0] <= data.resized_aspect[1],
            "data.resized_aspect must rise and be above 0",
        ),
        (0 <= data.color_jitter < 1, "data.color_jitter must be in [0, 1)"),
        (0 <= data.erasing <= 1, "data.erasing must be in [0, 1]"),
        *schedule_checks(config.schedule),
        (training.evaluate_every_epochs >= 1, "training.evaluate_every_epochs must be at least 1"),
        (training.log_every_steps >= 1, "training.log_every_steps must be at least 1"),
        (min(training.mixup, training.cutmix) >= 0, "training.mixup and training.cutmix must be at least 0"),
        (training.batch >= 1, "training.batch must be at least 1"),
        (1 <= training.accumulation <= training.batch, "training.accumulation must be 1..training.batch"),
        (0 <= config.model.dropout < 1, "model.dropout must be in [0, 1)"),
        (config.model.bottleneck >= 0, "model.bottleneck must be at least 0"),
        *optimizer_checks(config.optimizer),
        (0 <= training.label_smoothing < 1, "training.label_smoothing must be in [0, 1)"),
        (0 <= training.weight_average < 1, "training.weight_average must be in [0, 1)"),
        (
            training.loss != "rbf" or (config.model.name, config.model.variant) == ("lenet", "5"),
            "training.loss=rbf wants the distances that LeNet-5 gives: type training.loss=cross-entropy",
        ),
        *box_checks(training.loss, config.model.name, data.scales),
        (all(0 <= event.at <= 1 for event in config.events), "events' `at` must be in [0, 1]"),
        *(classic_checks(config.classic) if config.classic else ()),
    ]
    for holds, message in checks:
        if not holds:
            raise ConfigError(message)
    return config


def _scale_checks(data: DataConfig) -> list[tuple[bool, str]]:
    """What must hold, and what is said where it does not, of photos that are resized for training."""
    return [
        (
            data.crop <= data.scales[0] <= data.scales[1] <= data.side,
            f"data.scales={list(data.scales)} must rise from data.crop={data.crop} or more to data.side="
            f"{data.side} or less: type data.scales=[{data.side},{data.side}] for a store of whole photos, "
            "[0,0] for one of squares",
        ),
        (data.cropping == "random", "data.scales goes with data.cropping=random only"),
        (
            data.normalization != "mean-image",
            "data.scales has no mean image at every scale: type data.normalization=channel-mean",
        ),
    ]


def _refuse_not_finite(config: RunConfig) -> None:
    for key in keys(config):
        section, _, name = key.partition(".")
        value = getattr(getattr(config, section), name) if name else 0.0
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{key}={value} is not a finite number")


def _refuse_without_effect(before: RunConfig, after: RunConfig) -> None:
    """ConfigError where a classic pipeline is given what only nets have."""
    old, new = to_dict(before), to_dict(after)
    for key in keys(after):
        section, _, name = key.partition(".")
        same = old[section][name] == new[section][name] if name else old[section] == new[section]
        if not same and section != "classic" and key not in SHARED:
            raise ConfigError(
                f"{key} is of nets, which {after.recipe} is not: beside classic.* it takes "
                + ", ".join(SHARED)
            )


def _set(values: dict[str, Any], name: str, text: str) -> None:
    """Puts the text of one `name=text` into nested plain values, leaving types to `from_dict`."""
    names = keys(from_dict(RunConfig, values))
    section, _, key = name.partition(".")
    if name not in names:
        hint = classic_hint(key, values["recipe"], values["classic"] is not None)
        raise ConfigError(hint if section == "classic" and hint else unknown_key(name, names))
    if key:
        values[section][key] = text
    else:
        values[section] = text

"""One run's whole configuration: frozen dataclasses, to and from JSON, and `override("a.b=3")`.

A recipe (`alexnet.recipes`) returns one `RunConfig`; `RUN/config.json` holds it. Everything that can
change a number is a field here; what only changes speed (threads, device) is an argument of a command.
Errors are `ConfigError`, one line that names the nearest right key.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from alexnet.classic.config import SHARED, ClassicConfig, classic_checks, classic_hint
from alexnet.data.config import DataConfig, default_input_size
from alexnet.models.config import ModelConfig
from alexnet.optim.config import OptimizerConfig, ScheduleConfig, optimizer_checks, schedule_checks
from alexnet.serialization import ConfigError, from_dict, to_dict, unknown_key
from alexnet.tasks.config import slides_window, task_checks
from alexnet.training.config import Event, TrainingConfig

__all__ = ["ConfigError", "OptimizerConfig", "ScheduleConfig", "from_dict", "to_dict"]  # what they travel by


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
            data.input_size <= data.image_size,
            f"data.input_size={data.input_size} is larger than data.image_size={data.image_size}: "
            f"type data.input_size={default_input_size(data.image_size, config.model.name)} or less",
        ),
        (data.channels in (1, 3), f"data.channels={data.channels} must be 3 (color) or 1 (gray)"),
        (
            data.channels == 3 or (data.pca_lighting == "none" and data.color_jitter == 0),
            "gray images have no colors to change",
            "type data.pca_lighting=none data.color_jitter=0",
        ),
        (data.max_images >= 0, "data.max_images must be at least 0, which is all"),
        *(_scale_checks(data) if any(data.scales) else ()),
        (
            slides_window(config.model.name)
            or min(data.test_scales, default=data.input_size) >= data.input_size,
            f"data.test_scales must be data.input_size={data.input_size} or more",
        ),
        (
            max(data.test_scales, default=0) <= 2 * data.image_size,
            f"data.test_scales={list(data.test_scales)} are more than twice "
            f"data.image_size={data.image_size}: "
            f"type data.test_scales=[{data.image_size},{3 * data.image_size // 2}], or [] for their own side",
        ),
        (data.range[0] < data.range[1], "data.range must rise: black first, then white"),
        (data.images_per_draw >= 1, "data.images_per_draw must be at least 1"),
        (0 < data.resized_area[0] <= data.resized_area[1] <= 1, "data.resized_area must rise within (0, 1]"),
        (
            0 < data.resized_aspect[0] <= data.resized_aspect[1],
            "data.resized_aspect must rise and be above 0",
        ),
        (0 <= data.color_jitter < 1, "data.color_jitter must be in [0, 1)"),
        (0 <= data.random_erasing <= 1, "data.random_erasing must be in [0, 1]"),
        *schedule_checks(config.schedule),
        (training.evaluate_every_epochs >= 1, "training.evaluate_every_epochs must be at least 1"),
        (training.log_every_steps >= 1, "training.log_every_steps must be at least 1"),
        (min(training.mixup, training.cutmix) >= 0, "training.mixup and training.cutmix must be at least 0"),
        (training.batch_size >= 1, "training.batch_size must be at least 1"),
        (
            1 <= training.grad_accum_steps <= training.batch_size,
            "training.grad_accum_steps must be 1..training.batch_size",
        ),
        (0 <= config.model.dropout < 1, "model.dropout must be in [0, 1)"),
        (config.model.bottleneck >= 0, "model.bottleneck must be at least 0"),
        *optimizer_checks(config.optimizer),
        (0 <= training.label_smoothing < 1, "training.label_smoothing must be in [0, 1)"),
        (0 <= training.ema_decay < 1, "training.ema_decay must be in [0, 1)"),
        (
            training.loss != "rbf" or (config.model.name, config.model.variant) == ("lenet", "5"),
            "training.loss=rbf wants the distances that LeNet-5 gives: type training.loss=cross-entropy",
        ),
        *task_checks(training.loss, config.model.name, data.scales),
        (all(0 <= event.at <= 1 for event in config.events), "events' `at` must be in [0, 1]"),
        *(classic_checks(config.classic) if config.classic else ()),
    ]
    for holds, *message in checks:  # what is wrong and, where it stands alone, what to type
        if not holds:
            raise ConfigError(*message)
    return config


def _scale_checks(data: DataConfig) -> list[tuple[bool, str]]:
    """What must hold, and what is said where it does not, of photos that are resized for training."""
    return [
        (
            data.input_size <= data.scales[0] <= data.scales[1] <= data.image_size,
            f"data.scales={list(data.scales)} must rise from data.input_size={data.input_size} or more to "
            f"data.image_size={data.image_size} or less: type "
            f"data.scales=[{data.image_size},{data.image_size}] for a store of whole photos, "
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

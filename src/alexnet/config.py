"""One run's whole configuration: frozen dataclasses, to and from JSON, and `override("a.b=3")`.

A recipe (`alexnet.recipes`) returns one `RunConfig`; `RUN/config.json` holds it. Everything that can
change a number is a field here; what only changes speed (threads, device) is an argument of a command.
Errors are `ConfigError`, one line that names the nearest right key.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from alexnet import old_names
from alexnet.classic.config import SHARED_KEYS, ClassicConfig, classic_checks, classic_hint
from alexnet.data.config import DataConfig, data_checks
from alexnet.models.config import VARIANTS, ModelConfig, family_of
from alexnet.optim.config import OptimizerConfig, ScheduleConfig, optimizer_checks, schedule_checks
from alexnet.serialization import ConfigError, UnknownKeyError, from_dict, range_checks, to_dict
from alexnet.tasks.config import slides_window, task_checks
from alexnet.training.config import Event, TrainingConfig, training_checks

__all__ = ["ConfigError", "OptimizerConfig", "ScheduleConfig", "from_dict", "to_dict"]


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run, except the store."""

    recipe: str
    """The recipe that the run starts from; `alexnet recipes` lists them."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    events: tuple[Event, ...] = ()
    """Changes at given points of the schedule."""
    classic: ClassicConfig | None = None
    """A classic pipeline instead of a network, in which case `model` has no meaning; None for networks."""


def config_from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The configuration in a file of any version; ConfigError if it is none, or values are out of range."""
    return validate(from_dict(RunConfig, old_names.new_config(values)))


def override(config: RunConfig, settings: Iterable[str]) -> RunConfig:
    """`config` with each `key=value` applied from left to right; the value is parsed as the field's type.

    A key is a dotted name, such as `schedule.epochs`, or any ending of it that belongs to one field only,
    such as `epochs`. Lists are JSON (`data.resized_area=[0.3,1]`). `model.variant` sets all of
    `model.architecture`; settings of single constants then change it, also those before the first variant.

    ConfigError for unknown, ambiguous and old keys, for values of a wrong type or range, and for settings
    that a classic pipeline does not have. The message includes what to type.
    """
    changed = validate(_changed(config, settings))
    if changed.classic is not None:
        _refuse_without_effect(config, changed)
    return changed


def _changed(config: RunConfig, settings: Iterable[str]) -> RunConfig:
    """As `override`, but values may be out of range and may not fit together."""
    values = to_dict(config)
    for key, text in resolve(config, settings):
        if key == "model.name":
            _set_name(values["model"], text)
        elif key == "model.variant":
            _set_variant(values["model"], text)
        else:
            _set(values, key, text)
    try:
        return from_dict(RunConfig, values)
    except UnknownKeyError as error:  # within a list, such as classic.channels
        if new := old_names.new_key(error.key):
            raise ConfigError(f"unknown key {error.key!r}; type {new}") from error
        raise


def check_settings(config: RunConfig, settings: Iterable[str]) -> list[str]:
    """The keys of the settings, in full, in their order.

    ConfigError for unknown keys, wrong types and values out of range, not for values that do not fit
    together.
    """
    given = list(settings)
    changed = _changed(config, given)
    for name in ("data", "model", "optimizer", "schedule", "training", "classic"):
        section = getattr(changed, name)
        for is_valid, message in range_checks(section, f"{name}.") if section is not None else ():
            if not is_valid:
                raise ConfigError(message)
    values = to_dict(_changed(config, [each for each in given if each.startswith("model.name=")]))
    return [_full_key(*split_setting(each), values) for each in given]


def resolve(config: RunConfig, settings: Iterable[str]) -> list[tuple[str, str]]:
    """The keys of the settings, in full, and their texts, in the order in which they apply.

    `model.name` comes first, then the first `model.variant`. ConfigError as `override`.
    """
    pairs, values = list(map(split_setting, settings)), to_dict(config)
    resolved: list[tuple[str, str]] = []
    # The model's family decides which keys there are.
    for name, text in sorted(pairs, key=lambda pair: pair[0] != "model.name"):
        key = _full_key(name, text, values)
        resolved.append((key, text))
        if key == "model.name":
            _set_name(values["model"], text)
    first_variant = next((each for each in resolved if each[0] == "model.variant"), None)
    if first_variant is not None:
        resolved.remove(first_variant)
        names = sum(key == "model.name" for key, _ in resolved)
        resolved.insert(names, first_variant)
    return resolved


def sizes_of_store(config: RunConfig, settings: Iterable[str], side: int) -> list[str]:
    """The settings `data.image_size` and `data.input_size` that `settings` lack for stored images of `side`.

    They are what follows from the store: its side, and the crop in the configuration's proportion
    (`scaled_input_size` of the architecture). Empty if the configuration has that side already, or if
    `settings` contain another one, which a store of this side then contradicts.
    """
    settings = list(settings)
    typed = dict(resolve(config, settings))
    if side == config.data.image_size or typed.get("data.image_size", str(side)) != str(side):
        return []
    model = _changed(config, settings).model
    follow = {
        "data.image_size": side,
        "data.input_size": model.architecture.scaled_input_size(side, config.data),
    }
    return [f"{key}={value}" for key, value in follow.items() if key not in typed]


def at_size_of_store(
    config: RunConfig, settings: Sequence[str], side: int, log: Callable[[str], None]
) -> RunConfig:
    """`config` with `settings`, and with the sizes that follow from a store whose images have that side.

    Logs a line with what was taken from the store. Errors as `override`.
    """
    taken = sizes_of_store(config, settings, side)
    if not taken:
        return override(config, settings)
    about = f"{' '.join(taken)}, since the store's images have {side} pixels"
    try:
        made = override(config, [*taken, *settings])
    except ConfigError as error:
        raise ConfigError(f"{about}; then {error}") from error
    log(f"{about} ({config.recipe}: {config.data.input_size} of {config.data.image_size})")
    return made


def flatten(config: RunConfig) -> dict[str, Any]:
    """Each setting that `override` accepts, by its dotted name, as a plain value for JSON."""
    return dict(_leaves(to_dict(config)))


def changes(before: RunConfig, after: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The settings in which two configurations differ, by dotted name: (before, after).

    The value is None for a setting that one of them does not have, as with another family of models.
    """
    old, new = flatten(before), flatten(after)
    return {key: (old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)}


def validate(config: RunConfig) -> RunConfig:
    """`config` itself, or ConfigError if values are out of range or do not fit together."""
    data, model, training = config.data, config.model, config.training
    _refuse_not_finite(config)
    checks = [
        (
            data.input_size <= data.image_size,
            f"data.input_size={data.input_size} is larger than data.image_size={data.image_size}: it must be "
            f"at most {data.image_size}, such as data.input_size="
            f"{model.architecture.scaled_input_size(data.image_size, DataConfig())}",
        ),
        (
            slides_window(model.name) or min(data.test_scales, default=data.input_size) >= data.input_size,
            f"data.test_scales must be data.input_size={data.input_size} or more",
        ),
        *data_checks(data),
        *range_checks(model, "model."),
        *optimizer_checks(config.optimizer),
        *schedule_checks(config.schedule),
        *training_checks(training),
        (
            config.schedule.epochs >= 1 or training.fit_last_layer,
            "schedule.epochs must be at least 1, or 0 with training.fit_last_layer=yes",
        ),
        (
            not training.fit_last_layer or training.loss == "cross-entropy",
            "training.fit_last_layer fits by cross-entropy: type training.loss=cross-entropy",
        ),
        (
            training.loss != "rbf" or (model.name, model.variant) == ("lenet", "5"),
            "training.loss=rbf needs the distances that LeNet-5 outputs: type training.loss=cross-entropy",
        ),
        (
            training.class_weights == "none" or training.loss == "cross-entropy",
            f"training.class_weights weighs training.loss=cross-entropy, not {training.loss}: "
            "type training.class_weights=none, or data.sampling=balanced",
        ),
        (
            training.class_weights == "none" or data.sampling != "balanced",
            "training.class_weights=balanced and data.sampling=balanced would both balance the classes, so "
            "that rare ones get too much weight: type only one of them",
        ),
        *task_checks(training.loss, model.name, data.scales),
        *(check for event in config.events for check in range_checks(event, "events: ")),
        *(classic_checks(config.classic) if config.classic else ()),
    ]
    for holds, message in checks:
        if not holds:
            raise ConfigError(message)
    return config


def _leaves(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{where}{name}.")
        elif where or name == "events":
            yield where + name, value


_SMALLEST, _LARGEST = 1e-18, 1e18
"""Products of two numbers in this range are 32-bit floating-point numbers."""


def _refuse_not_finite(config: RunConfig) -> None:
    for key, value in flatten(config).items():
        for number in _numbers_in(value):
            where = f"{key}={value}" if number is value else f"{key}: {number}"
            if not math.isfinite(number):
                raise ConfigError(f"{where} is not a finite number")
            if number and not _SMALLEST <= abs(number) <= _LARGEST:
                raise ConfigError(f"{where} must be 0, or between {_SMALLEST:g} and {_LARGEST:g}")


def _numbers_in(value: Any) -> Iterator[float]:
    """The floating-point numbers in a value for JSON, at any depth."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, list | dict):
        for each in cast("list[Any]", list(value.values()) if isinstance(value, dict) else value):
            yield from _numbers_in(each)


def _refuse_without_effect(before: RunConfig, after: RunConfig) -> None:
    """ConfigError if a classic pipeline gets a setting of networks."""
    for key in changes(before, after):
        if not _has_effect(key):
            raise ConfigError(
                f"{key} is a setting of networks, which {after.recipe} is not: "
                f"in addition to classic.* it takes {', '.join(SHARED_KEYS)}"
            )


def _has_effect(key: str) -> bool:
    """Whether a classic pipeline has that setting."""
    return key.startswith("classic.") or key in SHARED_KEYS


def split_setting(setting: str) -> tuple[str, str]:
    """Key and text of `key=value`; ConfigError if it is none."""
    name, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(f"{setting!r} is not key=value, such as schedule.epochs=30")
    return name, text


def _full_key(name: str, text: str, values: Mapping[str, Any]) -> str:
    """The dotted name of the setting that `name` is, or of the only one that ends in it."""
    keys, is_classic = [key for key, _ in _leaves(values)], values["classic"] is not None
    if name in keys:
        return name
    found = [key for key in keys if key.endswith(f".{name}")]
    if is_classic:
        found = [key for key in found if _has_effect(key)] or found
    if len(found) > 1:
        raise ConfigError(f"{name} is the ending of {len(found)} keys: type {' or '.join(found)}")
    if found:
        return found[0]
    if new := old_names.new_key(name):
        raise ConfigError(f"unknown key {name!r}; type {new}={text}")
    if group := _group_hint(name, text, keys):
        raise ConfigError(group)
    section, _, field_name = name.partition(".")
    if section == "classic" and (hint := classic_hint(field_name, values["recipe"], is_classic)):
        raise ConfigError(hint)
    raise UnknownKeyError(name, keys)


def _group_hint(name: str, text: str, keys: Iterable[str]) -> str:
    """What to type if `name` is a group of settings; empty if it is not."""
    within = [key for key in keys if key.startswith(f"{name}.")]
    if not within:
        return ""
    if f"{name}.name" in within:
        return f"{name} is a group of settings: type {name}.name={text}"
    return f"{name} is a group of settings: type one of them, such as {within[0]}=..."


def _set(values: dict[str, Any], key: str, text: str) -> None:
    """Puts the text of a setting into nested plain values; `from_dict` parses it."""
    *parts, last = key.split(".")
    for part in parts:
        values = values[part]
    values[last] = text


def _set_name(model: dict[str, Any], name: str) -> None:
    """Sets the model's family, and its constants if the family changes."""
    if name in VARIANTS and family_of(name) is not family_of(model["name"]):
        variants = VARIANTS[name]
        model["architecture"] = to_dict(variants.get(model["variant"], next(iter(variants.values()))))
    model["name"] = name


def _set_variant(model: dict[str, Any], variant: str) -> None:
    """Sets the variant and its constants."""
    if old := old_names.new_settings([f"model.variant={variant}"])[1:]:
        first = variant.split()[0]
        raise ConfigError(
            f"{variant!r} is not a variant: constants are separate settings, type "
            + shlex.join([f"model.variant={first}", *old])
        )
    named = VARIANTS.get(model["name"], {})
    model["variant"] = variant
    if variant in named:
        model["architecture"] = to_dict(named[variant])

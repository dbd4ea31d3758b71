"""Names of earlier versions in the files that they wrote, and today's: the only module that knows old names.

Every reader of a configuration, of settings, of a weights file's metadata or of an evaluation first brings
what it read up to date here. No other module meets an old name, and none is written.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from alexnet.models.config import VARIANTS, architecture
from alexnet.serialization import from_dict, to_dict

KEYS: Mapping[str, str] = {
    "data.side": "data.image_size",
    "data.crop": "data.input_size",
    "data.images": "data.max_images",
    "data.erasing": "data.random_erasing",
    "data.color_noise": "data.pca_lighting",
    "data.color_noise_strength": "data.pca_lighting_strength",
    "model.towers_on": "model.tower_devices",
    "model.activation": "model.architecture.activation",
    "model.bottleneck": "model.architecture.bottleneck",
    "model.architecture.deviations": "model.architecture.init_std",
    "model.architecture.pool_rounds_up": "model.architecture.ceil_mode",
    "model.architecture.initialisation": "model.architecture.initialization",
    "optimizer.learning_rate": "optimizer.lr",
    "optimizer.layer_factors": "optimizer.lr_multipliers",
    "optimizer.bias_learning_rate_factor": "optimizer.bias_lr_multiplier",
    "schedule.drop_epochs": "schedule.milestones",
    "schedule.final_fraction": "schedule.min_lr_ratio",
    "training.weight_average": "training.ema_decay",
    "training.accumulation": "training.grad_accum_steps",
    "training.batch": "training.batch_size",
    "classic.channels.words": "classic.channels.codebook_size",
}
"""Old and new keys of a configuration, by their dotted names."""

_ALEXNETS_OWN = {"activation": "", "bottleneck": 0}
"""Keys of the model section that only AlexNet had, and their values where they had no effect."""
_VALUES = {"centre": "center"}
_RENAMED_VALUES = ("data.cropping", "data.mean_position")
_TERMS = {"weights_licence": "weights_license", "code_licence": "code_license"}
_BASELINES = {
    "whole image": "whole_image",
    "centre box of mean size": "center_box_of_mean_size",
    "class-mean box": "class_mean_box",
}

_SEVERAL = ("device", "processor", "cores", "python", "packages", "commit")
_CLAIM_COMPARISONS: Mapping[str, tuple[str, ...]] = {
    "relu": ("tanh", "sigmoid"),
    "lrn": ("error", "no-effect", "memory", "time"),
    "overlap": ("error", "average-pooling", "overfitting"),
    "dropout": ("overfitting", "epochs", "error", "weight-decay", "inverted-form", "ridge"),
    "bias-one": ("early-error", "kaiming-error", "kaiming-early-error"),
    "schedules": ("plateau-or-constant", "plateau-or-cosine"),
    "augmentation": ("crops", "color-noise-of-the-source", "color-noise-of-the-text", "overfitting"),
    "averaging": ("ten-crops", "2-models", "3-models", "5-models"),
    "more-data": (
        *("photos-1-of-8-to-1-of-4", "photos-1-of-4-to-1-of-2", "photos-1-of-2-to-all"),
        *("lenet-5-to-half-as-wide", "half-as-wide-to-common", "common-to-twice-as-wide"),
    ),
    "towers-and-depth": ("one-tower", "conv2", "conv3", "conv4", "conv5", "fc7"),
    "features-travel": ("10-a-class", "30-a-class", "100-a-class"),
}
_MEASURES: Mapping[str, str] = {
    "validation error": "validation-error",
    "validation error less training error": "overfitting",
    "training error after epoch 2": "training-error-after-2",
    "epochs to a training error of 25 %": "epochs-to-25",
    "validation error, center view": "error-center",
    "validation error, centre view": "error-center",
    "validation error, ten views": "error-ten",
    **{f"errors of one net less those of {nets} averaged": f"gain-of-{nets}" for nets in (2, 3, 5)},
    "difference of probabilities": "inverted-dropout",
    "relative difference of weights": "linear-dropout",
    **{
        f"error of a linear classifier of features, {number} photos a class": f"features-error-{number}"
        for number in (10, 30, 100)
    },
    "seconds of an update": "update-seconds",
    "megabytes of an update": "update-megabytes",
}


VERBS: Mapping[str, str] = {"classify": "predict", "localize": "predict", "detect": "predict"}
"""Commands."""


def new_key(name: str) -> str:
    """Today's name of an old key, given whole or by an ending of it; empty if it is not an old one."""
    found = {new for old, new in KEYS.items() if old == name or old.endswith(f".{name}")}
    return found.pop() if len(found) == 1 else ""


def new_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """A `RunConfig` as plain values, from those of any version; unknown keys are left for its parser.

    ConfigError if the text of an old variant sets what does not exist.
    """
    return {
        section: _new_section(section, part) if isinstance(part, dict) else part
        for section, part in values.items()
    }


def new_settings(settings: Iterable[str]) -> list[str]:
    """Settings `key=value`, from those that any version wrote into its files."""
    made: list[str] = []
    for setting in settings:
        key, _, text = setting.partition("=")
        if key == "model.variant":
            variant, changes = _parsed_variant(text)
            made.append(f"model.variant={variant}")
            made += [f"model.architecture.{name}={value}" for name, value in changes.items()]
            continue
        if key == "classic.channels":
            text = json.dumps(_new_channels(json.loads(text)))
        elif key in _RENAMED_VALUES:
            text = _VALUES.get(text, text)
        made.append(f"{KEYS.get(key, key)}={text}")
    return made


def new_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """The data section alone, as it stands in a weights file's preprocessing."""
    return _new_section("data", values)


def new_source(values: Mapping[str, Any]) -> dict[str, Any]:
    """The `source` entry of a store's manifest, from one of any version."""
    made = dict(values)
    if "classes" in made:  # such as "10 of 1000"
        made["class_filter"], _, count = made.pop("classes").rpartition(" of ")
        made["unfiltered_classes"] = int(count)
    return made


def new_terms(terms: Mapping[str, str]) -> dict[str, str]:
    """License and data terms that travel with weights."""
    return {_TERMS.get(name, name): text for name, text in terms.items()}


def new_environment(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an `environment.json`; version 0.1 kept the store's path only in the command line."""
    if "store_path" in values:
        return dict(values)
    words = shlex.split(values.get("command", ""))
    apart = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    typed = [value for option, value in pairwise(apart) if option == "--store"]
    return {**values, "store_path": typed[-1] if typed else ""}


def new_evaluation(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of `evaluation.json`, from one of any version."""
    made = dict(entry)
    if "views" in made:
        made["views"] = new_views(made["views"])
    located = made.get("localization")
    if located and "baselines" in located:
        renamed = {_BASELINES.get(name, name): each for name, each in located["baselines"].items()}
        made["localization"] = located | {"baselines": renamed}
    return made


def new_views(name: str) -> str:
    """The name of a set of views."""
    return _VALUES.get(name, name)


def predictions_file(path: Path) -> Path:
    """`path`, or where an earlier version kept the same predictions if there is nothing at `path`."""
    if path.exists():
        return path
    old = path.with_name(path.name.replace("-center", "-centre"))
    return old if old.exists() else path


def new_claim(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a `claim.json` holds, from one of any version."""
    arms = {name: new_config(arm) for name, arm in values["arms"].items()}
    data = {**values["data"], "settings": new_settings(values["data"]["settings"])}
    made = {**values, "arms": arms, "data": data}
    if "format_version" in made:
        return made | {"comparisons": [dict(each) for each in values["comparisons"]]}
    environment = {
        name: [value] if name in _SEVERAL and not isinstance(value, list) else value
        for name, value in values["environment"].items()
    }
    ids = _CLAIM_COMPARISONS[values["id"]]
    comparisons = [_new_comparison(id_, each) for id_, each in zip(ids, values["comparisons"], strict=True)]
    return {"format_version": 0, **made, "environment": environment, "comparisons": comparisons}


def _new_comparison(id_: str, values: Mapping[str, Any]) -> dict[str, Any]:
    made = {"id": id_, **values, "measure": _MEASURES[values["measure"]]}
    del made["band_words"]
    count, over = made["over"].split()
    measured: list[dict[str, Any]] = []
    for name, numbers in values["values"].items():
        arm, _, measure = name.partition(": ")
        measured.append({"arm": arm, "measure": _MEASURES[measure], "values": numbers})
    return made | {"count": int(count), "over": over, "values": measured}


def _new_section(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    if section == "model":
        return _new_model(values)
    made: dict[str, Any] = {}
    for key, value in values.items():
        new = KEYS.get(f"{section}.{key}", f"{section}.{key}")
        if new in _RENAMED_VALUES:
            value = _VALUES.get(value, value)
        elif new == "classic.channels":
            value = _new_channels(value)
        made[new.removeprefix(f"{section}.")] = value
    return made


def _new_channels(channels: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {KEYS.get(f"classic.channels.{key}", key).rpartition(".")[2]: value for key, value in channel.items()}
        for channel in channels
    ]


def _new_model(values: Mapping[str, Any]) -> dict[str, Any]:
    """The model section; one without an architecture has it from the text of its variant."""
    made = {
        KEYS.get(f"model.{key}", key).removeprefix("model."): value
        for key, value in values.items()
        if key not in _ALEXNETS_OWN
    }
    name, text = made.get("name", "alexnet"), made.get("variant", "2012")
    if "architecture" in made or name not in VARIANTS:
        return made
    variant, changes = _parsed_variant(text)
    own = {key: values[key] for key, off in _ALEXNETS_OWN.items() if values.get(key, off) != off}
    named = architecture(name, variant)
    constants = from_dict(type(named), {**to_dict(named), **changes, **own}, "model.architecture.")
    return {**made, "variant": variant, "architecture": to_dict(constants)}


def _parsed_variant(text: str) -> tuple[str, dict[str, str]]:
    """`2012 widths=[8,16] pool_rounds_up=no` as the variant's name and the text of each constant."""
    # Several spaces would be tried again and again, at each of them.
    variant, *changes = re.split(r" (?=\w+=)", " ".join(text.split()))
    constants: dict[str, str] = {}
    for change in changes:
        name, _, value = change.partition("=")
        if name == "stages":
            value = _new_stages(value)
        constants[KEYS.get(f"model.architecture.{name}", name).rpartition(".")[2]] = value
    return variant, constants


def _new_stages(text: str) -> str:
    """`["lrn+pool", ...]` as `[["lrn", "pool"], ...]`; anything else as it is."""
    try:
        stages = json.loads(text)
    except json.JSONDecodeError:
        return text
    if not isinstance(stages, list):
        return text
    entries: list[Any] = stages
    return json.dumps([each.split("+") if isinstance(each, str) else each for each in entries])

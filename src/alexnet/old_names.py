"""Names of earlier versions in the files that they wrote, and today's: the only place that knows them.

Every reader of a configuration, of a weights file's metadata or of an evaluation brings what it read up to
date here first; nothing else ever sees an old name, and none is written.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

CONFIG_KEYS: Mapping[str, Mapping[str, str]] = {
    "data": {
        "side": "image_size",
        "crop": "input_size",
        "images": "max_images",
        "erasing": "random_erasing",
        "color_noise": "pca_lighting",
        "color_noise_strength": "pca_lighting_strength",
    },
    "model": {"towers_on": "tower_devices"},
    "optimizer": {"learning_rate": "lr", "layer_factors": "lr_multipliers"},
    "schedule": {"drop_epochs": "milestones", "final_fraction": "min_lr_ratio"},
    "training": {
        "weight_average": "ema_decay",
        "accumulation": "grad_accum_steps",
        "batch": "batch_size",
    },
}
"""Old and new fields of a configuration, by section."""

_VALUES = {"centre": "center"}
_TERMS = {"weights_licence": "weights_license", "code_licence": "code_license"}
_BASELINES = {
    "whole image": "whole_image",
    "centre box of mean size": "center_box_of_mean_size",
    "class-mean box": "class_mean_box",
}
_VARIANT_FIELDS = {"initialisation=": "initialization="}


def new_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """A `RunConfig` as plain values, from those of any version; unknown keys are left for its parser."""
    return {
        section: _new_section(section, part) if isinstance(part, dict) else part
        for section, part in values.items()
    }


def new_settings(settings: Iterable[str]) -> list[str]:
    """`key=value` settings with the keys of today, from those of any version."""
    made: list[str] = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        section, dot, name = key.partition(".")
        made.append(f"{section}{dot}{CONFIG_KEYS.get(section, {}).get(name, name)}{equals}{value}")
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
"""Ids of the comparisons in claim files of version 0, which have them in this order, without ids."""
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
"""Ids of what claims measure, by the sentences that stood in claim files of version 0."""
_SEVERAL = ("device", "processor", "cores", "python", "packages", "commit")


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
    keys = CONFIG_KEYS.get(section, {})
    made = {keys.get(key, key): value for key, value in values.items()}
    for key in ("cropping", "mean_position"):
        if section == "data" and made.get(key) in _VALUES:
            made[key] = _VALUES[made[key]]
    if section == "model" and isinstance(made.get("variant"), str):
        for old, new in _VARIANT_FIELDS.items():
            made["variant"] = made["variant"].replace(old, new)
    return made

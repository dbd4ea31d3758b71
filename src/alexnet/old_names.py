"""Names of earlier versions in the files that they wrote, and today's: the only place that knows them.

Every reader of a configuration, of a weights file's metadata or of an evaluation brings what it read up to
date here first; nothing else ever sees an old name, and none is written.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
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


def new_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """The data section alone, as it stands in a weights file's preprocessing."""
    return _new_section("data", values)


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


def class_filter(source: Mapping[str, Any]) -> str:
    """What `prepare --classes` was given, from a store's `source`; version 0.1 kept it as `3 of 10`."""
    return source.get("class_filter", "") or source.get("classes", "").rpartition(" of ")[0]


def new_views(name: str) -> str:
    """The name of a set of views."""
    return _VALUES.get(name, name)


def predictions_file(path: Path) -> Path:
    """`path`, or where an earlier version kept the same predictions if there is nothing at `path`."""
    if path.exists():
        return path
    old = path.with_name(path.name.replace("-center", "-centre"))
    return old if old.exists() else path


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

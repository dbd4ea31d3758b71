"""What a report says of a run without a picture: its configuration, environment, terms, size, commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from alexnet import recipes
from alexnet.config import RunConfig, to_dict
from alexnet.errors import CommandError
from alexnet.report.tables import ABSENT, Table, percent

Settings = Mapping[str, Any]
"""Values by their dotted names."""
_CHANGES_SHOWN = 4_000
"""Characters of a run's uncommitted changes."""


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Every field by its dotted name, as it is typed: `schedule.epochs`."""
    return dict(_flat(to_dict(config)))


def _flat(values: Mapping[str, Any], where: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        rows += _flat(value, f"{where}{key}.") if isinstance(value, dict) else [(where + key, value)]
    return rows


def changed(config: RunConfig) -> dict[str, tuple[Any, Any]] | None:
    """Fields that are not as in its recipe, with the recipe's values; None where there is no recipe."""
    try:
        recipe = settings_of(recipes.get(config.recipe))
    except CommandError:
        return None
    own = settings_of(config)
    return {key: (own.get(key), recipe.get(key)) for key in own | recipe if own.get(key) != recipe.get(key)}


def configuration(config: RunConfig) -> Table:
    """All fields; what is not as in the recipe is marked."""
    apart = changed(config) or {}
    rows = [
        (key, _shown(value), f"changed, was {_shown(apart[key][1])}" if key in apart else "")
        for key, value in settings_of(config).items()
    ]
    return Table(("field", "value", f"beside {config.recipe}"), rows)


def differences(config: RunConfig) -> str:
    """A sentence with what is not as in the recipe."""
    apart = changed(config)
    if apart is None:
        return f"This program has no recipe {config.recipe} to compare it with."
    if not apart:
        return f"All as in the recipe {config.recipe}."
    listed = ", ".join(
        f"{key}={_shown(own)} (there {_shown(theirs)})" for key, (own, theirs) in apart.items()
    )
    return f"Unlike the recipe {config.recipe}: {listed}."


def between_runs(configs: Mapping[str, RunConfig]) -> Table:
    """The fields in which runs, by their names, differ."""
    each = {name: settings_of(config) for name, config in configs.items()}
    keys = dict.fromkeys(key for settings in each.values() for key in settings)
    rows = [
        (key, *(_shown(settings.get(key)) for settings in each.values()))
        for key in keys
        if len({_shown(settings.get(key)) for settings in each.values()}) > 1
    ]
    title = "What differs between the configurations"
    return Table(("field", *each), rows or [("nothing", *[ABSENT] * len(each))], title)


def environment(values: Mapping[str, Any]) -> Table:
    """What `RUN/environment.json` holds; long things cut."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if key in ("command", "imported"):
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{name} {version}" for name, version in value.items() if version)
        text = _shown(value)
        rows.append(
            (key.replace("_", " "), text if len(text) <= _CHANGES_SHOWN else f"{text[:_CHANGES_SHOWN]} ...")
        )
    return Table(("what", "value"), rows)


def terms(travelling: Mapping[str, str], origin: Mapping[str, Any]) -> Table:
    """Licenses and terms that travel with the weights, and where these come from."""
    rows = [(_TERMS.get(key, key), text) for key, text in travelling.items()]
    for key, words in _ORIGIN.items():
        value = origin.get(key)
        if value not in (None, "", []):
            text = (
                ", ".join(f"{name} {each}" for name, each in value.items())
                if isinstance(value, dict)
                else _shown(value)
            )
            rows.append((words, text))
    return Table(("what", "value"), rows)


def errors_told(origin: Mapping[str, Any]) -> Table:
    """The errors that an exported file says it had."""
    columns = ("data", "views", "top-1 error %", "top-5 error %", "images")
    rows = [
        (
            f"{entry.get('store') or 'a store'} {entry['split']}",
            entry["views"],
            percent(entry["top1_error"]),
            percent(entry["top5_error"]),
            f"{entry['images']:,}",
        )
        for entry in origin.get("errors", [])
    ]
    return Table(columns, rows, "As it was tested before it was exported", frozenset(columns[2:]))


def layers(rows: Sequence[tuple[str, Sequence[int], int, int]]) -> Table:
    """A row for each layer: name, output shape, parameters, multiply-adds for one image."""
    columns = ("layer", "output", "parameters", "multiply-adds")
    cells = [
        (name, " x ".join(map(str, shape)), f"{parameters:,}", f"{multiply_adds:,}")
        for name, shape, parameters, multiply_adds in rows
    ]
    return Table(columns, cells, numeric=frozenset(columns[1:]))


def commands(
    name: str,
    train: Sequence[str],
    entries: Sequence[Mapping[str, Any]],
    header: Any,
    side_pixels: int | None,
) -> list[str]:
    """What was typed to prepare, train and test, quoted for a shell.

    `train` are the words of the command that trained it, `header` the store's (or None), `side_pixels` what
    its photos are stored at. Where the source of the photos lay nobody knows: it is called SOURCE.
    """
    typed = options(train)
    if train and "--store" not in typed:  # a command that does all of it
        return [shlex.join(train)]
    store, run = typed.get("--store", "STORE"), typed.get("--run", name)
    side = [] if side_pixels is None else ["--side", str(side_pixels)]
    lines = [["alexnet", "prepare", "SOURCE", store, *(side if header is None else _prepared(header))]]
    lines += [list(train)] if train else []
    for entry in entries:
        views, _, scales = entry["views"].partition("@")
        split = [] if entry["split"] == "val" else ["--split", entry["split"]]
        sizes = ["--scales", scales] if scales else []
        best = ["--checkpoint", "best"] if entry["runs"][0]["checkpoint"] == "best" else []
        lines.append(["alexnet", "evaluate", run, "--store", store, *split, "--views", views, *sizes, *best])
    return [shlex.join(line) for line in lines]


def options(words: Sequence[str]) -> dict[str, str]:
    """The values of a command line's options by their names, `--store X` and `--store=X` alike."""
    apart = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    return {name: value for name, value in pairwise(apart) if name.startswith("--")}


def _prepared(header: Any) -> list[str]:
    """The options of `prepare` that make such a store, but for those that are usual."""
    given = {"--side": header.side}
    if header.shape != "square":
        given["--shape"] = header.shape
    if header.resize != "crop":
        given["--resize"] = header.resize
    if header.encoding != "jpeg":
        given["--encoding"] = header.encoding
    elif header.quality != 95:
        given["--quality"] = header.quality
    if header.channels != 3:
        given["--channels"] = header.channels
    if header.source.val_fraction:
        given["--val-fraction"] = header.source.val_fraction
    if header.source.class_filter:
        given["--classes"] = header.source.class_filter
    return [str(word) for pair in given.items() for word in pair]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return ABSENT
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_shown(each)}" for key, each in value.items())
    return str(value)


_TERMS = {
    "weights_license": "license of the weights",
    "code_license": "license of the code",
    "data_terms": "terms of the data",
}
_ORIGIN = {
    "imported": "imported",
    "recipe": "recipe",
    "checkpoint": "checkpoint",
    "epochs": "epochs done",
    "updates": "updates done",
    "seed": "seed",
    "store": "store it was trained on",
    "store_digest": "digest of that store",
    "began_with": "began with",
}

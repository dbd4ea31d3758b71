"""Tables and sentences on one run: configuration, environment, terms, size, and the commands that made it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, cast

from alexnet import recipes
from alexnet.config import RunConfig, changes, flatten
from alexnet.config_keys import text_of
from alexnet.data.classes import are_custom
from alexnet.data.manifest import Manifest
from alexnet.errors import CommandError
from alexnet.models.summary import Summary
from alexnet.report.tables import ABSENT, Table, with_interval
from alexnet.runs.environment import Environment
from alexnet.runs.provenance import MeasuredErrors, Provenance
from alexnet.runs.results import EvalResult

OTHER_STORE = "OTHER-STORE"
CHARACTERS_SHOWN = 4_000
"""Number of characters shown of a run's uncommitted changes."""


def _changed(config: RunConfig) -> dict[str, tuple[Any, Any]] | None:
    """Settings that differ from the recipe, with both values; None if there is no such recipe."""
    try:
        return changes(config, recipes.get(config.recipe))
    except CommandError:
        return None


def configuration(config: RunConfig) -> Table:
    """All fields; those that differ from the recipe are marked."""
    apart = _changed(config) or {}
    rows = [
        (key, _text(value), f"changed, recipe: {_text(apart[key][1])}" if key in apart else "")
        for key, value in flatten(config).items()
    ]
    return Table(("field", "value", f"compared with {config.recipe}"), rows)


def recipe_changes(config: RunConfig) -> str:
    """A sentence on the fields that differ from the recipe."""
    apart = _changed(config)
    if apart is None:
        return f"This version has no recipe {config.recipe} to compare it with."
    if not apart:
        return f"All fields are those of the recipe {config.recipe}."
    listed = ", ".join(
        f"{key}={_text(own)} (recipe: {_text(theirs)})" for key, (own, theirs) in apart.items()
    )
    return f"Changes to the recipe {config.recipe}: {listed}."


def between_runs(configs: Mapping[str, RunConfig]) -> Table:
    """The fields in which runs, by their names, differ."""
    each = {name: flatten(config) for name, config in configs.items()}
    keys = dict.fromkeys(key for settings in each.values() for key in settings)
    rows = [
        (key, *(_text(settings.get(key)) for settings in each.values()))
        for key in keys
        if len({_text(settings.get(key)) for settings in each.values()}) > 1
    ]
    title = "Differences between the configurations"
    return Table(("field", *each), rows or [("none", *[ABSENT] * len(each))], title)


def environment(made: Environment) -> Table:
    """Device, versions, commit and store of a run, as far as they are known."""
    rows: list[tuple[str, str]] = []
    for key, value in made.to_dict().items():
        if key in ("command", "imported", "uncommitted_changes") or value in (None, "", {}):
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{name} {version}" for name, version in value.items() if version)
        rows.append((key.replace("_", " "), _text(value)))
    return Table(("what", "value"), rows)


def uncommitted_changes(made: Environment) -> list[str]:
    """The diff of the program's uncommitted changes when the run was made; a long one is truncated."""
    text = made.uncommitted_changes
    return (text if len(text) <= CHARACTERS_SHOWN else f"{text[:CHARACTERS_SHOWN]} ...").splitlines()


def terms(of_weights: Mapping[str, str], origin: Provenance | None) -> Table:
    """Licenses and terms of the weights, and their origin."""
    rows = [(_TERMS.get(key, key), text) for key, text in of_weights.items()]
    known = {} if origin is None else origin.to_dict()
    for key, words in _ORIGIN.items():
        value = known.get(key)
        if value in (None, "", []):
            continue
        parts = (
            [f"{name} {each}" for name, each in value.items()] if isinstance(value, dict) else [_text(value)]
        )
        rows.append((words, ", ".join(parts)))
    return Table(("what", "value"), rows)


def exported_errors(errors: Sequence[MeasuredErrors]) -> Table:
    """The errors in the provenance of an exported file, with their 95 % intervals."""
    columns = ("data", "views", "top-1 error %", "top-5 error %", "images")
    rows = [
        (
            f"{each.store or 'a store'} {each.split}",
            each.views,
            with_interval(each.top1_error, each.top1_interval),
            with_interval(each.top5_error, each.top5_interval),
            f"{each.images:,}",
        )
        for each in errors
    ]
    table = Table(columns, rows, "Errors before the export", frozenset(columns[2:]))
    return table.without_empty_columns()


def layers(summary: Summary) -> Table:
    """A row for each layer: name, output shape, parameters, multiply-adds for one image."""
    columns = ("layer", "output", "parameters", "multiply-adds")
    rows = [
        (
            layer.name,
            " x ".join(map(str, layer.output_shape)),
            f"{layer.weights + layer.biases:,}",
            f"{layer.multiply_adds:,}",
        )
        for layer in summary.layers
    ]
    return Table(columns, rows, numeric=frozenset(columns[1:]))


def commands(
    train: Sequence[str],
    run: str,
    store: str,
    store_digest: str,
    results: Sequence[EvalResult],
    manifest: Manifest | None,
    image_size: int | None,
) -> list[str]:
    """The command lines that prepare the store, train the run and evaluate it, quoted for a shell.

    `train` are the words of the command that trained it, which may have done all of that (as `alexnet
    quickstart`). `run` and `store` are paths, the latter as in `train` if it is there. `manifest` is the
    store's, or None with at least the `image_size` of its photos. The unknown path of the photos' source is
    written as SOURCE, that of a store as STORE, that of another store than this one as OTHER-STORE.
    """
    if train and not any(word.partition("=")[0] == "--store" for word in train):
        return [shlex.join(train)]
    store = _store_of(train) or store or "STORE"
    side = [] if image_size is None else ["--side", str(image_size)]
    lines = [
        ["alexnet", "prepare", "SOURCE", store, *(side if manifest is None else _prepare_options(manifest))]
    ]
    lines += [list(train)] if train else []
    for each in results:
        split = [] if each.split == "val" else ["--split", each.split]
        scales = ["--scales", ",".join(map(str, each.views.scales))] if each.views.scales else []
        best = ["--checkpoint", "best"] if each.runs[0].checkpoint == "best" else []
        views = ["--views", each.views.name, *scales]
        same = not store_digest or each.store_digest in ("", store_digest)
        tested = store if same else OTHER_STORE
        lines.append(["alexnet", "evaluate", run, "--store", tested, *split, *views, *best])
    return [shlex.join(line) for line in lines]


def _store_of(train: Sequence[str]) -> str:
    """The store in the words of a command; empty without one."""
    for word, after in zip(train, [*train, ""][1:], strict=True):
        option, _, value = word.partition("=")
        if option == "--store":
            return value or after
    return ""


def _prepare_options(manifest: Manifest) -> list[str]:
    """The options of `prepare` that make such a store, without defaults."""
    given: dict[str, object] = {"--side": manifest.side}
    if manifest.shape != "square":
        given["--shape"] = manifest.shape
    if manifest.resize != "crop":
        given["--resize"] = manifest.resize
    if manifest.encoding != "jpeg":
        given["--encoding"] = manifest.encoding
    elif manifest.quality != 95:
        given["--quality"] = manifest.quality
    if manifest.channels != 3:
        given["--channels"] = manifest.channels
    if manifest.source.val_fraction:
        given["--val-fraction"] = manifest.source.val_fraction
    if manifest.source.class_filter:
        given["--classes"] = manifest.source.class_filter
    if manifest.source.group_by:
        given["--group-by"] = manifest.source.group_by
    words = [str(word) for pair in given.items() for word in pair]
    words += ["--drop-duplicates"] if manifest.source.drop_duplicates else []
    if manifest.exif != are_custom(manifest.classes) and manifest.channels == 3:
        words.append("--exif" if manifest.exif else "--no-exif")
    return words + _source_options(manifest.source.options)


def _source_options(chosen: Mapping[str, Any]) -> list[str]:
    """The options that chose how the source is read, as they are typed."""
    words: list[str] = []
    for name, value in chosen.items():
        words.append(f"--{name.replace('_', '-')}")
        if isinstance(value, Mapping):
            places = cast("Mapping[str, str]", value)
            words.append(",".join(f"{split}={place}" for split, place in places.items()))
        elif value is not True:
            words.append(str(value))
    return words


def _text(value: Any) -> str:
    return ABSENT if value in (None, "") else text_of(value)


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
    "store": "training data",
    "store_digest": "digest of the training data",
    "began_with": "initialized from",
}

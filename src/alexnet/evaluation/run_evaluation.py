"""What a test costs on paper: multiplications with a weight, counted without computing anything."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from alexnet.config import RunConfig
from alexnet.data.classes import same_classes
from alexnet.data.crops import default_views
from alexnet.data.image_reader import stored_size
from alexnet.data.store import Split, Store
from alexnet.evaluation.inference import SQUARES_AT_ONCE, predict
from alexnet.evaluation.metrics import Evaluation
from alexnet.evaluation.prediction_cache import asked_once
from alexnet.evaluation.views import Look, looks_for, name_of, sees_whole, sizes_seen
from alexnet.io import write_json
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build_run
from alexnet.models.summary import class_map_multiply_adds, summarize
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.predictions import Predictions
from alexnet.runs.provenance import position
from alexnet.runs.results import NAME, read_evaluations
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.training.config import BOX_NETS


def multiply_adds_a_photo(config: RunConfig, looks: Sequence[Look], photos: Split) -> float:
    """Mean over the photos of what all looks at one take, by the net of that configuration."""
    num_classes, crop = len(photos.header.classes), config.data.input_size
    of_crop = summarize(config, num_classes).multiply_adds
    with torch.device("meta"):
        model = build_run(config, num_classes).eval()

    @cache
    def of_map(height: int, width: int) -> int:
        return class_map_multiply_adds(model, config.data.channels, height, width)

    sizes = Counter(sizes_seen(looks, stored_size(photos, number)) for number in range(len(photos)))
    total = sum(
        count * look.view.multiply_adds(*size, crop, of_crop, of_map)
        for seen, count in sizes.items()
        for look, size in zip(looks, seen, strict=True)
    )
    return total / max(1, len(photos))


def predictions_of(
    run: RunDir,
    store: Store,
    split: str,
    views: str,
    checkpoint: str = "last",
    device: torch.device | str = "cpu",
    squares_at_once: int = SQUARES_AT_ONCE,
    progress: Callable[[int], None] = lambda count: None,
    scales: Sequence[int] = (),
) -> Predictions:
    """The run's saved predictions if the same weights made them on the same store, else new ones, now saved.

    `checkpoint` is `last` or `best`. Of an exported file nothing is saved.
    """
    name, options = name_of(views, scales), (split, views, squares_at_once, progress, scales)

    def ask(net: ModelBundle) -> Predictions:
        return _predicted(net, store, *options)

    return asked_once(run, store, split, name, Predictions, ask, checkpoint, device, progress)


def _predicted(
    net: ModelBundle,
    store: Store,
    split: str,
    views: str,
    squares_at_once: int,
    progress: Callable[[int], None],
    scales: Sequence[int],
) -> Predictions:
    """As `predict`, with what a photo cost."""
    made = predict(net, store, split, views, squares_at_once, progress, scales)
    looks = looks_for(net, views, scales)
    return replace(made, multiply_adds=multiply_adds_a_photo(net.config, looks, store.split(split)))


def same_question(runs: Sequence[RunDir], store: Store, checkpoint: str = "last") -> None:
    """DataError, before any image is looked at, where a run's classes are not the store's."""
    for run in runs:
        classes = bundle.classes_of(find_weights(run.path, checkpoint))
        if {each.wnid for each in classes} != {each.wnid for each in store.classes}:
            same_classes(store.classes, classes, f"classes of {store.path} and {run.path}")


def default_views_of(runs: Sequence[RunDir], checkpoint: str = "last") -> str:
    """The views that suit all of the models: see `default_views`; for box models `dense`."""
    found = [bundle.load_metadata(find_weights(run.path, checkpoint)) for run in runs]
    if all(each["config"]["training"].get("loss") in BOX_NETS for each in found):
        return "dense"
    return default_views(all(each["preprocessing"]["data"]["mirror"] for each in found))


def entry(
    evaluation: Evaluation, store: Store, runs: Sequence[RunDir], checkpoint: str = "last"
) -> dict[str, Any]:
    """What an evaluation is in a file: the errors, and which runs were tested on which store.

    `photos` are `whole` where more than their central square was seen. `left_out` names the split's photos
    that `prepare` could not read: they are tested by nobody.
    """
    whole = store.header.shape == "whole" and sees_whole(evaluation.views)
    return {
        **evaluation.to_dict(),
        "photos": "whole" if whole else "square",
        "store": store.path.resolve().name,
        "store_digest": store.digest,
        "left_out": [
            f"{photo.key} ({photo.reason})"
            for photo in store.header.unreadable
            if photo.split == evaluation.split
        ],
        "runs": [_describe(run, checkpoint) for run in runs],
    }


def record(folder: Path, evaluation: dict[str, Any]) -> None:
    """Puts an entry into the folder's `evaluation.json`, in place of one on the same data and views.

    Another checkpoint, or another way to average, has an entry of its own. An exported file has no place.
    """
    if folder.is_file():
        return
    kept = [old for old in read_evaluations(folder) if _place(old) != _place(evaluation)]
    write_json(folder / NAME, [*kept, evaluation])


def _place(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    averaging = [entry.get(key) for key in ("mean", "weights", "weights_searched_on")]
    return (
        *(entry[key] for key in ("store_digest", "split", "views")),
        entry["runs"][0]["checkpoint"],
        json.dumps(averaging),
    )


def _describe(run: RunDir, checkpoint: str) -> dict[str, Any]:
    if run.is_exported:
        return _describe_exported(run)
    config, imported = run.config(), run.environment().imported is not None  # of those neither is known
    log = read_metrics(run.metrics_file) if run.metrics_file.is_file() else []
    # Those done: a run may have been stopped, or ended by its schedule.
    epochs = log[-1]["epoch"] if log else config.schedule.epochs
    return {
        "run": run.path.resolve().name,
        "recipe": config.recipe,
        "epochs": None if imported else epochs,
        "updates": position(run, checkpoint).step,
        "seed": None if imported else config.training.seed,
        "checkpoint": find_weights(run.path, checkpoint).parent.name,
    }


def _describe_exported(run: RunDir) -> dict[str, Any]:
    """The same, from what travels in the file; a checkpoint's own file says less."""
    texts = bundle.load_metadata(run.path)
    config, known = texts["config"], texts.get("provenance", {})
    imported = "imported" in known
    return {
        "run": run.path.name,
        "recipe": config["recipe"],
        "epochs": None if imported else known.get("epochs", config["schedule"]["epochs"]),
        "updates": known.get("updates"),
        "seed": None if imported else known.get("seed", config["training"]["seed"]),
        "checkpoint": known.get("checkpoint", "last"),
    }

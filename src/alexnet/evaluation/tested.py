"""Runs put to the test: predictions made or found again, and `RUN/evaluation.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from alexnet.box_config import BOX_NETS
from alexnet.data.classes import same_classes
from alexnet.data.store import Store
from alexnet.data.views import usual_views
from alexnet.evaluation.asked_once import asked_once
from alexnet.evaluation.cost import multiply_adds_a_photo
from alexnet.evaluation.metrics import Evaluation
from alexnet.evaluation.predict import predict
from alexnet.evaluation.score import SQUARES_AT_ONCE
from alexnet.evaluation.views import looks_for, name_of, sees_whole
from alexnet.files import write_json
from alexnet.models import exported
from alexnet.models.model_file import Loaded
from alexnet.runs.evaluations import NAME, read_evaluations
from alexnet.runs.folder import RunFolder
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.predictions import Predictions
from alexnet.runs.provenance import position
from alexnet.runs.weights import find_weights


def predictions_of(
    run: RunFolder,
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

    def ask(net: Loaded) -> Predictions:
        return _predicted(net, store, *options)

    return asked_once(run, store, split, name, Predictions, ask, checkpoint, device, progress)


def _predicted(
    net: Loaded,
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


def same_question(runs: Sequence[RunFolder], store: Store, checkpoint: str = "last") -> None:
    """DataError, before any image is looked at, where a run's classes are not the store's."""
    for run in runs:
        classes = exported.classes_of(find_weights(run.path, checkpoint))
        if {each.wnid for each in classes} != {each.wnid for each in store.classes}:
            same_classes(store.classes, classes, f"classes of {store.path} and {run.path}")


def usual_views_of(runs: Sequence[RunFolder], checkpoint: str = "last") -> str:
    """The views that suit all of the nets: see `usual_views`. Of nets that say where things are, `dense`."""
    found = [exported.load_metadata(find_weights(run.path, checkpoint)) for run in runs]
    if all(each["config"]["training"].get("loss") in BOX_NETS for each in found):
        return "dense"
    return usual_views(all(each["preprocessing"]["data"]["mirror"] for each in found))


def entry(
    evaluation: Evaluation, store: Store, runs: Sequence[RunFolder], checkpoint: str = "last"
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


def _describe(run: RunFolder, checkpoint: str) -> dict[str, Any]:
    if run.is_exported:
        return _describe_exported(run)
    config, imported = run.config(), "imported" in run.environment()  # of those neither is known
    log = read_metrics(run.metrics_file) if run.metrics_file.is_file() else []
    # Those done: a run may have been stopped, or ended by its schedule.
    epochs = log[-1]["epoch"] if log else config.schedule.epochs
    return {
        "run": run.path.resolve().name,
        "recipe": config.recipe,
        "epochs": None if imported else epochs,
        "updates": position(run, checkpoint).get("step"),
        "seed": None if imported else config.training.seed,
        "checkpoint": find_weights(run.path, checkpoint).parent.name,
    }


def _describe_exported(run: RunFolder) -> dict[str, Any]:
    """The same, from what travels in the file; a checkpoint's own file says less."""
    texts = exported.load_metadata(run.path)
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

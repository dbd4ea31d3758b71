"""Localisation put to the test: boxes for a whole split, and the errors of a run beside the baselines'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from alexnet import distributed
from alexnet.data.boxes import BoxTable
from alexnet.data.classes import NO_LABEL
from alexnet.data.store import Store
from alexnet.errors import WorkError
from alexnet.evaluation import localization
from alexnet.evaluation.asked_once import asked_once
from alexnet.evaluation.box_baselines import baseline_answers
from alexnet.evaluation.localization import Answers
from alexnet.evaluation.localize import locate, refuse_other_views
from alexnet.evaluation.predict import batches_seen, check_pixels, columns_of
from alexnet.evaluation.score import SQUARES_AT_ONCE
from alexnet.evaluation.views import looks_for, name_of, sees_whole
from alexnet.models import exported
from alexnet.models.model_file import Loaded
from alexnet.runs.folder import RunFolder
from alexnet.runs.predictions import Located
from alexnet.runs.weights import find_weights


def locate_split(
    net: Loaded,
    store: Store,
    split: str = "val",
    views: str = "dense",
    squares_at_once: int = SQUARES_AT_ONCE,
    progress: Callable[[int], None] = lambda count: None,
    scales: Sequence[int] = (),
) -> Located:
    """Classes and boxes of all images of a split, in the store's order; arguments and errors as `predict`.

    CommandError also for a net that says no boxes, and for views that no box can be said of.
    """
    refuse_other_views(views)
    part, looks = store.split(split), looks_for(net, views, scales)
    # From the net's labels to the store's; the last is that of no class.
    labels = np.append(np.argsort(columns_of(net, store)), NO_LABEL)
    check_pixels(net.preprocessing, store, scales, looks)
    found: list[tuple[list[int], Any]] = []
    for numbers, seen in batches_seen(net, part, looks, squares_at_once):
        found.append((numbers, locate(net, looks, [torch.from_numpy(images) for images in seen])))
        progress(len(numbers))
    gathered = list(chain.from_iterable(distributed.gather_objects(found)))
    order = np.argsort(np.concatenate([[], *(numbers for numbers, _ in gathered)]), kind="stable")
    if len(order) != len(part):
        raise WorkError(f"not every one of {len(part)} images was looked at once; no error is given")
    said, corners, scores = (
        np.concatenate([each[place] for _, each in gathered])[order] for place in range(3)
    )
    return Located(
        split=split,
        views=name_of(views, scales),
        labels=labels[said],
        corners=corners.astype(np.float32),
        scores=scores.astype(np.float32),
        keys=np.array(part.keys(), np.str_),
        classes=np.array([each.wnid for each in store.classes]),
        store_digest=store.digest,
    )


def boxes_of(
    run: RunFolder,
    store: Store,
    split: str,
    views: str,
    checkpoint: str = "last",
    device: torch.device | str = "cpu",
    squares_at_once: int = SQUARES_AT_ONCE,
    progress: Callable[[int], None] = lambda count: None,
    scales: Sequence[int] = (),
) -> Located:
    """The run's saved boxes if the same weights made them on the same store, else new ones, now saved."""
    name = f"{name_of(views, scales)}-boxes"

    def ask(net: Loaded) -> Located:
        return locate_split(net, store, split, views, squares_at_once, progress, scales)

    return asked_once(run, store, split, name, Located, ask, checkpoint, device, progress)


def says_boxes(run: RunFolder, checkpoint: str = "last") -> bool:
    """Whether the run's net says where objects are, beside what they are."""
    config = exported.load_metadata(find_weights(run.path, checkpoint))["config"]
    return config["training"].get("loss") == "boxes"  # older weights do not tell: they have none


def errors(located: Located, store: Store) -> dict[str, Any]:
    """The localisation's errors (`localization.Localization`) and, for the same classes, the `baselines`'.

    CommandError where the split, or the training split that the baselines learn from, has no boxes.
    """
    whole = store.header.shape == "whole" and sees_whole(located.views)
    table = BoxTable.of_pictures if whole else BoxTable.of
    part = store.split(located.split)
    true, train = table(part), table(store.split("train"))

    def measured(answers: Answers) -> dict[str, Any]:
        return localization.evaluate(answers, part.labels, true, len(store.classes)).to_dict()

    baselines = baseline_answers(located.labels, train)
    return {
        **measured(Answers(located.labels, located.corners)),
        "baselines": {name: measured(answers) for name, answers in baselines.items()},
    }

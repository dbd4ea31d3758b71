"""Detection put to the test: all objects of a split, and their mean average precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any, cast

import numpy as np
import torch

from alexnet import distributed
from alexnet.config import RunConfig, from_dict
from alexnet.data.boxes import BoxTable
from alexnet.data.pixels import stored_size
from alexnet.data.store import Store
from alexnet.data.window_targets import window_targets
from alexnet.errors import WorkError
from alexnet.evaluation import detection
from alexnet.evaluation.asked_once import asked_once
from alexnet.evaluation.box_merging import merge
from alexnet.evaluation.detect import Objects, detect, detector_of
from alexnet.evaluation.detection import Detections
from alexnet.evaluation.predict import batches_seen, check_pixels, columns_of
from alexnet.evaluation.score import SQUARES_AT_ONCE
from alexnet.evaluation.views import looks_for, looks_of, name_of, sizes_seen
from alexnet.models import exported
from alexnet.models.model_file import Loaded
from alexnet.models.overfeat_detector import OverFeatDetector
from alexnet.models.registry import build_run
from alexnet.runs.folder import RunFolder
from alexnet.runs.predictions import Detected
from alexnet.runs.weights import find_weights

VIEWS = "dense"
"""A detector always sees all of a photo."""


def detect_split(
    net: Loaded,
    store: Store,
    split: str = "val",
    squares_at_once: int = SQUARES_AT_ONCE,
    progress: Callable[[int], None] = lambda count: None,
    scales: Sequence[int] = (),
) -> Detected:
    """All objects found in the images of a split, in the store's order; arguments and errors as `predict`.

    CommandError also for a net that does not detect.
    """
    detector_of(net)
    part, looks = store.split(split), looks_for(net, VIEWS, scales)
    labels = np.argsort(columns_of(net, store))  # from the net's to the store's
    check_pixels(net.preprocessing, store, scales, looks)
    found: list[tuple[int, Objects]] = []
    for numbers, seen in batches_seen(net, part, looks, squares_at_once):
        objects = detect(net, [torch.from_numpy(images) for images in seen])
        found += zip(numbers, objects, strict=True)
        progress(len(numbers))
    gathered = sorted(chain.from_iterable(distributed.gather_objects(found)), key=lambda each: each[0])
    if [number for number, _ in gathered] != list(range(len(part))):
        raise WorkError(f"not every one of {len(part)} images was looked at once; no precision is given")
    objects = [each for _, each in gathered]
    return Detected(
        split=split,
        views=name_of(VIEWS, scales),
        images=np.repeat(np.arange(len(part)), [len(each.labels) for each in objects]),
        labels=labels[np.concatenate([np.empty(0, np.int64), *(each.labels for each in objects)])],
        scores=np.concatenate([np.empty(0), *(each.scores for each in objects)], dtype=np.float32),
        corners=np.concatenate([np.empty((0, 4)), *(each.corners for each in objects)], dtype=np.float32),
        keys=np.array(part.keys(), np.str_),
        classes=np.array([each.wnid for each in store.classes]),
        store_digest=store.digest,
    )


def objects_of(
    run: RunFolder,
    store: Store,
    split: str,
    checkpoint: str = "last",
    device: torch.device | str = "cpu",
    squares_at_once: int = SQUARES_AT_ONCE,
    progress: Callable[[int], None] = lambda count: None,
    scales: Sequence[int] = (),
) -> Detected:
    """The run's saved objects if the same weights found them in the same store, else new ones, now saved."""
    name = f"{name_of(VIEWS, scales)}-objects"

    def ask(net: Loaded) -> Detected:
        return detect_split(net, store, split, squares_at_once, progress, scales)

    return asked_once(run, store, split, name, Detected, ask, checkpoint, device, progress)


def detects(run: RunFolder, checkpoint: str = "last") -> bool:
    """Whether the run's net finds objects."""
    config = exported.load_metadata(find_weights(run.path, checkpoint))["config"]
    return config["training"].get("loss") == "objects"  # older weights do not tell: they have none


def precision(found: Detected, store: Store) -> dict[str, Any]:
    """For JSON: `detection.Detection` of what was found, by the rule of ILSVRC for small objects.

    CommandError where the split has no boxes.
    """
    part = store.split(found.split)
    sizes = np.array([part.size(index) for index in range(len(part))])
    said = Detections(found.images, found.labels, found.scores, found.corners)
    wnids = [each.wnid for each in store.classes]
    scored = detection.evaluate(said, BoxTable.of_pictures(part), wnids, sizes)
    return {**asdict(scored), "per_class": [asdict(row) for row in scored.per_class]}


def window_precision(
    run: RunFolder, store: Store, split: str, checkpoint: str = "last", scales: Sequence[int] = ()
) -> float:
    """Mean average precision of the windows themselves, were each known to show what it does.

    Those that show an object are its box, merged as ever: what a net that learns no boxes comes to at best.
    CommandError where the split has no boxes.
    """
    net = from_dict(RunConfig, exported.load_metadata(find_weights(run.path, checkpoint))["config"])
    with torch.device("meta"):
        model = cast(OverFeatDetector, build_run(net, len(store.classes)))
    part, looks = store.split(split), looks_of(net.data, VIEWS, scales, model.crop)
    truth, background = BoxTable.of_pictures(part), len(store.classes)
    found: list[tuple[float, ...]] = []
    for image in range(len(part)):
        sizes = sizes_seen(looks, stored_size(part, image))
        windows = np.concatenate([model.windows(*size) for size in sizes])
        labels, boxes = truth.of_image(image)
        shown, _ = window_targets(boxes.astype(np.float64), labels, windows, background)
        for label in np.unique(labels):
            merged, sums = merge(windows[shown == label], np.ones((shown == label).sum()))
            found += [(image, float(label), total, *box) for box, total in zip(merged, sums, strict=True)]
    rows = np.array(found, np.float64).reshape(-1, 7)
    said = Detections(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2], rows[:, 3:])
    wnids = [each.wnid for each in store.classes]
    return detection.evaluate(said, truth, wnids).mean_average_precision

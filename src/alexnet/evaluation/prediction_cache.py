"""Predictions for a split: inferred by a task, saved in the run directory, and reused as long as they are
fresh."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from alexnet import distributed
from alexnet.checksum import known_sha256
from alexnet.config import RunConfig
from alexnet.data.image_reader import stored_size
from alexnet.data.store import Split, Store
from alexnet.evaluation.inference import DEFAULTS, InferenceOptions, check_pixels, columns_of, infer_images
from alexnet.evaluation.views import ScaledView, rendered_sizes, scaled_views
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.layers.init import shapes_only
from alexnet.models.registry import build_run
from alexnet.models.summary import class_map_multiply_adds, summarize
from alexnet.runs import predictions
from alexnet.runs.predictions import SplitPredictions
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.tasks.base import Task, TestedSplit

_Saved = TypeVar("_Saved", bound=SplitPredictions)
CENTER = ViewSet("center")


def predict_split(
    task: Task[Any, _Saved, Any],
    model: ModelBundle,
    store: Store,
    split: str = "val",
    views: ViewSet = CENTER,
    options: InferenceOptions = DEFAULTS,
) -> _Saved:
    """The task's predictions for all images of a split, in the store's order of images and of classes.

    In a store of squares, the square counts as the photo. Runs where `model.model` is, whatever
    `options.device`; several processes as for `infer_images`.

    DataError if the store's classes are not the model's or its images were resized otherwise; WorkError
    if an image was not scored, or twice; CommandError as `scaled_views` and `task.infer`. A store resized
    with another filter, or one smaller than a scale, is a logged warning.
    """
    began = time.perf_counter()
    part, columns, scaled = store.split(split), columns_of(model, store), scaled_views(model, views)
    check_pixels(model.preprocessing, store, views, max(each.scale for each in scaled))
    rows = infer_images(task, model, part, scaled, options.batch_size, options.progress)
    seconds = time.perf_counter() - began
    cost = multiply_adds_per_photo(model.config, scaled, part) if options.count_cost else 0.0
    return task.collect(rows, TestedSplit(model, store, part, views, scaled, columns, seconds, cost))


def cached_predictions(
    task: Task[Any, _Saved, Any],
    run: RunDir,
    store: Store,
    split: str,
    views: ViewSet,
    options: InferenceOptions = DEFAULTS,
) -> _Saved:
    """The run's saved predictions if these weights made them for this store, else new ones, now saved.

    Nothing is saved for an exported file. Under several processes all return the same. `options.progress` is
    called with all images at once if none had to be inferred.
    """
    weights = find_weights(
        run.path, options.checkpoint
    ).resolve()  # the folder itself, since training may move the link

    def infer() -> _Saved:
        model = bundle.load(weights, options.device)
        return predict_split(task, model, store, split, views, replace(options, count_cost=True))

    if run.is_exported:
        return infer()
    path = predictions.path_of(run.path, split, views, options.checkpoint, task.suffix)
    digest, saved = "", None
    if distributed.is_main():
        digest = known_sha256(weights)
        saved = predictions.load_fresh(path, task.saved_type, digest, store.digest)
    saved = distributed.broadcast_object(saved)
    if saved is not None:
        options.progress(len(saved.keys))
        return saved
    made = infer()
    if distributed.is_main():
        made = replace(made, weights_digest=digest)
        predictions.save(made, path)
    return made


def multiply_adds_per_photo(config: RunConfig, scaled: Sequence[ScaledView], photos: Split) -> float:
    """Multiply-adds per photo, for all views together: the mean over the photos, for the model of this
    configuration.
    """
    num_classes, crop = len(photos.manifest.classes), config.data.input_size
    of_crop = summarize(config, num_classes).multiply_adds
    with shapes_only():
        model = build_run(config, num_classes).eval()

    @cache
    def of_map(height: int, width: int) -> int:
        return class_map_multiply_adds(model, config.data.channels, height, width)

    sizes = Counter(rendered_sizes(scaled, stored_size(photos, number)) for number in range(len(photos)))
    total = sum(
        count * each.view.multiply_adds(*size, crop, of_crop, of_map)
        for rendered, count in sizes.items()
        for each, size in zip(scaled, rendered, strict=True)
    )
    return total / max(1, len(photos))

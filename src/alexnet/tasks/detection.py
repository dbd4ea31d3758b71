"""Detection: all objects of an image, distinguished from background, at all positions at once.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 5: "we perform negative training on the fly, by
selecting a few interesting negative examples per image such as random ones or most offending ones".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from alexnet.config import RunConfig
from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import IGNORED, BoxTable, Corners, assign_targets
from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.image_reader import stored_size
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import testing
from alexnet.evaluation.views import ScaledView, rendered_sizes, scaled_views_of
from alexnet.models.bundle import ModelBundle
from alexnet.models.layers.init import shapes_only
from alexnet.models.overfeat import OverFeatDetector
from alexnet.models.registry import build_run
from alexnet.published.imagenet import ILSVRC_BOX_MARGIN_PIXELS, ILSVRC_BOX_OVERLAP
from alexnet.runs.predictions import DetectionPredictions
from alexnet.runs.results import ClassPrecision, DetectionResult, EvalResult, ViewSet
from alexnet.tasks.base import BoxPrediction, Loss, Prediction, Task, TestedSplit
from alexnet.tasks.box_fusion import merge
from alexnet.tasks.config import DEFAULT_MIN_SCORE
from alexnet.tasks.localization import WindowOutputs, require_boxes, require_cropped, window_outputs

OBJECTS, OFFENDING = 4, 4
"""Number of windows per image in the loss: with an object, as many without, and those of the latter with the
largest loss."""
LEAST_PROBABILITY = 0.1
"""Minimum probability of a class at a window whose box is used in a test."""
MOST_BOXES = 200
"""Largest number of boxes of a class that are merged, the most probable ones: the time of merging grows with
the square of their number."""
DETECTION_VIEWS = "dense"
"""A detector always takes the whole photo."""

_Floats = npt.NDArray[np.floating[Any]]


def detection_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of class and box over a few windows of each image; `outputs` are (N, 5 K + 1, h, w).

    `targets` (N, 6, h, w), as `Detection.targets` makes them, have for each window its label (K is
    background), a random number and a box. The loss uses `OBJECTS` windows that show an object, the first by
    their random numbers; as many of background; and the `OFFENDING` windows of background with the largest
    loss. The loss of an image is the mean cross-entropy of these, and of those with an object the mean
    squared distance of the label's box.
    Source: Sermanet et al. 2013, section 5; the numbers are ours, as the paper gives none.
    """
    labels, draws = targets[:, :2].flatten(2).unbind(1)
    background = outputs.shape[1] // 5
    empty = labels == background
    shown = ~empty & (labels != IGNORED)
    labeled = labels.masked_fill(labels == IGNORED, background).long()
    losses = functional.cross_entropy(outputs[:, : background + 1].flatten(2), labeled, reduction="none")
    learned = _most(draws, shown, OBJECTS)
    chosen = learned | _most(draws, empty, OBJECTS) | _most(losses.detach(), empty, OFFENDING)
    corners = outputs[:, background + 1 :].flatten(2).unflatten(1, (background, 4))
    own = labeled.clamp(max=background - 1)[:, None, None].expand(-1, 1, 4, -1)
    apart = (corners.gather(1, own)[:, 0] - targets[:, 2:].flatten(2)).square().sum(dim=1)
    return (_mean_of(losses, chosen) + _mean_of(apart, learned)).sum()


def _mean_of(values: Tensor, among: Tensor) -> Tensor:
    """(N,) the mean of each row's chosen values; 0 if there are none."""
    return (values * among).sum(dim=1) / among.sum(dim=1).clamp(min=1)


def _most(values: Tensor, among: Tensor, count: int) -> Tensor:
    """(N, P) which of each row's allowed values are the `count` largest; all if there are fewer."""
    best = values.masked_fill(~among, -1.0).topk(min(count, values.shape[1]), dim=1).indices
    return torch.zeros_like(among).scatter(1, best, True) & among


class ObjectsInWindows(nn.Module):
    """The module that is trained, around a detector: images (N, C, crop, crop) -> (N, 5 K + 1, h, w)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """K + 1 logits for each window, the last one of background, followed by the boxes of K classes."""
        logits, boxes = cast(OverFeatDetector, self.model).object_and_box_maps(images)
        return torch.cat([logits, boxes.flatten(1, 2)], dim=1)


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """The detections in one photo: n objects, the best first."""

    labels: npt.NDArray[np.int64]
    """(n,)"""
    corners: Corners
    """(n, 4) as fractions of the photo, within it."""
    scores: npt.NDArray[np.float64]
    """(n,) the sum of the probabilities of the windows whose boxes were merged."""


@dataclass(frozen=True)
class Detection(Task[FoundObjects, DetectionPredictions, DetectionResult]):
    """The class and the box of the object that each window shows, or background.

    Targets are (N, 6, h, w): the label of each window, `IGNORED` where it shows a part of an object; a random
    number in [0, 1), by which some of the windows are chosen (see `detection_loss`); and x0, y0, x1, y1 of
    the object's box, as fractions of the window.
    """

    min_score: float = LEAST_PROBABILITY
    """Windows at which a class is less probable are left out."""
    top: int | None = None
    """Largest number of objects of a photo; None for all."""

    suffix = "-objects"
    batches_photos = False

    @cached_property
    def _detector(self) -> OverFeatDetector:
        """A model without weights, for the positions of windows."""
        with shapes_only():
            return cast(OverFeatDetector, build_run(self.config, self.num_classes))

    @property
    def loss(self) -> Loss:
        """The loss of the outputs of `ObjectsInWindows` and targets (N, 6, h, w)."""
        return Loss(detection_loss, at_chance=lambda num_classes: math.inf)

    def trained_module(self, model: nn.Module) -> nn.Module:
        """The model's outputs at all windows."""
        return ObjectsInWindows(model)

    def targets(
        self, inputs: Tensor, batch: Batch, randomness: ImageRandomness, preprocessing: Preprocessing
    ) -> tuple[Tensor, Tensor]:
        """The images unchanged, and the targets."""
        assert batch.boxes is not None
        views, mirrored = preprocessing.train_windows(batch.images.shape[1], randomness)
        rows, columns = self._detector.places(*inputs.shape[2:])
        windows = self._detector.windows(*inputs.shape[2:])
        draws = randomness.uniform("windows", rows * columns)
        targets: list[NDArray[np.float32]] = []
        for corners, names, view, flipped, drawn in zip(
            batch.boxes.corners.numpy(), batch.boxes.labels.numpy(), views, mirrored, draws, strict=True
        ):
            there = names != NO_LABEL
            boxes = box_geometry.to_window(corners[there], view, flipped)
            labels, places = assign_targets(boxes, names[there], windows, self.num_classes)
            targets.append(np.concatenate([labels[None], drawn[None], places.T], dtype=np.float32))
        stacked = torch.from_numpy(np.stack(targets))
        return inputs, stacked.unflatten(2, (rows, columns)).to(inputs.device, non_blocking=True)

    def num_errors(self, outputs: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Number of images with a wrong prediction at the window at which an object is most probable.

        Windows that show a part of an object are left out.
        """
        scored = targets[:, 0].flatten(1) != IGNORED
        probabilities = outputs[:, : self.num_classes + 1].softmax(dim=1).flatten(2)
        surest = probabilities[:, :-1].amax(dim=1).masked_fill(~scored, -1.0).argmax(dim=1)
        each = torch.arange(len(outputs), device=outputs.device)
        predicted = probabilities.argmax(dim=1)[each, surest]
        return ((predicted != targets[:, 0].flatten(1)[each, surest]) & scored.any(dim=1)).sum()

    def check(self, model: nn.Module, store: Store) -> None:
        """CommandError for test photos smaller than the model's window, or a split without boxes."""
        window = cast(OverFeatDetector, model).crop
        if min(self.config.data.test_scales, default=window) < window:
            raise CommandError(f"data.test_scales must be {window} or more, the pixels of the window")
        require_boxes(store)

    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> list[FoundObjects]:
        """The objects of each image, from views of the whole image; CommandError for another model."""
        model = detector_of(bundle)
        outputs: list[list[WindowOutputs]] = []
        with testing(model) as device:
            for pixels in images:
                inputs = bundle.preprocessing.whole_input(pixels.to(device))
                logits, boxes = model.object_and_box_maps(inputs)
                # Background has no box; the values in its place are not used.
                boxes = torch.cat([boxes, boxes[:, :1]], dim=1)
                outputs.append(window_outputs(logits, boxes, model.windows(*inputs.shape[2:])))
        return [
            objects_in_photo([scale[photo] for scale in outputs], self.min_score)
            for photo in range(len(images[0]))
        ]

    def collect(self, rows: Sequence[FoundObjects], tested: TestedSplit) -> DetectionPredictions:
        """All objects, with labels in the store's order of classes."""
        labels = tested.store_labels
        return DetectionPredictions(
            **tested.common(),
            images=np.repeat(np.arange(len(rows)), [len(row.labels) for row in rows]),
            labels=labels[np.concatenate([np.empty(0, np.int64), *(row.labels for row in rows)])],
            scores=np.concatenate([np.empty(0), *(row.scores for row in rows)], dtype=np.float32),
            corners=np.concatenate([np.empty((0, 4)), *(row.corners for row in rows)], dtype=np.float32),
        )

    @property
    def saved_type(self) -> type[DetectionPredictions]:
        """All objects of a split."""
        return DetectionPredictions

    def metrics(self, saved: DetectionPredictions, store: Store) -> DetectionResult:
        """Average precision, with ILSVRC's rule for small objects; CommandError for a split without boxes."""
        part = store.split(saved.split)
        part.verify()
        found = Detections(saved.images, saved.labels, saved.scores, saved.corners)
        wnids = [each.wnid for each in store.classes]
        return evaluate_detections(found, BoxTable.of_pictures(part), wnids, _pixels(part))

    def watch(self, saved: DetectionPredictions, store: Store) -> Mapping[str, Any]:
        """Mean average precision, and 1 - mean average precision as `top1_error`."""
        found = self.metrics(saved, store)
        return {
            "images": found.images,
            "objects": found.objects,
            "top1_error": 1.0 - found.mean_average_precision,
            "top5_error": None,
            "mean_average_precision": found.mean_average_precision,
        }

    def own_views(self, views: ViewSet) -> ViewSet | None:
        """The whole photo, at the scales of `views`."""
        return ViewSet(DETECTION_VIEWS, views.scales)

    def add_metrics(self, result: EvalResult, saved: DetectionPredictions, store: Store) -> EvalResult:
        """`result` with `detection`."""
        windows = window_precision(self.config, store, saved.split, saved.views)
        found = replace(self.metrics(saved, store), precision_of_windows=windows)
        return replace(result, detection=found)

    def check_photos(self, bundle: ModelBundle, views: ViewSet) -> None:
        """CommandError for a model that does not detect, other views than `dense`, and warped photos."""
        detector_of(bundle)
        require_cropped(bundle)
        if views.name != DETECTION_VIEWS:
            raise CommandError(f"no objects with --views {views.name}: a detector needs {DETECTION_VIEWS}")

    def for_photos(self, top: int | None, min_score: float | None) -> Detection:
        """This task for at most `top` objects (by default all), of windows with a probability of `min_score`
        or more (by default 0.5).
        """
        return replace(self, top=top, min_score=DEFAULT_MIN_SCORE if min_score is None else min_score)

    def predictions(
        self, row: FoundObjects, classes: Sequence[Class], scaled: Sequence[ScaledView], size: tuple[int, int]
    ) -> list[Prediction]:
        """Objects with boxes in pixels of the photo."""
        height, width = size
        boxes = (row.corners * [width, height, width, height]).tolist()
        chosen = zip(row.labels.tolist(), row.scores, boxes, strict=True)
        return [
            BoxPrediction.of(classes[label], score, box) for label, score, box in list(chosen)[: self.top]
        ]


def detector_of(bundle: ModelBundle) -> OverFeatDetector:
    """The model, if it has a class for background; else CommandError."""
    if not isinstance(bundle.model, OverFeatDetector):
        raise CommandError(
            f"{bundle.config.recipe} has no class for background, so it cannot detect objects: use a run of "
            "overfeat-fast-detection"
        )
    return bundle.model


def objects_in_photo(scales: Sequence[WindowOutputs], min_score: float = LEAST_PROBABILITY) -> FoundObjects:
    """The objects of one photo, from the outputs at each scale; the last class is background."""
    probabilities = np.concatenate([scale.probabilities for scale in scales])
    boxes = np.concatenate([scale.boxes for scale in scales])
    found: list[tuple[float, int, Corners]] = []
    for label in range(probabilities.shape[1] - 1):
        of_class = probabilities[:, label]
        chosen = np.argsort(-of_class, kind="stable")[:MOST_BOXES]
        chosen = chosen[of_class[chosen] >= min_score]
        merged, sums = merge(boxes[chosen, label], of_class[chosen])
        found += [(float(total), label, box) for box, total in zip(merged, sums, strict=True)]
    found.sort(key=lambda each: (-each[0], each[1]))
    return FoundObjects(
        labels=np.array([label for _, label, _ in found], np.int64),
        corners=box_geometry.clip(np.array([box for *_, box in found], np.float64).reshape(-1, 4)),
        scores=np.array([total for total, *_ in found], np.float64),
    )


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections in the images of a split: D boxes, in any order."""

    images: npt.NDArray[np.int64]
    """(D,) the position of the image in the split."""
    labels: npt.NDArray[np.int64]
    """(D,)"""
    scores: _Floats
    """(D,) higher is better; they are compared within a class only."""
    corners: _Floats
    """(D, 4) x0, y0, x1, y1 in the same units as the true boxes."""


def evaluate_detections(
    detections: Detections,
    truth: BoxTable,
    wnids: Sequence[str],
    sizes: npt.NDArray[Any] | None = None,
) -> DetectionResult:
    """The mean average precision over classes `wnids`, in label order.

    With `sizes` (N, 2), widths and heights of the photos in pixels, small objects need less overlap, as in
    ILSVRC (see `least_overlaps`). Among equal scores, the first detection comes first.
    WorkError if a score or a corner is not finite, or there is no object at all.
    """
    if not (np.isfinite(detections.scores).all() and np.isfinite(detections.corners).all()):
        raise WorkError("some detections are not finite: the weights are broken; try --checkpoint best")
    if not len(truth.labels):
        raise WorkError("there is no true box, so no object can be detected")
    images = np.repeat(np.arange(len(truth.starts) - 1), np.diff(truth.starts))
    least = np.full(len(truth.labels), ILSVRC_BOX_OVERLAP)
    if sizes is not None:
        least = least_overlaps(truth.corners, sizes[images])
    rows = tuple(_of_class(detections, truth, images, least, label, wnid) for label, wnid in enumerate(wnids))
    known = [row.average_precision for row in rows if row.average_precision is not None]
    return DetectionResult(len(truth.starts) - 1, len(truth.labels), float(np.mean(known)), rows)


def least_overlaps(corners: _Floats, sizes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(B,) minimum overlap with which each true box (B, 4) of a photo of `sizes` (B, 2) pixels counts as
    found.

    A box that is five pixels larger on each side always counts. Source: Russakovsky et al. 2015, section 4.3.
    """
    pixels = (corners[:, 2:] - corners[:, :2]) * sizes
    larger = pixels + ILSVRC_BOX_MARGIN_PIXELS
    return np.minimum(ILSVRC_BOX_OVERLAP, pixels.prod(axis=1) / larger.prod(axis=1))


def average_precision(right: npt.NDArray[np.bool_], objects: int) -> float:
    """The area under the precision-recall curve; `right` (D,) is whether each detection is correct, by
    descending score.
    """
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall increases by one object at each correct detection.
    return float(best_from_here[right].sum() / objects)


def _of_class(
    detections: Detections,
    truth: BoxTable,
    images: npt.NDArray[np.int64],
    least: _Floats,
    label: int,
    wnid: str,
) -> ClassPrecision:
    found = np.flatnonzero(detections.labels == label)
    found = found[np.argsort(-detections.scores[found], kind="stable")]
    objects = np.flatnonzero(truth.labels == label)
    right = np.zeros(len(found), np.bool_)
    for image in np.intersect1d(detections.images[found], images[objects]):
        here = np.flatnonzero(detections.images[found] == image)
        true = objects[images[objects] == image]
        overlaps = box_geometry.iou(detections.corners[found[here]], truth.corners[true])
        right[here] = _matched(overlaps, least[true])
    precision = average_precision(right, len(objects)) if len(objects) else None
    return ClassPrecision(wnid, len(objects), len(found), int(right.sum()), precision)


def _matched(overlaps: _Floats, least: _Floats) -> npt.NDArray[np.bool_]:
    """(n,) which of an image's detections, by descending score, find a box; `overlaps` are (n, boxes)."""
    free = np.ones(len(least), np.bool_)
    right = np.zeros(len(overlaps), np.bool_)
    for place, row in enumerate(overlaps):
        candidates = np.where(free & (row >= least), row, -1.0)
        best = int(candidates.argmax())
        if candidates[best] >= 0:
            free[best], right[place] = False, True
    return right


def _pixels(part: Split) -> npt.NDArray[np.int64]:
    """(N, 2) sizes of the photos, by which small objects are recognized."""
    return np.array([part.size(index) for index in range(len(part))])


def window_precision(config: RunConfig, store: Store, split: str, views: ViewSet) -> float:
    """Mean average precision of the windows themselves, if each were labeled with the object that it shows.

    The windows that show an object are used as its boxes and merged as usual: an upper bound for a model
    without box regression. CommandError if the split has no boxes.
    """
    with shapes_only():
        model = cast(OverFeatDetector, build_run(config, len(store.classes)))
    part, scaled = store.split(split), scaled_views_of(config.data, views, model.crop)
    truth, background = BoxTable.of_pictures(part), len(store.classes)
    found: list[tuple[float, ...]] = []
    for image in range(len(part)):
        sizes = rendered_sizes(scaled, stored_size(part, image))
        windows = np.concatenate([model.windows(*size) for size in sizes])
        labels, boxes = truth.of_image(image)
        shown, _ = assign_targets(boxes.astype(np.float64), labels, windows, background)
        for label in np.unique(labels):
            merged, sums = merge(windows[shown == label], np.ones((shown == label).sum()))
            found += [(image, float(label), total, *box) for box, total in zip(merged, sums, strict=True)]
    rows = np.array(found, np.float64).reshape(-1, 7)
    windows = Detections(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2], rows[:, 3:])
    wnids, pixels = [each.wnid for each in store.classes], _pixels(part)
    return evaluate_detections(windows, truth, wnids, pixels).mean_average_precision

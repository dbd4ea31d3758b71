"""Localization: the classes of an image, each with one box.

Boxes are learned from windows that show half of their image's object or more. In a test each class's boxes of
all windows are merged.

Source: Sermanet et al. 2013 (arXiv:1312.6229), sections 4.2 and 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import WHOLE, BoxTable, Corners, crop_windows
from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.crops import center
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Store
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import testing
from alexnet.evaluation.metrics import TOP
from alexnet.evaluation.views import ScaledView, is_whole
from alexnet.models.bundle import ModelBundle
from alexnet.models.overfeat import OverFeatLocalizer
from alexnet.published.imagenet import ILSVRC_BOX_OVERLAP
from alexnet.runs.predictions import LocalizationPredictions
from alexnet.runs.results import BoxErrors, EvalResult, LocalizationResult, ViewSet
from alexnet.tasks.base import BoxPrediction, Loss, Prediction, Task, TestedSplit
from alexnet.tasks.box_fusion import merge

SMALLEST_SHARE_SEEN = 0.5
"""Minimum fraction of an object's box in a window; windows that show less are left out (section 4.2)."""
BOX_VIEWS = ("center", "dense")
"""Views for which boxes can be predicted: one window in the center, or windows at all positions."""
MOST_MERGED = 4_096
"""Largest number of boxes of a class that are merged, the most probable ones: memory grows with the square of
their number. The paper has 1,575 at six scales."""


def box_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of the four edges; in `outputs` (N, K, 4), only each image's own class is used.

    `targets` are (N, 6), as made by `Localization.targets`; images that it leaves out have a loss of 0.
    Source: Sermanet et al. 2013, section 4.2 (l2 loss).
    """
    labels, weights, wanted = targets[:, 0].long(), targets[:, 1], targets[:, 2:]
    chosen = outputs[torch.arange(len(outputs), device=outputs.device), labels]
    return ((chosen - wanted).square().sum(dim=1) * weights).sum()


class BoxesAtCrop(nn.Module):
    """The part of a localizer that is trained: images (N, C, crop, crop) -> boxes (N, K, 4)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Boxes, as fractions of each image."""
        return cast(OverFeatLocalizer, self.model).forward_boxes(images)


class LocatedClasses(NamedTuple):
    """The k best classes of one image, the best first; filled with `NO_LABEL` (-1) if there are fewer."""

    labels: npt.NDArray[np.int64]
    """(k,)"""
    corners: Corners
    """(k, 4) the box of each, as fractions of what the views show."""
    scores: npt.NDArray[np.float64]
    """(k,)"""


@dataclass(frozen=True)
class Localization(Task[LocatedClasses, LocalizationPredictions, LocalizationResult]):
    """The box of each image's class, within the window that the model is given.

    Targets are (N, 6): the label; 1, or 0 if the window is left out; x0, y0, x1, y1 of the image's largest
    box of its class, as fractions of the window.
    """

    top: int = TOP

    suffix = "-boxes"
    batches_photos = False

    @property
    def loss(self) -> Loss:
        """The loss of boxes (N, K, 4) and targets (N, 6)."""
        return Loss(box_loss, at_chance=lambda num_classes: math.inf)

    def trained_module(self, model: nn.Module) -> nn.Module:
        """The model's boxes."""
        return BoxesAtCrop(model)

    def targets(
        self, inputs: Tensor, batch: Batch, randomness: ImageRandomness, preprocessing: Preprocessing
    ) -> tuple[Tensor, Tensor]:
        """The images unchanged, and the targets."""
        assert batch.boxes is not None
        corners, there = batch.boxes.largest(batch.labels)
        windows, mirrored = preprocessing.train_windows(batch.images.shape[1], randomness)
        used = there.numpy() & (box_geometry.covered(corners.numpy(), windows) >= SMALLEST_SHARE_SEEN)
        wanted = box_geometry.to_window(corners.numpy(), windows, mirrored)
        columns = [batch.labels.cpu().numpy()[:, None], used[:, None], wanted]
        targets = torch.from_numpy(np.concatenate(columns, axis=1, dtype=np.float32))
        return inputs, targets.to(inputs.device, non_blocking=True)

    def num_errors(self, outputs: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Number of boxes whose IoU with the object's is below one half; windows that are left out count as
        right.
        """
        chosen = outputs[torch.arange(len(outputs), device=outputs.device), labels]
        overlaps = box_geometry.paired_iou(chosen, targets[:, 2:])
        return ((overlaps < ILSVRC_BOX_OVERLAP) & (targets[:, 1] > 0)).sum()

    def check(self, model: nn.Module, store: Store) -> None:
        """CommandError if a split that is used has no boxes."""
        require_boxes(store)

    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> list[LocatedClasses]:
        """The `top` best classes of each image with their boxes; CommandError for a model without boxes."""
        localizer_of(bundle)
        with testing(bundle.model) as device:
            outputs = [
                _windows(bundle, each, pixels.to(device)) for each, pixels in zip(scaled, images, strict=True)
            ]
        return [best_boxes([scale[image] for scale in outputs], self.top) for image in range(len(images[0]))]

    def collect(self, rows: Sequence[LocatedClasses], tested: TestedSplit) -> LocalizationPredictions:
        """Labels in the store's order of classes."""
        labels = np.append(tested.store_labels, NO_LABEL)  # the last entry stands for no class
        return LocalizationPredictions(
            **tested.common(),
            labels=labels[_stacked([row.labels for row in rows], (self.top,)).astype(np.int64)],
            corners=_stacked([row.corners for row in rows], (self.top, 4)).astype(np.float32),
            scores=_stacked([row.scores for row in rows], (self.top,)).astype(np.float32),
        )

    @property
    def saved_type(self) -> type[LocalizationPredictions]:
        """Classes and boxes of a split."""
        return LocalizationPredictions

    def metrics(self, saved: LocalizationPredictions, store: Store) -> LocalizationResult:
        """Localization errors and, for the same classes, those of the baselines.

        CommandError if the split, or the training split that the baselines are fitted to, has no boxes.
        """
        whole = store.manifest.shape == "whole" and is_whole(saved.views)
        table = BoxTable.of_pictures if whole else BoxTable.of
        part, train_part = store.split(saved.split), store.split("train")
        for each in (part, train_part):
            each.verify()
        true, train, classes = table(part), table(train_part), len(store.classes)
        found = count_box_errors(RankedBoxes(saved.labels, saved.corners), part.labels, true, classes)
        others = baseline_boxes(saved.labels, train)
        baselines = {
            name: count_box_errors(each, part.labels, true, classes) for name, each in others.items()
        }
        return LocalizationResult(**vars(found), baselines=baselines)

    def watch(self, saved: LocalizationPredictions, store: Store) -> Mapping[str, Any]:
        """Localization errors, and the errors of the classes alone."""
        found = self.metrics(saved, store)

        def rate(errors: int | None) -> float | None:
            return None if errors is None else errors / found.images

        return {
            "images": found.images,
            "top1_error": rate(found.top1_localization_errors),
            "top5_error": rate(found.top5_localization_errors),
            "classification_top1_error": rate(found.top1_errors),
            "classification_top5_error": rate(found.top5_errors),
        }

    def own_views(self, views: ViewSet) -> ViewSet | None:
        """The same views if boxes can be predicted for them."""
        return views if views.name in BOX_VIEWS else None

    def add_metrics(self, result: EvalResult, saved: LocalizationPredictions, store: Store) -> EvalResult:
        """`result` with `localization`."""
        return replace(result, localization=self.metrics(saved, store))

    def check_photos(self, bundle: ModelBundle, views: ViewSet) -> None:
        """CommandError for a model without boxes, views without them, and warped or padded photos."""
        localizer_of(bundle)
        require_cropped(bundle)
        if views.name not in BOX_VIEWS:
            raise CommandError(f"no boxes with --views {views.name}; choose from: {', '.join(BOX_VIEWS)}")

    def for_photos(self, top: int | None, min_score: float | None) -> Localization:
        """This task for at most `top` classes, by default five."""
        super().for_photos(top, min_score)
        return self if top is None else replace(self, top=top)

    def predictions(
        self,
        row: LocatedClasses,
        classes: Sequence[Class],
        scaled: Sequence[ScaledView],
        size: tuple[int, int],
    ) -> list[Prediction]:
        """Classes with boxes in pixels of the photo."""
        height, width = size
        window = np.array(WHOLE)
        if scaled[0].view.part == "square":
            window = box_geometry.central_window(height, width, min(height, width))
        boxes = box_geometry.clip(box_geometry.from_window(row.corners, window)) * (2 * [width, height])
        return [
            BoxPrediction.of(classes[label], score, box)
            for label, box, score in zip(row.labels.tolist(), boxes.tolist(), row.scores, strict=True)
            if label != NO_LABEL
        ]


def require_boxes(store: Store) -> None:
    """CommandError if the training or the validation split has no boxes."""
    for split in sorted({"train", "val"} & {*store.splits}):
        BoxTable.of(store.split(split))


def require_cropped(bundle: ModelBundle) -> None:
    """CommandError if the model's training photos were warped or padded: boxes would not fit photos."""
    if bundle.preprocessing.resized["resize"] != "crop":
        raise CommandError(
            "this model's training photos were warped or padded, so boxes would not fit other photos"
        )


def localizer_of(bundle: ModelBundle) -> OverFeatLocalizer:
    """The model, if it predicts boxes; else CommandError."""
    if not isinstance(bundle.model, OverFeatLocalizer):
        raise CommandError(
            f"{bundle.config.recipe} is a classifier; it predicts no boxes: use a run of "
            "overfeat-fast-localization"
        )
    return bundle.model


def _stacked(parts: Sequence[npt.NDArray[Any]], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.stack(parts) if parts else np.empty((0, *shape))


@dataclass(frozen=True, eq=False)
class RankedBoxes:
    """The k best classes of N images with their boxes, in the store's order."""

    labels: npt.NDArray[np.int64]
    """(N, k) the best class first; filled with `NO_LABEL` if there are fewer than k."""
    corners: npt.NDArray[np.floating[Any]]
    """(N, k, 4) x0, y0, x1, y1 of each, in the same units as the true boxes."""


def count_box_errors(
    found: RankedBoxes,
    labels: npt.NDArray[Any],
    truth: BoxTable,
    classes: int,
    overlap: float = ILSVRC_BOX_OVERLAP,
) -> BoxErrors:
    """Errors among the N images with `labels` (N,) and true boxes; there are `classes` classes.

    Images without a box of their own class are not scored. WorkError if predictions are missing or not
    finite, or no image can be scored.
    """
    if found.labels.shape[:1] != labels.shape or not np.isfinite(found.corners).all():
        raise WorkError(
            "there is not exactly one finite prediction for every image, so no error can be reported"
        )
    scored = np.flatnonzero([labels[image] in truth.of_image(image)[0] for image in range(len(labels))])
    if not len(scored):
        raise WorkError("no image of the split has a box of its own class: there is nothing to score")
    named = found.labels[scored, :TOP] == labels[scored, None]
    placed = named & right_boxes(found, labels, truth, overlap)[scored, :TOP]
    return BoxErrors(
        images=len(scored),
        without_box=len(labels) - len(scored),
        top1_localization_errors=int((~placed[:, 0]).sum()),
        top5_localization_errors=int((~placed.any(axis=1)).sum()),
        top1_errors=int((~named[:, 0]).sum()),
        top5_errors=int((~named.any(axis=1)).sum()) if classes > TOP else None,
    )


def right_boxes(
    found: RankedBoxes, labels: npt.NDArray[Any], truth: BoxTable, overlap: float = ILSVRC_BOX_OVERLAP
) -> npt.NDArray[np.bool_]:
    """(N, k) whether each box overlaps one of the image's boxes of its own class enough."""
    right = np.zeros(found.labels.shape, np.bool_)
    for image, label in enumerate(labels):
        classes, corners = truth.of_image(image)
        true = corners[classes == label]
        right[image] = (box_geometry.iou(found.corners[image], true) >= overlap).any(axis=1)
    return right


@dataclass(frozen=True)
class WindowOutputs:
    """A model's outputs at the P windows of one photo at one scale."""

    probabilities: npt.NDArray[np.float32]
    """(P, K)"""
    boxes: Corners
    """(P, K, 4) as fractions of the photo, or of the part of it that the view shows."""


def best_boxes(scales: Sequence[WindowOutputs], top: int = TOP) -> LocatedClasses:
    """The `top` best classes of one photo, from the outputs at each scale.

    A class that is among the best `top` at a scale, by its largest probability there, gets the boxes of all
    windows of that scale. The boxes of a class are merged, and the best of the merged ones is its box.
    Source: section 4.3, (a) to (g).
    """
    chosen: dict[int, list[tuple[Corners, npt.NDArray[np.float32]]]] = {}
    for scale in scales:
        for label in np.argsort(-scale.probabilities.max(axis=0), kind="stable")[:top].tolist():
            chosen.setdefault(label, []).append((scale.boxes[:, label], scale.probabilities[:, label]))
    found: list[tuple[float, int, Corners]] = []
    for label, parts in chosen.items():
        corners, probable = (np.concatenate(each) for each in zip(*parts, strict=True))
        kept = np.sort(np.argsort(-probable, kind="stable")[:MOST_MERGED])
        boxes, sums = merge(corners[kept], probable[kept])
        found.append((float(sums[0]), label, boxes[0]))
    found.sort(key=lambda each: (-each[0], each[1]))
    missing = top - len(found)
    scores = [score for score, _, _ in found[:top]] + [0.0] * missing
    labels = [label for _, label, _ in found[:top]] + [NO_LABEL] * missing
    places = [box for _, _, box in found[:top]] + [np.zeros(4)] * missing
    return LocatedClasses(np.array(labels, np.int64), np.stack(places), np.array(scores))


def _windows(bundle: ModelBundle, scaled: ScaledView, images: Tensor) -> list[WindowOutputs]:
    """The outputs at the windows of one view of each of the uint8 images (N, H, W, C)."""
    model, height = localizer_of(bundle), images.shape[1]
    if scaled.view.part == "whole":
        inputs, part = bundle.preprocessing.whole_input(images), np.array(WHOLE)
    else:
        position, crop = center(height, bundle.preprocessing.crop), bundle.preprocessing.crop
        inputs, part = bundle.preprocessing.test_input(images, position), crop_windows(position, height, crop)
    logits, boxes = model.class_and_box_maps(inputs)
    windows = box_geometry.from_window(model.windows(*inputs.shape[2:]), part)
    return window_outputs(logits, boxes, windows)


def window_outputs(logits: Tensor, boxes: Tensor, windows: Corners) -> list[WindowOutputs]:
    """The outputs for N photos from logits (N, K, h, w) and boxes (N, K, 4, h, w) in the windows (P, 4)."""
    probabilities = logits.float().softmax(dim=1).flatten(2).permute(0, 2, 1).cpu().numpy()
    shares = boxes.float().flatten(3).permute(0, 3, 1, 2).cpu().numpy()
    placed = box_geometry.ordered(box_geometry.from_window(shares, windows[:, None]))
    return [WindowOutputs(*each) for each in zip(probabilities, placed, strict=True)]


def whole_image(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): the whole image is the box, whatever the class."""
    return np.broadcast_to(np.array(WHOLE), (*labels.shape, 4)).copy()


def center_of_mean_size(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): a box in the center, with the mean width and height of the training boxes."""
    size = (train.corners[:, 2:] - train.corners[:, :2]).mean(axis=0, dtype=np.float64)
    box = np.concatenate([0.5 - size / 2, 0.5 + size / 2])
    return np.broadcast_to(box, (*labels.shape, 4)).copy()


def class_mean(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): the mean of the training boxes of the predicted class, or of all boxes if it has none."""
    everywhere = train.corners.mean(axis=0, dtype=np.float64)
    count = int(max(train.labels.max(), labels.max())) + 1
    sums = np.zeros((count, 4))
    np.add.at(sums, train.labels, train.corners.astype(np.float64))
    boxes = np.bincount(train.labels, minlength=count)[:, None]
    means = np.where(boxes > 0, sums / np.maximum(boxes, 1), everywhere)
    return np.where((labels == NO_LABEL)[..., None], everywhere, means[labels])


BASELINES: dict[str, Callable[[npt.NDArray[Any], BoxTable], Corners]] = {
    "whole_image": whole_image,
    "center_box_of_mean_size": center_of_mean_size,
    "class_mean_box": class_mean,
}
"""Baselines by their keys in an evaluation."""


def baseline_boxes(labels: npt.NDArray[np.int64], train: BoxTable) -> dict[str, RankedBoxes]:
    """The classes `labels` (N, k) with the boxes of each baseline, fitted to training boxes."""
    return {name: RankedBoxes(labels, corners(labels, train)) for name, corners in BASELINES.items()}

"""Learning what is there and what is not, at all places of an image at once.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 5: "we perform negative training on the fly, by
selecting a few interesting negative examples per image such as random ones or most offending ones".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet import distributed
from alexnet.config import RunConfig, from_dict
from alexnet.data import boxes
from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import NOT_ASKED, BoxTable, Corners, window_targets
from alexnet.data.classes import NO_LABEL
from alexnet.data.image_reader import stored_size
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Store
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import SQUARES_AT_ONCE, batches_seen, check_pixels, columns_of, testing
from alexnet.evaluation.prediction_cache import asked_once
from alexnet.evaluation.predictor import Photo, pixels_of, seen
from alexnet.evaluation.views import Look, looks_for, looks_of, name_of, sizes_seen
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.overfeat import OverFeatDetector
from alexnet.models.registry import build_run
from alexnet.published.imagenet import ILSVRC_BOX_MARGIN_PIXELS, ILSVRC_BOX_OVERLAP
from alexnet.runs.predictions import Detected
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.tasks.box_fusion import merge
from alexnet.tasks.localization import Place, Window, windows_of
from alexnet.tasks.losses import Loss


class ObjectsInWindows(nn.Module):
    """A detector as the module that learns: images (N, C, crop, crop) -> (N, 5 K + 1, h, w)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Of each window K + 1 logits, the last of background, and then the boxes of K classes."""
        logits, boxes = cast(OverFeatDetector, self.model).object_and_box_maps(images)
        return torch.cat([logits, boxes.flatten(1, 2)], dim=1)


@dataclass(frozen=True)
class Detection:
    """Each window should name the object that it shows, and where it is, or say that there is none.

    Targets are (N, 6, h, w): the label of each window, `NOT_ASKED` where it shows a part of an object; a
    random number in [0, 1), by which some of the windows are chosen (see `losses.objects`); and x0, y0, x1,
    y1 of the object's box, in shares of the window.
    """

    loss: Loss
    preprocessing: Preprocessing
    detector: OverFeatDetector
    """For its windows; it may be on meta."""
    reads_boxes: bool = True

    def trained(self, model: nn.Module) -> nn.Module:
        """The net's answers to all windows."""
        return ObjectsInWindows(model)

    def targets(self, inputs: Tensor, batch: Batch, randomness: ImageRandomness) -> tuple[Tensor, Tensor]:
        """The images as they are, and the targets."""
        assert batch.boxes is not None
        seen, mirrored = self.preprocessing.train_windows(batch.images.shape[1], randomness)
        rows, columns = self.detector.places(*inputs.shape[2:])
        windows = self.detector.windows(*inputs.shape[2:])
        draws = randomness.uniform("windows", rows * columns)
        targets: list[NDArray[np.float32]] = []
        for corners, names, view, flipped, drawn in zip(
            batch.boxes.corners.numpy(), batch.boxes.labels.numpy(), seen, mirrored, draws, strict=True
        ):
            there = names != NO_LABEL
            boxes = box_geometry.to_window(corners[there], view, flipped)
            labels, places = window_targets(boxes, names[there], windows, self.detector.num_classes)
            targets.append(np.concatenate([labels[None], drawn[None], places.T], dtype=np.float32))
        stacked = torch.from_numpy(np.stack(targets))
        return inputs, stacked.unflatten(2, (rows, columns)).to(inputs.device, non_blocking=True)

    def wrong(self, answers: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Images of which the window that is surest of an object, of those that are asked, is wrong."""
        asked = targets[:, 0].flatten(1) != NOT_ASKED
        probabilities = answers[:, : self.detector.num_classes + 1].softmax(dim=1).flatten(2)
        surest = probabilities[:, :-1].amax(dim=1).masked_fill(~asked, -1.0).argmax(dim=1)
        each = torch.arange(len(answers), device=answers.device)
        said = probabilities.argmax(dim=1)[each, surest]
        return ((said != targets[:, 0].flatten(1)[each, surest]) & asked.any(dim=1)).sum()


Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in the images of a split: D boxes, in any order."""

    images: npt.NDArray[np.int64]
    """(D,) the place of the image in the split."""
    labels: npt.NDArray[np.int64]
    """(D,)"""
    scores: Floats
    """(D,) the higher the surer; they are compared within a class only."""
    corners: Floats
    """(D, 4) x0, y0, x1, y1 in the same shares as the true boxes."""


@dataclass(frozen=True)
class ClassPrecision:
    """How well the objects of one class were found."""

    wnid: str
    objects: int
    detections: int
    found: int
    """Objects that a detection has found, whatever its score."""
    average_precision: float | None
    """0 to 1; None where there is no object of the class."""


@dataclass(frozen=True)
class DetectionErrors:
    """How well all objects were found."""

    images: int
    objects: int
    mean_average_precision: float
    """0 to 1, over the classes that have objects."""
    per_class: tuple[ClassPrecision, ...]
    """In label order."""


def evaluate(
    detections: Detections,
    truth: BoxTable,
    wnids: Sequence[str],
    sizes: npt.NDArray[Any] | None = None,
) -> DetectionErrors:
    """The mean average precision over classes `wnids`, in label order.

    With `sizes` (N, 2), widths and heights of the photos in pixels, small objects need less overlap, as in
    ILSVRC (see `least_overlaps`). Of equal scores the first detection counts first.
    WorkError where a score or a corner is not finite, or there is no object at all.
    """
    if not (np.isfinite(detections.scores).all() and np.isfinite(detections.corners).all()):
        raise WorkError("some detections are not finite: the weights are broken; try --checkpoint best")
    if not len(truth.labels):
        raise WorkError("there is no true box: nothing can be found")
    images = np.repeat(np.arange(len(truth.starts) - 1), np.diff(truth.starts))
    least = np.full(len(truth.labels), ILSVRC_BOX_OVERLAP)
    if sizes is not None:
        least = least_overlaps(truth.corners, sizes[images])
    rows = tuple(_of_class(detections, truth, images, least, label, wnid) for label, wnid in enumerate(wnids))
    known = [row.average_precision for row in rows if row.average_precision is not None]
    return DetectionErrors(len(truth.starts) - 1, len(truth.labels), float(np.mean(known)), rows)


def least_overlaps(corners: Floats, sizes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(B,) overlap that finds each true box (B, 4) of a photo of `sizes` (B, 2) pixels: half, less if small.

    A box five pixels larger on each side is always good enough. Source: Russakovsky et al. 2015, section 4.3.
    """
    pixels = (corners[:, 2:] - corners[:, :2]) * sizes
    larger = pixels + ILSVRC_BOX_MARGIN_PIXELS
    return np.minimum(ILSVRC_BOX_OVERLAP, pixels.prod(axis=1) / larger.prod(axis=1))


def average_precision(right: npt.NDArray[np.bool_], objects: int) -> float:
    """The area under precision by recall, of detections (D,) by falling score: which of them are right."""
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall rises by one object wherever a detection is right.
    return float(best_from_here[right].sum() / objects)


def _of_class(
    detections: Detections,
    truth: BoxTable,
    images: npt.NDArray[np.int64],
    least: Floats,
    label: int,
    wnid: str,
) -> ClassPrecision:
    said = np.flatnonzero(detections.labels == label)
    said = said[np.argsort(-detections.scores[said], kind="stable")]
    objects = np.flatnonzero(truth.labels == label)
    right = np.zeros(len(said), np.bool_)
    for image in np.intersect1d(detections.images[said], images[objects]):
        here = np.flatnonzero(detections.images[said] == image)
        true = objects[images[objects] == image]
        overlaps = boxes.iou(detections.corners[said[here]], truth.corners[true])
        right[here] = _matched(overlaps, least[true])
    precision = average_precision(right, len(objects)) if len(objects) else None
    return ClassPrecision(wnid, len(objects), len(said), int(right.sum()), precision)


def _matched(overlaps: Floats, least: Floats) -> npt.NDArray[np.bool_]:
    """(n,) which of an image's detections, by falling score, find a box; `overlaps` are (n, boxes)."""
    free = np.ones(len(least), np.bool_)
    right = np.zeros(len(overlaps), np.bool_)
    for place, row in enumerate(overlaps):
        candidates = np.where(free & (row >= least), row, -1.0)
        best = int(candidates.argmax())
        if candidates[best] >= 0:
            free[best], right[place] = False, True
    return right


LEAST_PROBABILITY = 0.1
"""Of a class at a window whose box is used."""
MOST_BOXES = 200
"""Of a class that are merged, the most probable ones: merging takes time with the square of their number."""


@dataclass(frozen=True, eq=False)
class Objects:
    """What was found in one photo: n objects, the surest first."""

    labels: npt.NDArray[np.int64]
    """(n,)"""
    corners: Corners
    """(n, 4) in shares of the photo, within it."""
    scores: npt.NDArray[np.float64]
    """(n,) the sum of the probabilities of the windows whose boxes were merged."""


def detector_of(net: ModelBundle) -> OverFeatDetector:
    """The net, where it knows of background; else CommandError."""
    if not isinstance(net.model, OverFeatDetector):
        raise CommandError(
            f"{net.config.recipe} has no class for background, so it cannot tell how many objects there are: "
            "give a run of overfeat-fast-detection"
        )
    return net.model


def detect(net: ModelBundle, seen: Sequence[Tensor], least: float = LEAST_PROBABILITY) -> list[Objects]:
    """The objects of each of N whole photos; `seen` are uint8 (N, H, W, C) at each scale.

    Windows that are less sure than `least` say nothing. CommandError for a net that does not detect.
    """
    model = detector_of(net)
    said: list[list[Window]] = []
    with testing(model) as device:
        for images in seen:
            inputs = net.preprocessing.whole_input(images.to(device))
            logits, boxes = model.object_and_box_maps(inputs)
            # Background has no box; whatever stands in its place is not looked at.
            boxes = torch.cat([boxes, boxes[:, :1]], dim=1)
            said.append(windows_of(logits, boxes, model.windows(*inputs.shape[2:])))
    return [objects_in_photo([scale[photo] for scale in said], least) for photo in range(len(seen[0]))]


def objects_in_photo(scales: Sequence[Window], least: float = LEAST_PROBABILITY) -> Objects:
    """The objects of one photo, from what its windows say at each scale; the last class is background."""
    probabilities = np.concatenate([scale.probabilities for scale in scales])
    boxes = np.concatenate([scale.boxes for scale in scales])
    found: list[tuple[float, int, Corners]] = []
    for label in range(probabilities.shape[1] - 1):
        of_class = probabilities[:, label]
        sure = np.argsort(-of_class, kind="stable")[:MOST_BOXES]
        sure = sure[of_class[sure] >= least]
        merged, sums = merge(boxes[sure, label], of_class[sure])
        found += [(float(total), label, box) for box, total in zip(merged, sums, strict=True)]
    found.sort(key=lambda each: (-each[0], each[1]))
    return Objects(
        labels=np.array([label for _, label, _ in found], np.int64),
        corners=box_geometry.clip(np.array([box for *_, box in found], np.float64).reshape(-1, 4)),
        scores=np.array([total for total, *_ in found], np.float64),
    )


VIEWS = "dense"
"""A detector always sees all of a photo."""


def detect_split(
    net: ModelBundle,
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
    for numbers, shown in batches_seen(net, part, looks, squares_at_once):
        objects = detect(net, [torch.from_numpy(images) for images in shown])
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


def detections_of(
    run: RunDir,
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

    def ask(net: ModelBundle) -> Detected:
        return detect_split(net, store, split, squares_at_once, progress, scales)

    return asked_once(run, store, split, name, Detected, ask, checkpoint, device, progress)


def detects(run: RunDir, checkpoint: str = "last") -> bool:
    """Whether the run's net finds objects."""
    config = bundle.load_metadata(find_weights(run.path, checkpoint))["config"]
    return config["training"].get("loss") == "objects"  # older weights do not tell: they have none


def precision(found: Detected, store: Store) -> dict[str, Any]:
    """For JSON: `detection.Detection` of what was found, by the rule of ILSVRC for small objects.

    CommandError where the split has no boxes.
    """
    part = store.split(found.split)
    sizes = np.array([part.size(index) for index in range(len(part))])
    said = Detections(found.images, found.labels, found.scores, found.corners)
    wnids = [each.wnid for each in store.classes]
    scored = evaluate(said, BoxTable.of_pictures(part), wnids, sizes)
    return {**asdict(scored), "per_class": [asdict(row) for row in scored.per_class]}


def window_precision(
    run: RunDir, store: Store, split: str, checkpoint: str = "last", scales: Sequence[int] = ()
) -> float:
    """Mean average precision of the windows themselves, were each known to show what it does.

    Those that show an object are its box, merged as ever: what a net that learns no boxes comes to at best.
    CommandError where the split has no boxes.
    """
    net = from_dict(RunConfig, bundle.load_metadata(find_weights(run.path, checkpoint))["config"])
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
    return evaluate(said, truth, wnids).mean_average_precision


class Detector:
    """A net that detects and the scales at which it sees photos; photos are as `Classifier` takes them."""

    def __init__(self, net: ModelBundle, looks: Sequence[Look]) -> None:
        self._net, self._looks = net, tuple(looks)

    def detect(self, photo: Photo, least: float = LEAST_PROBABILITY) -> list[Place]:
        """All objects of a photo, the surest first; windows that are less sure than `least` say nothing.

        UnreadableImage for a file without a photo.
        """
        pixels = pixels_of(photo)
        images = [torch.from_numpy(each)[None] for each in seen(pixels, self._net.preprocessing, self._looks)]
        (found,) = detect(self._net, images, least)
        height, width = pixels.shape[:2]
        boxes = (found.corners * [width, height, width, height]).tolist()
        classes = [self._net.classes[label] for label in found.labels]
        return [
            Place(each.wnid, each.name, float(score), tuple(box))
            for each, score, box in zip(classes, found.scores, boxes, strict=True)
        ]


def load(path: str | Path, device: str | torch.device = "cpu", scales: Sequence[int] = ()) -> Detector:
    """The detector of a run folder (its last checkpoint) or of an exported file; the rest as `detector`."""
    return detector(bundle.load(find_weights(Path(path)), device), scales)


def detector(net: ModelBundle, scales: Sequence[int] = ()) -> Detector:
    """What a net finds in photos.

    `scales` are the shorter sides that photos are resized to, by default the net's own. CommandError where
    there is none, or the net does not detect.
    """
    detector_of(net)
    if net.preprocessing.resized["resize"] != "crop":
        raise CommandError("this net saw warped or padded photos: boxes of others would be askew")
    return Detector(net, looks_for(net, VIEWS, scales))

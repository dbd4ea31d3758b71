"""Learning where: a box for each window that shows half of its image's object, or more.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 4.2.
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
from torch import Tensor, nn

from alexnet import distributed
from alexnet.data import boxes
from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import WHOLE, BoxTable, Corners, crop_windows
from alexnet.data.classes import NO_LABEL
from alexnet.data.crops import center
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Store
from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.inference import SQUARES_AT_ONCE, batches_seen, check_pixels, columns_of, testing
from alexnet.evaluation.metrics import TOP, interval
from alexnet.evaluation.prediction_cache import asked_once
from alexnet.evaluation.predictor import Photo, pixels_of, seen
from alexnet.evaluation.views import Look, looks_for, name_of, sees_whole
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.overfeat import OverFeatLocalizer
from alexnet.published.imagenet import ILSVRC_BOX_OVERLAP
from alexnet.runs.predictions import Located
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.tasks.box_fusion import merge
from alexnet.tasks.losses import Loss

SMALLEST_SHARE_SEEN = 0.5
"""Of an object's box; windows that show less of it are left out (section 4.2)."""


class BoxesAtCrop(nn.Module):
    """A localizer as the module that learns: images (N, C, crop, crop) -> boxes (N, K, 4)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Boxes in shares of each image."""
        return cast(OverFeatLocalizer, self.model).forward_boxes(images)


@dataclass(frozen=True)
class Localization:
    """The box of each image's class should be where the object is in the window that the net sees.

    Targets are (N, 6): the label; 1, or 0 where the window is left out; x0, y0, x1, y1 of the image's largest
    box of its class, in shares of the window.
    """

    loss: Loss
    preprocessing: Preprocessing
    reads_boxes: bool = True

    def trained(self, model: nn.Module) -> nn.Module:
        """The net's boxes."""
        return BoxesAtCrop(model)

    def targets(self, inputs: Tensor, batch: Batch, randomness: ImageRandomness) -> tuple[Tensor, Tensor]:
        """The images as they are, and the targets."""
        assert batch.boxes is not None
        corners, there = batch.boxes.largest(batch.labels)
        windows, mirrored = self.preprocessing.train_windows(batch.images.shape[1], randomness)
        used = there.numpy() & (box_geometry.covered(corners.numpy(), windows) >= SMALLEST_SHARE_SEEN)
        wanted = box_geometry.to_window(corners.numpy(), windows, mirrored)
        columns = [batch.labels.cpu().numpy()[:, None], used[:, None], wanted]
        targets = torch.from_numpy(np.concatenate(columns, axis=1, dtype=np.float32))
        return inputs, targets.to(inputs.device, non_blocking=True)

    def wrong(self, answers: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Boxes that overlap their object's by less than half; windows that are left out are not wrong."""
        chosen = answers[torch.arange(len(answers), device=answers.device), labels]
        overlaps = _iou(chosen, targets[:, 2:])
        return ((overlaps < ILSVRC_BOX_OVERLAP) & (targets[:, 1] > 0)).sum()


def _iou(some: Tensor, others: Tensor) -> Tensor:
    """(N,) intersection over union of boxes (N, 4), pair by pair, on any device."""
    first, last = torch.maximum(some[:, :2], others[:, :2]), torch.minimum(some[:, 2:], others[:, 2:])
    common = (last - first).clamp(min=0).prod(dim=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1) for boxes in (some, others)]
    return common / (areas[0] + areas[1] - common).clamp(min=torch.finfo(some.dtype).tiny)


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of every image of a split, in the store's order: k classes with their boxes."""

    labels: npt.NDArray[np.int64]
    """(N, k) the surest class first; `NO_LABEL` where there are fewer than k."""
    corners: npt.NDArray[np.floating[Any]]
    """(N, k, 4) x0, y0, x1, y1 of each, in the same shares as the true boxes."""


@dataclass(frozen=True)
class LocalizationErrors:
    """How many images are wrong; of those that have a box of their own class, the others are not scored."""

    images: int
    without_box: int
    """Images that were not scored, as nobody has said where their object is."""
    top1_localization_errors: int
    """Images whose first answer has the wrong class or a wrong box."""
    top5_localization_errors: int
    top1_errors: int
    """Images whose first answer has the wrong class, whatever its box: those of classification alone."""
    top5_errors: int | None
    """None with five classes or fewer."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, with errors as fractions in [0, 1] and their 95 % intervals."""
        rates: dict[str, Any] = {}
        for name in ("top1_localization", "top5_localization", "top1", "top5"):
            errors = getattr(self, f"{name}_errors")
            rates[f"{name}_error"] = None if errors is None else errors / self.images
            rates[f"{name}_interval"] = None if errors is None else list(interval(errors, self.images))
        return {**asdict(self), **rates}


def evaluate(
    answers: Answers,
    labels: npt.NDArray[Any],
    truth: BoxTable,
    classes: int,
    overlap: float = ILSVRC_BOX_OVERLAP,
) -> LocalizationErrors:
    """Counts the errors among the N images with `labels` (N,) and true boxes; there are `classes` classes.

    WorkError where answers are missing or not finite, or no image has a box of its class.
    """
    if answers.labels.shape[:1] != labels.shape or not np.isfinite(answers.corners).all():
        raise WorkError("there is not one finite answer for every image; no error is given")
    scored = np.flatnonzero([labels[image] in truth.of_image(image)[0] for image in range(len(labels))])
    if not len(scored):
        raise WorkError("no image of the split has a box of its own class: there is nothing to score")
    named = answers.labels[scored, :TOP] == labels[scored, None]
    placed = named & right_boxes(answers, labels, truth, overlap)[scored, :TOP]
    return LocalizationErrors(
        images=len(scored),
        without_box=len(labels) - len(scored),
        top1_localization_errors=int((~placed[:, 0]).sum()),
        top5_localization_errors=int((~placed.any(axis=1)).sum()),
        top1_errors=int((~named[:, 0]).sum()),
        top5_errors=int((~named.any(axis=1)).sum()) if classes > TOP else None,
    )


def right_boxes(
    answers: Answers, labels: npt.NDArray[Any], truth: BoxTable, overlap: float = ILSVRC_BOX_OVERLAP
) -> npt.NDArray[np.bool_]:
    """(N, k) whether each box overlaps one of the image's boxes of its own class enough."""
    right = np.zeros(answers.labels.shape, np.bool_)
    for image, label in enumerate(labels):
        classes, corners = truth.of_image(image)
        found = corners[classes == label]
        right[image] = (boxes.iou(answers.corners[image], found) >= overlap).any(axis=1)
    return right


def top_classes(probabilities: npt.NDArray[Any], k: int = TOP) -> npt.NDArray[np.int64]:
    """(N, k) the most probable classes, the most probable first (equals in label order).

    `NO_LABEL` behind the last where there are fewer than k.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=NO_LABEL)


VIEWS = ("center", "dense")
"""Those that a box can be said of: one window in the middle, or windows at all places."""
MOST_MERGED = 4_096
"""Boxes of a class, the surest ones: memory takes their square. The paper has 1,575 at six scales."""


@dataclass(frozen=True)
class Window:
    """What one window of a photo says."""

    probabilities: npt.NDArray[np.float32]
    """(P, K) of P windows."""
    boxes: Corners
    """(P, K, 4) in shares of what was looked at."""


def localizer_of(net: ModelBundle) -> OverFeatLocalizer:
    """The net, where it says boxes; else CommandError."""
    if not isinstance(net.model, OverFeatLocalizer):
        raise CommandError(
            f"{net.config.recipe} names what is in photos and says no boxes: "
            "give a run of overfeat-fast-localization"
        )
    return net.model


def refuse_other_views(views: str) -> None:
    """CommandError for views that no box can be said of."""
    if views not in VIEWS:
        raise CommandError(f"no boxes with --views {views}; there are {', '.join(VIEWS)}")


def locate(
    net: ModelBundle, looks: Sequence[Look], seen: Sequence[Tensor], top: int = TOP
) -> tuple[npt.NDArray[np.int64], Corners, npt.NDArray[np.float64]]:
    """(N, top) classes, (N, top, 4) their boxes and (N, top) scores, the surest first.

    Where there are fewer the class is `NO_LABEL` (-1). `seen` are uint8 (N, H, W, C) for each of the looks;
    boxes are in shares of what they see.
    """
    model = localizer_of(net)
    with testing(model) as device:
        said = [_windows(net, look, images.to(device)) for look, images in zip(looks, seen, strict=True)]
    answers = [best_boxes([scale[image] for scale in said], top) for image in range(len(seen[0]))]
    labels, corners, scores = (np.stack(each) for each in zip(*answers, strict=True))
    return labels, corners, scores


def best_boxes(
    scales: Sequence[Window], top: int = TOP
) -> tuple[npt.NDArray[np.int64], Corners, npt.NDArray[np.float64]]:
    """(top,) classes, (top, 4) boxes and (top,) scores of one photo, from what its windows say at each scale.

    A class that is among the first `top` at a scale, by its largest probability there, has a box of each of
    the scale's windows. Those of a class are merged, and the surest of the merged ones is its box.
    Source: section 4.3, (a) to (g).
    """
    chosen: dict[int, list[tuple[Corners, npt.NDArray[np.float32]]]] = {}
    for scale in scales:
        for label in np.argsort(-scale.probabilities.max(axis=0), kind="stable")[:top].tolist():
            chosen.setdefault(label, []).append((scale.boxes[:, label], scale.probabilities[:, label]))
    found: list[tuple[float, int, Corners]] = []
    for label, parts in chosen.items():
        corners, sure = (np.concatenate(each) for each in zip(*parts, strict=True))
        kept = np.sort(np.argsort(-sure, kind="stable")[:MOST_MERGED])
        boxes, sums = merge(corners[kept], sure[kept])
        found.append((float(sums[0]), label, boxes[0]))
    found.sort(key=lambda each: (-each[0], each[1]))
    missing = top - len(found)
    scores = [score for score, _, _ in found[:top]] + [0.0] * missing
    labels = [label for _, label, _ in found[:top]] + [NO_LABEL] * missing
    places = [box for _, _, box in found[:top]] + [np.zeros(4)] * missing
    return np.array(labels, np.int64), np.stack(places), np.array(scores)


def _windows(net: ModelBundle, look: Look, images: Tensor) -> list[Window]:
    """What the windows of one look say of each of the uint8 images (N, H, W, C)."""
    model, height = localizer_of(net), images.shape[1]
    if look.view.part == "whole":
        inputs, part = net.preprocessing.whole_input(images), np.array(box_geometry.WHOLE)
    else:
        position, crop = center(height, net.preprocessing.crop), net.preprocessing.crop
        inputs, part = net.preprocessing.test_input(images, position), crop_windows(position, height, crop)
    logits, boxes = model.class_and_box_maps(inputs)
    windows = box_geometry.from_window(model.windows(*inputs.shape[2:]), part)
    return windows_of(logits, boxes, windows)


def windows_of(logits: Tensor, boxes: Tensor, windows: Corners) -> list[Window]:
    """What windows (P, 4) say of N photos, of logits (N, K, h, w) and boxes (N, K, 4, h, w) within them."""
    probabilities = logits.float().softmax(dim=1).flatten(2).permute(0, 2, 1).cpu().numpy()
    shares = boxes.float().flatten(3).permute(0, 3, 1, 2).cpu().numpy()
    placed = box_geometry.ordered(box_geometry.from_window(shares, windows[:, None]))
    return [Window(*each) for each in zip(probabilities, placed, strict=True)]


def whole_image(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): the whole image is the box, whatever the class."""
    return np.broadcast_to(np.array(WHOLE), (*labels.shape, 4)).copy()


def center_of_mean_size(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): in the middle, as wide and as high as a training box in the mean."""
    size = (train.corners[:, 2:] - train.corners[:, :2]).mean(axis=0, dtype=np.float64)
    box = np.concatenate([0.5 - size / 2, 0.5 + size / 2])
    return np.broadcast_to(box, (*labels.shape, 4)).copy()


def class_mean(labels: npt.NDArray[np.int64], train: BoxTable) -> Corners:
    """(N, k, 4): the mean of the training boxes of the answer's class; of all, where it has none."""
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
"""By the key that an evaluation has for each."""


def baseline_answers(labels: npt.NDArray[np.int64], train: BoxTable) -> dict[str, Answers]:
    """Answers of the classes `labels` (N, k) with the boxes of each baseline, learned from training boxes."""
    return {name: Answers(labels, corners(labels, train)) for name, corners in BASELINES.items()}


def locate_split(
    net: ModelBundle,
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
    for numbers, shown in batches_seen(net, part, looks, squares_at_once):
        found.append((numbers, locate(net, looks, [torch.from_numpy(images) for images in shown])))
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
    run: RunDir,
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

    def ask(net: ModelBundle) -> Located:
        return locate_split(net, store, split, views, squares_at_once, progress, scales)

    return asked_once(run, store, split, name, Located, ask, checkpoint, device, progress)


def says_boxes(run: RunDir, checkpoint: str = "last") -> bool:
    """Whether the run's net says where objects are, beside what they are."""
    config = bundle.load_metadata(find_weights(run.path, checkpoint))["config"]
    return config["training"].get("loss") == "boxes"  # older weights do not tell: they have none


def errors(located: Located, store: Store) -> dict[str, Any]:
    """The localization's errors (`localization.Localization`) and, for the same classes, the `baselines`'.

    CommandError where the split, or the training split that the baselines learn from, has no boxes.
    """
    whole = store.header.shape == "whole" and sees_whole(located.views)
    table = BoxTable.of_pictures if whole else BoxTable.of
    part = store.split(located.split)
    true, train = table(part), table(store.split("train"))

    def measured(answers: Answers) -> dict[str, Any]:
        return evaluate(answers, part.labels, true, len(store.classes)).to_dict()

    baselines = baseline_answers(located.labels, train)
    return {
        **measured(Answers(located.labels, located.corners)),
        "baselines": {name: measured(answers) for name, answers in baselines.items()},
    }


@dataclass(frozen=True)
class Place:
    """One answer: a class, and where an object of it is."""

    wnid: str
    name: str
    score: float
    """Sum of the class's probabilities in the windows whose boxes were merged."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the photo, within it."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Localizer:
    """A net with boxes and how it is shown photos; photos are as `Classifier` takes them."""

    def __init__(self, net: ModelBundle, looks: Sequence[Look]) -> None:
        self._net, self._looks = net, tuple(looks)

    def localize(self, photo: Photo, top: int = TOP) -> list[Place]:
        """The surest classes of a photo, at most `top`, the surest first.

        UnreadableImage for a file without a photo.
        """
        pixels = pixels_of(photo)
        images = [
            torch.from_numpy(image)[None] for image in seen(pixels, self._net.preprocessing, self._looks)
        ]
        labels, corners, scores = (each[0] for each in locate(self._net, self._looks, images, top))
        height, width = pixels.shape[:2]
        window = self._window(height, width)
        boxes = box_geometry.clip(box_geometry.from_window(corners, window)) * (2 * [width, height])
        return [
            Place(self._net.classes[label].wnid, self._net.classes[label].name, float(score), tuple(box))
            for label, box, score in zip(labels.tolist(), boxes.tolist(), scores, strict=True)
            if label != NO_LABEL
        ]

    def _window(self, height: int, width: int) -> box_geometry.Corners:
        """What the looks see of a photo, in shares of it: all, or its central square."""
        if self._looks[0].view.part == "whole":
            return np.array(box_geometry.WHOLE)
        shorter = min(height, width)
        return box_geometry.central_window(height, width, shorter)


def load(
    path: str | Path, device: str | torch.device = "cpu", views: str = "dense", scales: Sequence[int] = ()
) -> Localizer:
    """The localizer of a run folder (its last checkpoint) or of an exported file; the rest as `localizer`."""
    return localizer(bundle.load(find_weights(Path(path)), device), views, scales)


def localizer(net: ModelBundle, views: str = "dense", scales: Sequence[int] = ()) -> Localizer:
    """What a net says of photos.

    `views` are `dense` or `center`, `scales` the shorter sides that photos are resized to, by default the
    net's own. CommandError where there is none, or the net says no boxes.
    """
    localizer_of(net)
    refuse_other_views(views)
    if net.preprocessing.resized["resize"] != "crop":
        raise CommandError("this net saw warped or padded photos: boxes of others would be askew")
    return Localizer(net, looks_for(net, views, scales))

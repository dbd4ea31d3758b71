"""Figures of predicted boxes with the true ones, on correctly and on wrongly predicted photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import BoxTable
from alexnet.data.image_reader import read_photo
from alexnet.data.photos import Photo
from alexnet.errors import CommandError
from alexnet.evaluation.views import is_whole
from alexnet.published.imagenet import ILSVRC_BOX_OVERLAP
from alexnet.report.plots.boxes import COLOR_LEGEND, DrawnBox, draw_box_photos
from alexnet.report.plots.style import figure_title, short
from alexnet.report.sections.subjects import Drawn, OpenModel
from alexnet.runs.predictions import DetectionPredictions, LocalizationPredictions, SplitPredictions
from alexnet.tasks.base import BoxPrediction
from alexnet.tasks.config import DEFAULT_MIN_SCORE
from alexnet.tasks.localization import RankedBoxes, right_boxes

HITS, WRONG_BOX, WRONG_CLASS = 6, 3, 3
"""Largest number of photos of each kind in a figure of localization."""
SCENES = 8
"""Number of photos in a figure of detection."""
MOST_OBJECTS = 5
"""Number of detections drawn on a photo: those with the highest scores."""
_WHICH = (
    f"detections with a score of at least {DEFAULT_MIN_SCORE:g}, on each photo at most "
    f"the best {MOST_OBJECTS}"
)


def predicted_boxes(
    on: OpenModel, found: SplitPredictions, find: Callable[[Photo], Sequence[BoxPrediction]]
) -> Drawn:
    """Predicted boxes beside the true ones; `find` returns what users are shown of a photo.

    CommandError for predictions that hold no boxes.
    """
    match found:
        case LocalizationPredictions():
            return located(on, found)
        case DetectionPredictions():
            return detected(on, found, find)
        case _:
            raise CommandError(f"no figure shows {type(found).__name__}")


def located(on: OpenModel, found: LocalizationPredictions) -> Drawn:
    """Validation photos whose first prediction is correct, has a wrong box, or a wrong class.

    Photos of each kind are spread evenly through the split; those without a box of their class are left out.
    """
    labels = on.photos.labels
    whole = on.store.manifest.shape == "whole" and is_whole(found.views)
    truth = (BoxTable.of_pictures if whole else BoxTable.of)(on.photos)
    scored = np.array([label in truth.of_image(image)[0] for image, label in enumerate(labels)])
    right_class = found.labels[:, 0] == labels
    hit = right_class & right_boxes(RankedBoxes(found.labels, found.corners), labels, truth)[:, 0]
    kinds = (
        ("correct", scored & hit, HITS),
        ("wrong box", scored & right_class & ~hit, WRONG_BOX),
        ("wrong class", scored & ~right_class, WRONG_CLASS),
    )
    chosen = [(kind, image) for kind, which, count in kinds for image in _evenly(which, count)]
    boxes: list[list[DrawnBox]] = []
    titles: list[str] = []
    for kind, image in chosen:
        predicted = on.store.classes[int(found.labels[image, 0])].name
        names, corners = truth.of_image(image)
        boxes.append([DrawnBox(box, kind="true") for box in corners[names == labels[image]].tolist()])
        how = "right" if kind == "correct" else "wrong"
        boxes[-1].append(DrawnBox(found.corners[image, 0].tolist(), kind=how))
        titles.append(f"{_classes(predicted, on.names([image])[0])}\n{kind}")
    photos = [read_photo(on.photos, image) if whole else on.squares([image])[0] for _, image in chosen]
    title = figure_title(on.name, on.data, int(scored.sum()))
    figure = draw_box_photos(photos, boxes, titles, title=title)
    alt_text = (
        f"{len(chosen)} photos with the true and the predicted box: "
        f"{'; '.join(title.replace(chr(10), ': ') for title in titles)}. Of all {scored.sum():,} photos with "
        f"boxes {hit[scored].sum():,} are correct."
    )
    return Drawn(figure, alt_text)


def detected(
    on: OpenModel, found: DetectionPredictions, find: Callable[[Photo], Sequence[BoxPrediction]]
) -> Drawn:
    """Validation photos with all true boxes and the best detections, correct and wrong.

    `found` are all detections on these photos, whatever their scores; `find` returns those that are shown to
    users.
    """
    truth = BoxTable.of_pictures(on.photos)
    right = _right(found, truth)
    with_boxes = np.zeros(len(on.photos), np.bool_)
    with_boxes[truth.images_with_boxes()] = True
    chosen = _evenly(with_boxes, SCENES)
    photos = [read_photo(on.photos, image) for image in chosen]
    predicted = [find(photo)[:MOST_OBJECTS] for photo in photos]
    boxes: list[list[DrawnBox]] = []
    titles: list[str] = []
    for image, photo, places in zip(chosen, photos, predicted, strict=True):
        labels, corners = truth.of_image(image)
        wnids = np.array([on.store.classes[label].wnid for label in labels], np.str_)
        boxes.append([DrawnBox(box, kind="true") for box in corners.tolist()])
        boxes[-1] += [_drawn(each, photo, corners[wnids == each.wnid]) for each in reversed(places)]
        titles.append(f"{len(labels)} object{'' if len(labels) == 1 else 's'}")
        titles[-1] += "" if places else ", no detections"
    objects = sum(len(truth.of_image(image)[0]) for image in chosen)
    title, note = figure_title(on.name, on.data, len(on.photos)), f"{COLOR_LEGEND}\n{_WHICH}"
    figure = draw_box_photos(photos, boxes, titles, note, title)
    alt_text = (
        f"{len(chosen)} photos with the true boxes of {objects} objects and {sum(map(len, predicted))} "
        f"{_WHICH}. Of all {len(right):,} detections on all photos, of any score, {right.sum():,} have an "
        "IoU of at least 0.5 with an object of their class."
    )
    return Drawn(figure, alt_text)


def _drawn(place: BoxPrediction, photo: npt.NDArray[np.uint8], true: npt.NDArray[np.floating]) -> DrawnBox:
    """One detection with the true boxes (n, 4) of its class, as fractions of the photo."""
    height, width = photo.shape[:2]
    corners = np.array(place.box) / (width, height, width, height)
    how = "right" if _hits(corners, true) else "wrong"
    return DrawnBox(corners.tolist(), short(place.name, 16), how)


def _right(found: DetectionPredictions, truth: BoxTable) -> npt.NDArray[np.bool_]:
    """(D,) whether each detection overlaps an object of its class enough; duplicates count, too."""
    right = np.zeros(len(found.labels), np.bool_)
    for number, (image, label) in enumerate(zip(found.images, found.labels, strict=True)):
        labels, corners = truth.of_image(int(image))
        right[number] = _hits(found.corners[number], corners[labels == label])
    return right


def _hits(box: npt.NDArray[np.floating], true: npt.NDArray[np.floating]) -> bool:
    """Whether a box overlaps one of (n, 4) enough."""
    return bool((box_geometry.iou(box[None], true) >= ILSVRC_BOX_OVERLAP).any())


def _evenly(which: npt.NDArray[np.bool_], count: int) -> list[int]:
    """At most `count` of these images, evenly from the first to the last."""
    there = np.flatnonzero(which)
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return there[places].tolist()


def _classes(predicted: str, true: str) -> str:
    return short(true) if predicted == true else f"{short(predicted, 16)}, not {short(true, 16)}"

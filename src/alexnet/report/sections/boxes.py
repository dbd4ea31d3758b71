"""Pictures of where runs say that things are: hits and misses, beside the true boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from alexnet.data import boxes as box_geometry
from alexnet.data.boxes import BoxTable
from alexnet.data.image_reader import read_photo
from alexnet.evaluation.predictor import Photo
from alexnet.evaluation.views import is_whole
from alexnet.published import ILSVRC_BOX_OVERLAP
from alexnet.report.plots.boxes import IN_WORDS, DrawnBox, draw_box_photos
from alexnet.report.plots.words import about, short
from alexnet.report.sections.opened import Drawn, Opened
from alexnet.runs.predictions import DetectionPredictions, LocalizationPredictions
from alexnet.tasks.base import BoxPrediction, Prediction
from alexnet.tasks.config import DEFAULT_MIN_SCORE
from alexnet.tasks.localization import RankedBoxes, right_boxes

HITS, MISPLACED, MISNAMED = 6, 3, 3
"""Photos of a picture of localization, as far as there are any."""
SCENES = 8
"""Photos of a picture of detection."""
MOST_OBJECTS = 5
"""Answers that are drawn on one of them, the surest."""
_WHICH = (
    f"said: what alexnet predict shows (windows that are sure by {DEFAULT_MIN_SCORE:g} or more), of a photo "
    f"the {MOST_OBJECTS} surest at most"
)


def located(on: Opened, found: LocalizationPredictions) -> Drawn:
    """Validation photos whose first answer is right, has a wrong box, or a wrong class.

    Evenly through the photos of each kind; those without a box of their class are left out.
    """
    labels = on.photos.labels
    whole = on.store.manifest.shape == "whole" and is_whole(found.views)
    truth = (BoxTable.of_pictures if whole else BoxTable.of)(on.photos)
    scored = np.array([label in truth.of_image(image)[0] for image, label in enumerate(labels)])
    named = found.labels[:, 0] == labels
    hit = named & right_boxes(RankedBoxes(found.labels, found.corners), labels, truth)[:, 0]
    kinds = (
        ("right", scored & hit, HITS),
        ("wrong box", scored & named & ~hit, MISPLACED),
        ("wrong class", scored & ~named, MISNAMED),
    )
    chosen = [(kind, image) for kind, which, count in kinds for image in _evenly(which, count)]
    boxes: list[list[DrawnBox]] = []
    titles: list[str] = []
    for kind, image in chosen:
        said = on.store.classes[int(found.labels[image, 0])].name
        names, corners = truth.of_image(image)
        boxes.append([DrawnBox(box, kind="true") for box in corners[names == labels[image]].tolist()])
        how = "right" if kind == "right" else "wrong"
        boxes[-1].append(DrawnBox(found.corners[image, 0].tolist(), kind=how))
        titles.append(f"{_answer(said, on.names([image])[0])}\n{kind}")
    photos = [read_photo(on.photos, image) if whole else on.squares([image])[0] for _, image in chosen]
    title = about(on.name, on.data, int(scored.sum()))
    figure = draw_box_photos(photos, boxes, titles, about=title)
    seen = (
        f"{len(chosen)} photos with the true box and the one that the net says: "
        f"{'; '.join(title.replace(chr(10), ': ') for title in titles)}. Of all {scored.sum():,} photos with "
        f"boxes {hit[scored].sum():,} are hits."
    )
    return Drawn(figure, seen)


def detected(on: Opened, found: DetectionPredictions, find: Callable[[Photo], Sequence[Prediction]]) -> Drawn:
    """Validation photos with all true boxes and the surest objects that `find` says there, right and wrong.

    `found` is all that the net says of these photos, however unsure; `find` is asked as people ask it.
    """
    truth = BoxTable.of_pictures(on.photos)
    right = _right(found, truth)
    with_boxes = np.zeros(len(on.photos), np.bool_)
    with_boxes[truth.images_with_boxes()] = True
    chosen = _evenly(with_boxes, SCENES)
    photos = [read_photo(on.photos, image) for image in chosen]
    said = [
        [each for each in find(photo)[:MOST_OBJECTS] if isinstance(each, BoxPrediction)] for photo in photos
    ]
    boxes: list[list[DrawnBox]] = []
    titles: list[str] = []
    for image, photo, places in zip(chosen, photos, said, strict=True):
        labels, corners = truth.of_image(image)
        wnids = np.array([on.store.classes[label].wnid for label in labels], np.str_)
        boxes.append([DrawnBox(box, kind="true") for box in corners.tolist()])
        boxes[-1] += [_drawn(each, photo, corners[wnids == each.wnid]) for each in reversed(places)]
        titles.append(f"{len(labels)} object{'' if len(labels) == 1 else 's'}")
        titles[-1] += "" if places else ", nothing said"
    objects = sum(len(truth.of_image(image)[0]) for image in chosen)
    title, note = about(on.name, on.data, len(on.photos)), f"{IN_WORDS}\n{_WHICH}"
    figure = draw_box_photos(photos, boxes, titles, note, title)
    seen = (
        f"{len(chosen)} photos with the true boxes of {objects} objects and {sum(map(len, said))} answers; "
        f"{_WHICH}. Of all {len(right):,} answers to all photos, however unsure, {right.sum():,} overlap an "
        "object of their class by half."
    )
    return Drawn(figure, seen)


def _drawn(said: BoxPrediction, photo: npt.NDArray[np.uint8], true: npt.NDArray[np.floating]) -> DrawnBox:
    """One answer beside the true boxes (n, 4) of its class, in shares of the photo."""
    height, width = photo.shape[:2]
    corners = np.array(said.box) / (width, height, width, height)
    how = "right" if _hits(corners, true) else "wrong"
    return DrawnBox(corners.tolist(), short(said.name, 16), how)


def _right(found: DetectionPredictions, truth: BoxTable) -> npt.NDArray[np.bool_]:
    """(D,) whether each overlaps an object of its class by half; one that is found twice counts twice."""
    right = np.zeros(len(found.labels), np.bool_)
    for number, (image, label) in enumerate(zip(found.images, found.labels, strict=True)):
        labels, corners = truth.of_image(int(image))
        right[number] = _hits(found.corners[number], corners[labels == label])
    return right


def _hits(said: npt.NDArray[np.floating], true: npt.NDArray[np.floating]) -> bool:
    """Whether a box overlaps one of (n, 4) by half."""
    return bool((box_geometry.iou(said[None], true) >= ILSVRC_BOX_OVERLAP).any())


def _evenly(which: npt.NDArray[np.bool_], count: int) -> list[int]:
    """At most `count` of those images, from the first to the last."""
    there = np.flatnonzero(which)
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return there[places].tolist()


def _answer(said: str, true: str) -> str:
    return short(true) if said == true else f"{short(said, 16)}, not {short(true, 16)}"

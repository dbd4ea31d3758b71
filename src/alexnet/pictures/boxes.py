"""Pictures of where runs say that things are: hits and misses, beside the true boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alexnet.data import box_geometry
from alexnet.data.boxes import BoxTable
from alexnet.data.pixels import read_photo
from alexnet.evaluation.localization import Answers, right_boxes
from alexnet.evaluation.views import sees_whole
from alexnet.figures.boxes import DrawnBox, draw_box_photos
from alexnet.figures.words import about, short
from alexnet.pictures.opened import Drawn, Opened
from alexnet.published import ILSVRC_BOX_OVERLAP
from alexnet.runs.predictions import Detected, Located

HITS, MISPLACED, MISNAMED = 6, 3, 3
"""Photos of a picture of localisation, as far as there are any."""
SCENES = 8
"""Photos of a picture of detection."""
SHOWN_SHARE = 0.5
"""Objects with less than this share of the median score of those that are right are not drawn."""


def located(on: Opened, found: Located) -> Drawn:
    """Validation photos whose first answer is right, has a wrong box, or a wrong class.

    Evenly through the photos of each kind; those without a box of their class are left out.
    """
    labels = on.photos.labels
    whole = on.store.header.shape == "whole" and sees_whole(found.views)
    truth = (BoxTable.of_pictures if whole else BoxTable.of)(on.photos)
    scored = np.array([label in truth.of_image(image)[0] for image, label in enumerate(labels)])
    named = found.labels[:, 0] == labels
    hit = named & right_boxes(Answers(found.labels, found.corners), labels, truth)[:, 0]
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


def detected(on: Opened, found: Detected) -> Drawn:
    """Validation photos with all true boxes and the surest objects that the net found, right and wrong."""
    truth = BoxTable.of_pictures(on.photos)
    right = _right(found, truth)
    least = SHOWN_SHARE * float(np.median(found.scores[right])) if right.any() else 0.0
    with_boxes = np.zeros(len(on.photos), np.bool_)
    with_boxes[truth.images_with_boxes()] = True
    chosen = _evenly(with_boxes, SCENES)
    boxes: list[list[DrawnBox]] = []
    for image in chosen:
        boxes.append([DrawnBox(box, kind="true") for box in truth.of_image(image)[1].tolist()])
        shown = np.flatnonzero((found.images == image) & (found.scores >= least))
        for each in shown[::-1]:  # the surest on top
            name = on.store.classes[int(found.labels[each])].name
            how = "right" if right[each] else "wrong"
            boxes[-1].append(DrawnBox(found.corners[each].tolist(), short(name, 16), how))
    counts = [len(truth.of_image(image)[0]) for image in chosen]
    titles = [f"{count} object{'' if count == 1 else 's'}" for count in counts]
    figure = draw_box_photos([read_photo(on.photos, image) for image in chosen], boxes, titles)
    figure.suptitle(about(on.name, on.data, len(on.photos)), fontsize=11)
    seen = (
        f"{len(chosen)} photos with the true boxes of {sum(counts)} objects and the surest of what is said: "
        f"of all {len(right):,} said {right.sum():,} overlap an object of their class by half."
    )
    return Drawn(figure, seen)


def _right(found: Detected, truth: BoxTable) -> npt.NDArray[np.bool_]:
    """(D,) whether each overlaps an object of its class by half; one that is found twice counts twice."""
    right = np.zeros(len(found.labels), np.bool_)
    for number, (image, label) in enumerate(zip(found.images, found.labels, strict=True)):
        labels, corners = truth.of_image(int(image))
        overlaps = box_geometry.iou(found.corners[number, None], corners[labels == label])
        right[number] = (overlaps >= ILSVRC_BOX_OVERLAP).any()
    return right


def _evenly(which: npt.NDArray[np.bool_], count: int) -> list[int]:
    """At most `count` of those images, from the first to the last."""
    there = np.flatnonzero(which)
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return there[places].tolist()


def _answer(said: str, true: str) -> str:
    return short(true) if said == true else f"{short(said, 16)}, not {short(true, 16)}"

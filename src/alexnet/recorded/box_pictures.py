"""Pictures of where trained nets say that things are: right and wrong boxes of a run on its store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.data import box_geometry
from alexnet.data.boxes import BoxTable
from alexnet.data.pixels import read_square
from alexnet.data.store import Split, Store
from alexnet.evaluation.localization import Answers, right_boxes
from alexnet.figures.boxes import DrawnBox, draw_box_photos
from alexnet.figures.save import save
from alexnet.figures.words import short
from alexnet.published import ILSVRC_BOX_OVERLAP
from alexnet.runs import predictions
from alexnet.runs.predictions import Detected, Located

HITS, MISPLACED, MISNAMED = 6, 3, 3
"""Photos in a picture of localisation."""
SCENES = 8
"""Photos in a picture of detection."""
SHOWN_SHARE = 0.5
"""Detections with less than this share of the median score of those that are right are not drawn."""


def draw_localized_of(run: Path, store: Path, picture: Path) -> Path:
    """Validation photos whose first answer is right, has a wrong box, or a wrong class; returns the path.

    Of the test with most scales whose boxes the run has kept, evenly through the photos of each kind.
    """
    made, opened = predictions.load_boxes(_boxes_of(run, "boxes"), Located), Store.open(store)
    split, names = opened.split(made.split), _names(opened)
    table = BoxTable.of(split)
    answers = Answers(made.labels, made.corners)
    first = right_boxes(answers, split.labels, table)[:, 0]
    scored = np.array([label in table.of_image(image)[0] for image, label in enumerate(split.labels)])
    named = made.labels[:, 0] == split.labels
    kinds = (
        ("right", scored & named & first, HITS),
        ("wrong box", scored & named & ~first, MISPLACED),
        ("wrong class", scored & ~named, MISNAMED),
    )
    chosen = [(kind, image) for kind, which, count in kinds for image in _evenly(which, count)]
    photos = [_photo(split, image) for _, image in chosen]
    boxes: list[list[DrawnBox]] = []
    for kind, image in chosen:
        labels, corners = table.of_image(image)
        said = DrawnBox(made.corners[image, 0].tolist(), "", "right" if kind == "right" else "wrong")
        true = [DrawnBox(box.tolist(), "", "true") for box in corners[labels == split.labels[image]]]
        boxes.append([*true, said])
    titles = [
        f"{_answer(names, made.labels[image, 0], split.labels[image])}\n{kind}" for kind, image in chosen
    ]
    return save(draw_box_photos(photos, boxes, titles), picture)


def draw_detected_of(run: Path, store: Path, picture: Path) -> Path:
    """Scenes of the validation split with the surest objects found in them, right and wrong; the path."""
    made, opened = predictions.load_boxes(_boxes_of(run, "objects"), Detected), Store.open(store)
    split, names = opened.split(made.split), _names(opened)
    table = BoxTable.of_pictures(split)
    right = _right(made, table)
    least = SHOWN_SHARE * float(np.median(made.scores[right])) if right.any() else 0.0
    chosen = _evenly(np.ones(len(split), np.bool_), SCENES)
    boxes: list[list[DrawnBox]] = []
    for image in chosen:
        true = [DrawnBox(box.tolist(), "", "true") for box in table.of_image(image)[1]]
        said = [
            DrawnBox(
                made.corners[each].tolist(),
                short(names[made.labels[each]], 16),
                "right" if right[each] else "wrong",
            )
            for each in np.flatnonzero((made.images == image) & (made.scores >= least))[::-1]  # surest on top
        ]
        boxes.append([*true, *said])
    counts = [len(table.of_image(image)[0]) for image in chosen]
    titles = [f"{count} object{'' if count == 1 else 's'}" for count in counts]
    return save(draw_box_photos([_photo(split, image) for image in chosen], boxes, titles), picture)


def _boxes_of(run: Path, kind: str) -> Path:
    """The file of kept boxes of the test with the longest name, that of most scales."""
    return max((run / "predictions").glob(f"val-dense*-{kind}.npz"), key=lambda path: (len(path.name), path))


def _right(made: Detected, table: BoxTable) -> npt.NDArray[np.bool_]:
    """(D,) whether each detection overlaps an object of its class by half; one that is found twice, twice."""
    right = np.zeros(len(made.labels), np.bool_)
    for number, (image, label) in enumerate(zip(made.images, made.labels, strict=True)):
        labels, corners = table.of_image(int(image))
        overlaps = box_geometry.iou(made.corners[number, None], corners[labels == label])
        right[number] = (overlaps >= ILSVRC_BOX_OVERLAP).any()
    return right


def _evenly(which: npt.NDArray[np.bool_], count: int) -> list[int]:
    """At most `count` of the images, from the first to the last."""
    there = np.flatnonzero(which)
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return there[places].tolist()


def _photo(split: Split, index: int) -> npt.NDArray[np.uint8]:
    header = split.header
    square = np.empty((header.side, header.side, header.channels), np.uint8)
    read_square(split, index, square)
    return square


def _names(store: Store) -> list[str]:
    return [each.name for each in store.classes]


def _answer(names: list[str], said: int, true: int) -> str:
    return short(names[true]) if said == true else f"{short(names[said], 16)}, not {short(names[true], 16)}"

"""Pictures of where runs say objects are: hits and misses, beside the true boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alexnet.data.boxes import BoxTable
from alexnet.data.pixels import read_photo
from alexnet.evaluation.localization import Answers, right_boxes
from alexnet.evaluation.views import sees_whole
from alexnet.figures.boxes import PHOTOS_PER_ROW, DrawnBox, draw_box_photos
from alexnet.figures.words import about, short
from alexnet.pictures.opened import Drawn, Opened
from alexnet.runs.predictions import Detected, Located

IMAGES = 2 * PHOTOS_PER_ROW
"""Half of them hits, as far as there are any."""
MOST_DRAWN = 6
"""Boxes on one photo, the surest ones."""


def located(on: Opened, found: Located) -> Drawn:
    """Validation photos whose first answer has the right class at the right place, and others."""
    part = on.photos
    whole = on.store.header.shape == "whole" and sees_whole(found.views)
    truth = (BoxTable.of_pictures if whole else BoxTable.of)(part)
    scored = [
        number
        for number in truth.images_with_boxes().tolist()
        if part.labels[number] in truth.of_image(number)[0]
    ]
    right = right_boxes(Answers(found.labels, found.corners), part.labels, truth)[:, 0]
    hit = right & (found.labels[:, 0] == part.labels)
    chosen = _some(scored, hit)
    photos = [read_photo(part, number) if whole else on.squares([number])[0] for number in chosen]
    boxes: list[list[DrawnBox]] = []
    for number in chosen:
        labels, corners = truth.of_image(number)
        true = corners[labels == part.labels[number]].tolist()
        said = on.store.classes[int(found.labels[number, 0])].name
        kind = "right" if hit[number] else "wrong"
        boxes.append(
            [
                *(DrawnBox(each, kind="true") for each in true),
                DrawnBox(found.corners[number, 0].tolist(), short(said, 18), kind),
            ]
        )
    names = on.names(chosen)
    titles = [
        f"{'hit' if hit[number] else 'miss'}: {short(name, 18)}"
        for number, name in zip(chosen, names, strict=True)
    ]
    figure = draw_box_photos(photos, boxes, titles)
    figure.suptitle(about(on.name, on.data, len(scored)), fontsize=11)
    hits = int(hit[scored].sum())
    seen = (
        f"{len(chosen)} photos with the true box and the one that the net says: {', '.join(titles)}. Of all "
        f"{len(scored):,} photos with boxes {hits:,} are hits."
    )
    return Drawn(figure, seen)


def detected(on: Opened, found: Detected) -> Drawn:
    """Validation photos with all true boxes and the surest objects that the net found."""
    part = on.photos
    truth = BoxTable.of_pictures(part)
    with_boxes = truth.images_with_boxes()
    chosen = with_boxes[
        np.linspace(0, len(with_boxes) - 1, min(IMAGES, len(with_boxes))).astype(int)
    ].tolist()
    boxes: list[list[DrawnBox]] = []
    for number in chosen:
        rows = np.flatnonzero(found.images == number)[:MOST_DRAWN]
        names = [on.store.classes[int(label)].name for label in found.labels[rows]]
        said = [
            DrawnBox(corners, f"{short(name, 14)} {score:.2g}")
            for corners, name, score in zip(
                found.corners[rows].tolist(), names, found.scores[rows], strict=True
            )
        ]
        boxes.append([*(DrawnBox(each, kind="true") for each in truth.of_image(number)[1].tolist()), *said])
    counts = [len(truth.of_image(number)[0]) for number in chosen]
    titles = [f"{count} object{'' if count == 1 else 's'}" for count in counts]
    photos = [read_photo(part, number) for number in chosen]
    figure = draw_box_photos(
        photos, boxes, titles, "black and dashed: the true boxes; blue: what the net says"
    )
    figure.suptitle(about(on.name, on.data, len(part)), fontsize=11)
    seen = (
        f"{len(chosen)} photos with the true boxes of {sum(counts)} objects and the boxes that the net says."
    )
    return Drawn(figure, seen)


def _some(scored: Sequence[int], hit: npt.NDArray[np.bool_]) -> list[int]:
    """Half hits and half misses, each evenly through the split; more of one kind where the other is rare."""
    kinds = [[number for number in scored if hit[number] == wanted] for wanted in (True, False)]
    half = IMAGES // 2
    counts = [min(len(kind), max(half, IMAGES - len(other))) for kind, other in (kinds, kinds[::-1])]
    return [
        kind[place]
        for kind, count in zip(kinds, counts, strict=True)
        for place in np.linspace(0, len(kind) - 1, count).astype(int).tolist()
    ]

"""Boxes as annotations give them become boxes of the stored photo, in fractions of it.

Annotations differ in three things, which are decided for each photo:

- The unit: pixels with the last ones included (PASCAL VOC, ILSVRC), pixels as edges (COCO), or fractions.
- The size of the photo they were drawn on, which may not be the photo's.
- The frame: with an EXIF orientation, boxes were drawn on the photo as stored or on the upright one. The size
  of the annotation decides if it fits only one of them. Where it cannot decide (a turn by 180 degrees, a
  mirrored photo, a square, no size), `upright` does: the tools that people draw boxes with display photos
  upright, those of ImageNet in 2012 did not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alexnet.data.decode import UnreadableImage, read_header
from alexnet.data.orientation import swaps_sides, turn_box, turn_box_back
from alexnet.data.sources.base import Box, CheckedBoxes, Found, Unit, check_boxes

OTHER_SIZE = "with boxes for another size"
FRACTIONS = "with boxes in fractions"
OTHER_CLASSES = "with objects of other classes"
BY_RULE = {
    True: "with boxes taken as drawn on the upright photo",
    False: "with boxes taken as drawn on the photo as stored",
}
"""By `upright`: where the annotation's size does not decide."""
_SAME_ASPECT = 0.03
"""Largest difference of the logarithms of two aspect ratios that count as equal."""
_MIN_SIDE = 4
"""Photos with a shorter side have boxes of a pixel, so that 0..1 are no fractions."""


@dataclass(frozen=True)
class Annotation:
    """The objects annotated in one photo."""

    found: Sequence[Found]
    """Label and x0, y0, x1, y1 of each object."""
    size: tuple[int, int] = (0, 0)
    """(width, height) of the photo they were drawn on; zeros where unknown."""
    unit: Unit = "pixels"
    odd: tuple[str, ...] = ()
    """What else is unusual about them."""


def place_boxes(annotation: Annotation, image: bytes, upright: bool) -> CheckedBoxes:
    """The usable boxes of the stored photo `image`, and what is unusual about them.

    None for a photo that cannot be read. `upright` is the frame where the annotation does not decide.
    """
    try:
        header = read_header(image)
    except UnreadableImage:
        return CheckedBoxes()  # the photo itself is reported
    odd = list(annotation.odd)
    known = all(side > 0 for side in annotation.size)
    orientation = max(header.orientation, header.applied)
    width, height = header.size
    other = (height, width) if swaps_sides(orientation) else header.size
    stored, turned = (header.size, other) if header.applied == 1 else (other, header.size)
    if known and annotation.found and annotation.size not in (stored, turned):
        odd.append(OTHER_SIZE)
    frame = _frame(annotation.size if known else (0, 0), stored, orientation)
    if frame is None:
        frame = "upright" if upright else "stored"
        if annotation.found:
            odd.append(BY_RULE[upright])
    size = annotation.size if known else (turned if frame == "upright" else stored)
    unit = annotation.unit
    if unit == "pixels" and _are_fractions(annotation.found) and min(size) > _MIN_SIDE:
        unit = "fractions"
        odd.append(FRACTIONS)
    boxes, problems = check_boxes(annotation.found, size, unit)
    if frame == "upright" and header.applied == 1:
        boxes = tuple(Box(box.label, *turn_box_back(box[1:], orientation)) for box in boxes)
    elif frame == "stored" and header.applied > 1:
        boxes = tuple(Box(box.label, *turn_box(box[1:], orientation)) for box in boxes)
    return CheckedBoxes(boxes, tuple(dict.fromkeys((*problems, *odd))))


def _frame(
    size: tuple[int, int], stored: tuple[int, int], orientation: int
) -> Literal["stored", "upright"] | None:
    """What the annotation was drawn on; None where `size`, zeros if unknown, does not decide."""
    if orientation == 1:
        return "stored"
    if not swaps_sides(orientation) or not all(size):
        return None
    wanted, found = (math.log(width / height) for width, height in (stored, size))
    if abs(found) == abs(wanted) and wanted:
        return "stored" if found == wanted else "upright"
    as_stored, as_upright = (abs(found - each) < _SAME_ASPECT for each in (wanted, -wanted))
    if as_stored == as_upright:
        return None
    return "stored" if as_stored else "upright"


def _are_fractions(found: Sequence[Found]) -> bool:
    return bool(found) and all(0 <= corner <= 1 for _, corners in found for corner in corners)

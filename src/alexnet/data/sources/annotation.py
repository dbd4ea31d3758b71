"""Boxes as annotations give them become boxes of the stored photo; sources that boxes alone label.

Annotations differ in three things, which are decided for each photo:

- The unit: pixels with the last ones included (PASCAL VOC, ILSVRC), pixels as edges (COCO), or fractions.
- The size of the photo they were drawn on, which may not be the photo's.
- The frame: with an EXIF orientation, boxes were drawn on the photo as stored or on the upright one. The size
  of the annotation decides if it fits only one of them. Where it cannot decide (a turn by 180 degrees, a
  mirrored photo, a square, no size), `upright` does: the tools that people draw boxes with display photos
  upright, those of ImageNet in 2012 did not.

In COCO, YOLO and PASCAL VOC, a photo may show several objects; its label is the class of the largest one, as
for composed scenes. Their boxes are people's, who draw them on upright photos.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import classes_from_wnids
from alexnet.data.decode import UnreadableImage, read_header, swaps_sides, turn_box, turn_box_back
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import Box, CheckedBoxes, Source, SourceSplit
from alexnet.data.sources.photo_files import MAX_STRAYS_NAMED, PhotoSplit, find_strays, photos_below
from alexnet.data.sources.split_names import SPLITS, is_neutral, splits_of
from alexnet.data.sources.tree import Int64s, Tree
from alexnet.errors import DataError
from alexnet.text import counted, first_few

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
NO_BOX, REVERSED, EMPTY = "without box", "box reversed", "box empty"
OUTSIDE, BEYOND = "box outside the photo", "box partly outside the photo"
_MARGIN_PIXELS = 1
"""A box may exceed its photo by this without being reported: some annotations count pixels from 1, not 0."""
Found = tuple[int, Sequence[float]]
"""The label of an object and its x0, y0, x1, y1."""
Unit = Literal["pixels", "edges", "fractions"]
"""Of corners: pixels with the last ones included, pixels as edges, or fractions of width and height."""
_MAX_NAMED = 5
_LARGEST_SIDE = 2**24
"""In pixels, of an annotated photo and of its boxes: 32-bit numbers are exact up to here."""


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


def check_boxes(found: Sequence[Found], size: tuple[int, int], unit: Unit = "pixels") -> CheckedBoxes:
    """The usable boxes among the objects found, and what is wrong with others.

    `size` is (width, height) of the photo in pixels. Boxes that are reversed, empty (an edge of length 0) or
    outside the photo are dropped.
    """
    if not found:
        return CheckedBoxes((), (NO_BOX,))
    last = 1 if unit == "pixels" else 0
    if unit == "fractions":
        width, height = size
        found = [
            (label, (x0 * width, y0 * height, x1 * width, y1 * height)) for label, (x0, y0, x1, y1) in found
        ]
    problems = [_problem(corners, size, last) for _, corners in found]
    boxes = [
        Box.from_corners(label, corners, size, last)
        for (label, corners), problem in zip(found, problems, strict=True)
        if problem in ("", BEYOND)
    ]
    return CheckedBoxes(tuple(boxes), tuple(dict.fromkeys(filter(None, problems))))


def _problem(corners: Sequence[float], size: tuple[int, int], last: int) -> str:
    x0, y0, x1, y1 = corners
    width, height = size
    if x1 < x0 or y1 < y0:
        return REVERSED
    if x1 == x0 or y1 == y0:
        return EMPTY
    if x0 >= width or y0 >= height or x1 + last <= 0 or y1 + last <= 0:
        return OUTSIDE
    lowest, farthest = min(x0, y0), max(x1 - width, y1 - height) + last
    return BEYOND if max(-lowest, farthest) > _MARGIN_PIXELS else ""


def orphan_annotations(names: Sequence[str]) -> list[str]:
    """Strays from the names of annotations without a photo: each by name, or a count if there are many."""
    if len(names) <= MAX_STRAYS_NAMED:
        return [f"{name} (its photo is missing)" for name in names]
    return [f"{len(names):,} annotations of missing photos, such as {names[0]}"]


@dataclass(frozen=True)
class PackedBoxes:
    """The boxes of all photos of a split, sorted by photo."""

    starts: Int64s
    """(N + 1,) the first box of each photo; the last entry is B."""
    labels: npt.NDArray[np.int32]
    """(B,)"""
    corners: npt.NDArray[np.float32]
    """(B, 4) x0, y0, x1, y1 in pixels, last pixels included."""
    sizes: npt.NDArray[np.int32]
    """(B, 2) width and height of the annotated photo; zeros where unknown."""
    unit: Unit = "pixels"
    upright: bool = False
    """As in `place_boxes`."""

    def stamp(self, index: int) -> str:
        """As for `Stamped`: a hash of the boxes, which are in memory."""
        rows = slice(int(self.starts[index]), int(self.starts[index + 1]))
        boxes = (self.labels[rows], self.corners[rows], self.sizes[rows])
        digest = hashlib.sha256(f"{self.unit} {self.upright}".encode())
        digest.update(b"".join(each.tobytes() for each in boxes))
        return digest.hexdigest()[:16]

    def __call__(self, index: int, path: str, label: int, image: bytes) -> CheckedBoxes:
        """The boxes of the photo's known classes."""
        rows = range(int(self.starts[index]), int(self.starts[index + 1]))
        found = [(int(self.labels[row]), self.corners[row].tolist()) for row in rows]
        width, height = self.sizes[rows.start].tolist() if found else (0, 0)
        return place_boxes(Annotation(found, (width, height), self.unit), image, self.upright)


@dataclass(frozen=True)
class BoxedPhoto:
    """A file of the tree and the objects annotated in it."""

    file: int
    names: Sequence[str]
    """The class of each object."""
    corners: Sequence[Sequence[float]]
    """x0, y0, x1, y1 of each object."""
    size: tuple[int, int] = (0, 0)
    """(width, height) in the annotation; zeros where unknown."""


@dataclass(frozen=True)
class BoxedForm:
    """What is common to all photos of a source."""

    name: str
    """The raw form in words."""
    unit: Unit
    order: Sequence[str]
    """Names of classes in label order; names of objects that are not among them follow, sorted."""


def photos_by_path(tree: Tree) -> dict[str, int]:
    """All photos of a tree, by their path."""
    return {tree.listing.path(file): file for file in photos_below(tree, "")}


def boxed_source(
    tree: Tree,
    form: BoxedForm,
    photos: Mapping[str, Sequence[BoxedPhoto]],
    known: Iterable[int],
    strays: Sequence[str],
) -> Source:
    """The source of the `photos` by split; `known` files of the tree are no strays.

    Photos without an object are left out and counted, and so are classes without one. DataError if no photo
    has an object.
    """
    used = {name for split in photos.values() for photo in split for name in photo.names}
    if not used:
        raise DataError(f"{tree.path}: {form.name}, but no photo that is here has one")
    order = [name for name in dict.fromkeys(form.order) if name in used]
    order += sorted(used - set(order))
    classes = classes_from_wnids(order)
    label_of = {name: label for label, name in enumerate(order)}
    notes = list(strays)
    unused = [name for name in dict.fromkeys(form.order) if name not in used]
    if unused:
        notes.append(f"{counted(len(unused), 'class')} without a box: {first_few(unused, _MAX_NAMED)}")
    splits: dict[str, SourceSplit] = {}
    empty: list[int] = []
    for name in (name for name in SPLITS if photos.get(name)):
        boxed = [photo for photo in photos[name] if photo.names]
        empty += [photo.file for photo in photos[name] if not photo.names]
        if len(boxed) < len(photos[name]):
            notes.append(f"{name}: {counted(len(photos[name]) - len(boxed), 'photo')} without an object")
        if boxed:
            splits[name] = _split(tree, form.unit, boxed, label_of)
    if "val" not in splits and "test" in splits:
        splits["val"] = splits.pop("test")
    notes += find_strays(tree, splits.values(), [*known, *empty])
    about: list[str] = []
    paths = [tree.listing.path(photo.file) for found in photos.values() for photo in found]
    named = splits_of(sorted({PurePosixPath(path).parent.name for path in paths} - {""}))
    folders = [name for name, split in named.items() if split is None and not is_neutral(name)]
    if len(folders) > 1 and not set(folders) & set(order):
        listed = first_few(folders, _MAX_NAMED)
        about.append(
            f"the classes are those of the boxes; --class-level 1 takes the folders {listed} instead"
        )
    return Source(form.name, tree.path, classes, splits, notes, PrepareSettings(exif=True), notes=about)


def _refuse_impossible(tree: Tree, photo: BoxedPhoto) -> None:
    """DataError if the photo is annotated with a size or a box that no photo has."""
    largest = max((*photo.size, *(abs(end) for box in photo.corners for end in box)))
    if not largest <= _LARGEST_SIDE:
        where = f"{tree.path}: {tree.listing.path(photo.file)}"
        raise DataError(f"{where} is annotated with a size or a box of {largest:g} pixels: correct it")


def _split(tree: Tree, unit: Unit, photos: Sequence[BoxedPhoto], label_of: Mapping[str, int]) -> PhotoSplit:
    """The photos sorted by label, then path, with their boxes."""
    labels = np.array([label_of[_largest(photo)] for photo in photos], np.int32)
    files = np.array([photo.file for photo in photos], np.int64)
    in_order = [photos[index] for index in np.lexsort((files, labels)).tolist()]
    box_labels, corners, sizes = array("i"), array("f"), array("i")
    starts = [0]
    for photo in in_order:
        _refuse_impossible(tree, photo)
        for name, box in zip(photo.names, photo.corners, strict=True):
            box_labels.append(label_of[name])
            corners.extend(box)
            sizes.extend(photo.size)
        starts.append(len(box_labels))
    boxes = PackedBoxes(
        starts=np.array(starts, np.int64),
        labels=np.array(box_labels, np.int32),
        corners=np.array(corners, np.float32).reshape(-1, 4),
        sizes=np.array(sizes, np.int32).reshape(-1, 2),
        unit=unit,
        upright=True,
    )
    return PhotoSplit(
        tree,
        np.array([photo.file for photo in in_order], np.int64),
        np.sort(labels),
        _common_folder([tree.listing.path(photo.file) for photo in in_order]),
        list(label_of),
        boxes,
    )


def _largest(photo: BoxedPhoto) -> str:
    """The class of the largest object, the first of equally large ones."""
    areas = [abs((x1 - x0) * (y1 - y0)) for x0, y0, x1, y1 in photo.corners]
    return photo.names[max(range(len(areas)), key=areas.__getitem__)]


def _common_folder(paths: Sequence[str]) -> str:
    parents = [PurePosixPath(path).parent.parts for path in paths]
    common: list[str] = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common)

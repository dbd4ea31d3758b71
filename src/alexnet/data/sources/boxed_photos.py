"""Sources whose photos are labeled by their boxes alone: COCO, YOLO, PASCAL VOC.

A photo may show several objects; its label is the class of the largest one, as for composed scenes. Boxes are
people's, who draw them on upright photos (see `annotation`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from alexnet.data.classes import classes_from_wnids
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources.base import Source, SourceSplit, Unit
from alexnet.data.sources.photo_split import PhotoSplit, find_strays, photos_below
from alexnet.data.sources.table_places import place_of
from alexnet.data.sources.tree import Tree
from alexnet.data.sources.voc import PackedBoxes
from alexnet.errors import DataError

SPLITS = ("train", "val", "test")
_MAX_NAMED = 5


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


def split_of_path(path: str) -> str:
    """The split that a path names; `train` if it names none."""
    split = place_of(path).split
    return split if split in SPLITS else "train"


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
        more = " ..." if len(unused) > _MAX_NAMED else ""
        notes.append(f"{len(unused):,} classes without a box: {', '.join(unused[:_MAX_NAMED])}{more}")
    splits: dict[str, SourceSplit] = {}
    empty: list[int] = []
    for name in (name for name in SPLITS if photos.get(name)):
        boxed = [photo for photo in photos[name] if photo.names]
        empty += [photo.file for photo in photos[name] if not photo.names]
        if len(boxed) < len(photos[name]):
            notes.append(f"{name}: {len(photos[name]) - len(boxed):,} photos without an object")
        if boxed:
            splits[name] = _split(tree, form.unit, boxed, label_of)
    if "val" not in splits and "test" in splits:
        splits["val"] = splits.pop("test")
    notes += find_strays(tree, splits.values(), [*known, *empty])
    return Source(form.name, tree.path, classes, splits, notes, PrepareSettings(exif=True))


def _split(tree: Tree, unit: Unit, photos: Sequence[BoxedPhoto], label_of: Mapping[str, int]) -> PhotoSplit:
    """The photos sorted by label, then path, with their boxes."""
    labels = np.array([label_of[_largest(photo)] for photo in photos], np.int32)
    files = np.array([photo.file for photo in photos], np.int64)
    in_order = [photos[index] for index in np.lexsort((files, labels)).tolist()]
    box_labels, corners, sizes = array("i"), array("f"), array("i")
    starts = [0]
    for photo in in_order:
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

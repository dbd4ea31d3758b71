"""Tiny ImageNet as published by CS231n: class folders with `images/`, a flat `val`, a box per photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import (
    Class,
    check_same_classes,
    classes_from_wnids,
    in_label_order,
    read_synonyms,
)
from alexnet.data.decode import UnreadableImage, image_size
from alexnet.data.sources.base import CheckedBoxes, Source, check_boxes
from alexnet.data.sources.layout import read_layout
from alexnet.data.sources.photo_split import PhotoSplit, find_strays
from alexnet.data.sources.survey import OpenedSource
from alexnet.data.sources.tree import Tree, join
from alexnet.data.sources.voc import orphan_annotations
from alexnet.errors import DataError


def read(opened: OpenedSource) -> Source | None:
    """The source; None unless `wnids.txt` is beside a `train` folder with photos."""
    tree, survey, base = opened.tree, opened.survey, opened.base
    wnids = tree.listing.find(base, "wnids.txt")
    if wnids is None or join(base, "train") not in survey.total:
        return None
    layout = read_layout(survey, base, opened.options)
    words = tree.listing.find(base, "words.txt")
    synonyms = None if words is None else read_synonyms(tree.text(words))
    classes = classes_from_wnids([each.wnid for each in layout.classes], synonyms)
    listed = classes_from_wnids(in_label_order(tree.text(wnids).split()))
    check_same_classes(listed, classes, f"{tree.path}: wnids.txt and the folders of train")
    splits: dict[str, PhotoSplit] = {}
    known = [file for file in (wnids, words) if file is not None]
    strays: list[str] = []
    for name, split in layout.splits.items():
        boxes = _box_files(tree, join(base, name), classes)
        known += boxes
        splits[name], orphans = _with_boxes(split, boxes) if boxes else (split, [])
        strays += orphans
    strays += find_strays(tree, splits.values(), [*layout.known, *known])
    return Source(
        "Tiny ImageNet",
        tree.path,
        classes,
        dict(splits),
        strays,
        left_out=layout.left_out,
        origins=layout.origins,
        notes=layout.notes,
    )


def _box_files(tree: Tree, folder: str, classes: Sequence[Class]) -> list[int]:
    """The files with the boxes of a split: one for each class, or one for all."""
    places = [(folder, "val_annotations.txt")]
    places += [(join(folder, each.wnid), f"{each.wnid}_boxes.txt") for each in classes]
    found = [tree.listing.find(place, name) for place, name in places]
    return [file for file in found if file is not None]


@dataclass(frozen=True)
class PixelBoxes:
    """At most one box per photo."""

    corners: npt.NDArray[np.float32]
    """(N, 4) x0, y0, x1, y1 in pixels, last pixels included; NaN where a photo has no box."""

    def stamp(self, index: int) -> str:
        """As for `Stamped`: the box itself."""
        return " ".join(map(str, self.corners[index].tolist()))

    def __call__(self, index: int, path: str, label: int, image: bytes) -> CheckedBoxes:
        """The photo's box, if it has one; none for a photo whose size cannot be read."""
        corners = self.corners[index]
        found = [] if np.isnan(corners).any() else [(label, corners.tolist())]
        try:
            return check_boxes(found, image_size(image))
        except UnreadableImage:
            return CheckedBoxes()


def _with_boxes(split: PhotoSplit, box_files: Sequence[int]) -> tuple[PhotoSplit, list[str]]:
    """The split with the boxes in the files, and strays: boxes of missing photos."""
    by_name: dict[str, list[float]] = {}
    for file in box_files:
        by_name |= _read_corners(split.tree, file)
    names = [split.tree.listing.name(int(file)) for file in split.files]
    no_box = [float("nan")] * 4
    corners = np.array([by_name.get(name, no_box) for name in names], dtype=np.float32)
    orphans = sorted(by_name.keys() - set(names))
    return replace(split, boxes=PixelBoxes(corners)), orphan_annotations(orphans)


def _read_corners(tree: Tree, file: int) -> dict[str, list[float]]:
    """Photo name -> corners, from lines of the name, in `val` the WNID, and four numbers."""
    found: dict[str, list[float]] = {}
    for number, line in enumerate(tree.text(file).splitlines(), start=1):
        if not line.strip():
            continue
        name, *_, x0, y0, x1, y1 = line.split("\t") if line.count("\t") > 3 else 5 * [""]
        try:
            found[name] = [float(corner) for corner in (x0, y0, x1, y1)]
        except ValueError as error:
            where = f"{tree.path}: {tree.listing.path(file)}, line {number}"
            raise DataError(f"{where}, has no four corners: {line!r}") from error
    return found

"""Tiny ImageNet as published by CS231n: class folders with `images/`, a flat `val`, a box per photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import check_same_classes, classes_from_wnids, in_label_order, read_synonyms
from alexnet.data.decode import UnreadableImage, image_size
from alexnet.data.sources.base import CheckedBoxes, Source, check_boxes
from alexnet.data.sources.class_folders import class_split, holds_classes, read_classes
from alexnet.data.sources.photo_split import PhotoSplit, find_strays
from alexnet.data.sources.train_val import flat_split
from alexnet.data.sources.tree import Tree, join
from alexnet.data.sources.voc import orphan_annotations
from alexnet.errors import DataError


def read(tree: Tree, base: str) -> Source | None:
    """The source; None unless `wnids.txt` is beside a `train` folder with photos."""
    train_folder, val_folder = join(base, "train"), join(base, "val")
    wnids = tree.listing.find(base, "wnids.txt")
    if wnids is None or not holds_classes(tree, train_folder):
        return None
    words = tree.listing.find(base, "words.txt")
    classes = read_classes(tree, train_folder, None if words is None else read_synonyms(tree.text(words)))
    listed = classes_from_wnids(in_label_order(tree.text(wnids).split()))
    check_same_classes(listed, classes, f"{tree.path}: wnids.txt and the folders of train")
    train = class_split(tree, train_folder, classes)
    found = [tree.listing.find(join(train_folder, each.wnid), f"{each.wnid}_boxes.txt") for each in classes]
    box_files = [file for file in found if file is not None]
    known = [file for file in (wnids, words) if file is not None] + box_files
    train, strays = _with_boxes(train, box_files)
    splits = {"train": train}
    if tree.listing.below(val_folder):
        val, labeled_by = flat_split(tree, "val", join(val_folder, "images"), classes, [val_folder])
        if val:
            splits["val"], orphans = _with_boxes(val, labeled_by)
            strays += orphans
        known += labeled_by
    strays += find_strays(tree, splits.values(), known)
    return Source("Tiny ImageNet", tree.path, classes, dict(splits), strays)


@dataclass(frozen=True)
class PixelBoxes:
    """At most one box per photo."""

    corners: npt.NDArray[np.float32]
    """(N, 4) x0, y0, x1, y1 in pixels, last pixels included; NaN where a photo has no box."""

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

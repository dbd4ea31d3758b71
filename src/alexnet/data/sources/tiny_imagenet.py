"""Tiny ImageNet as Stanford's CS231n published it: `images/` in class folders, flat `val`, a box a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import classes_of, in_label_order, read_words, same_classes
from alexnet.data.decode import UnreadableImage, image_size
from alexnet.data.sources.base import BoxesFound, Source, checked_boxes
from alexnet.data.sources.class_folders import class_split, holds_classes, read_classes
from alexnet.data.sources.files import PhotoSplit, Tree, join, strays_of
from alexnet.data.sources.train_val import flat_split
from alexnet.data.sources.voc import of_no_photo
from alexnet.errors import DataError

Corners = dict[str, list[float]]


def read(tree: Tree, base: str) -> Source | None:
    """The source; None where `wnids.txt` is not beside a `train` folder with photos."""
    train_folder, val_folder = join(base, "train"), join(base, "val")
    manifest = tree.listing.find(base, "wnids.txt")
    if manifest is None or not holds_classes(tree, train_folder):
        return None
    words = tree.listing.find(base, "words.txt")
    classes = read_classes(tree, train_folder, None if words is None else read_words(tree.text(words)))
    listed = classes_of(in_label_order(tree.text(manifest).split()))
    same_classes(listed, classes, f"{tree.path}: wnids.txt and the folders of train")
    train = class_split(tree, train_folder, classes)
    notes = [tree.listing.find(join(train_folder, c.wnid), f"{c.wnid}_boxes.txt") for c in classes]
    known = [file for file in (manifest, words, *notes) if file is not None]
    train, strays = _with_boxes(train, [file for file in notes if file is not None])
    splits = {"train": train}
    if tree.listing.below(val_folder):
        val, told = flat_split(tree, "val", join(val_folder, "images"), classes, [val_folder])
        if val:
            splits["val"], more = _with_boxes(val, told)
            strays += more
        known += told
    strays += strays_of(tree, splits.values(), known)
    return Source("Tiny ImageNet", tree.path, classes, dict(splits), strays)


@dataclass(frozen=True)
class PixelBoxes:
    """One box a photo at most."""

    corners: npt.NDArray[np.float32]
    """(N, 4) x0, y0, x1, y1 in pixels, both ends included; not a number where a photo has no box."""

    def __call__(self, index: int, path: str, label: int, image: bytes) -> BoxesFound:
        """The photo's box, if it has one; none either for a photo too broken to have a size."""
        corners = self.corners[index]
        found = [] if np.isnan(corners).any() else [(label, corners.tolist())]
        try:
            return checked_boxes(found, image_size(image))
        except UnreadableImage:
            return BoxesFound()


def _with_boxes(split: PhotoSplit, notes: Sequence[int]) -> tuple[PhotoSplit, list[str]]:
    """The split with the boxes that the files tell, and strays: boxes of photos that are not there."""
    by_name: Corners = {}
    for file in notes:
        by_name |= _read_corners(split.tree, file)
    names = [split.tree.listing.name(int(file)) for file in split.files]
    missing = [float("nan")] * 4
    corners = np.array([by_name.get(name, missing) for name in names], dtype=np.float32)
    alone = sorted(by_name.keys() - set(names))
    return replace(split, boxes=PixelBoxes(corners)), of_no_photo(alone)


def _read_corners(tree: Tree, file: int) -> Corners:
    """Photo name -> corners, from lines of the name, in `val` the WNID, and four numbers."""
    found: Corners = {}
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

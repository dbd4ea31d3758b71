"""One folder per class, as torchvision, Keras and fastai want it; the folder's name is the class's WNID."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from alexnet.data.classes import Class, classes_of, in_label_order, is_wnid
from alexnet.data.manifest import Settings
from alexnet.data.sources.base import Source
from alexnet.data.sources.files import (
    PhotoSplit,
    Tree,
    is_clutter,
    join,
    make_split,
    photos_below,
    strays_of,
)
from alexnet.data.sources.voc import SUFFIX, annotated
from alexnet.errors import DataError


def read(tree: Tree, base: str) -> Source | None:
    """A source whose `train` is all photos of the class folders in `base`; None if there are none."""
    if not holds_classes(tree, base):
        return None
    classes = read_classes(tree, base)
    splits = {"train": class_split(tree, base, classes)}
    splits, notes, strays = annotated(tree, splits, range(len(tree.listing)), classes)
    strays += strays_of(tree, splits.values(), notes)
    own = Settings(exif=ones_own(classes))
    return Source("class folders", tree.path, classes, dict(splits), strays, own)


def holds_classes(tree: Tree, folder: str) -> bool:
    """Whether any class folder in `folder` holds a photo."""
    return any(photos_below(tree, join(folder, name)) for name in class_names(tree, folder))


def ones_own(classes: Sequence[Class]) -> bool:
    """Whether these are somebody's own classes, not ImageNet's: photos that cameras or telephones turned."""
    return not any(is_wnid(each.wnid) for each in classes)


def class_names(tree: Tree, folder: str) -> list[str]:
    """The class folders in label order: all subfolders but clutter, empty ones and such of annotations only.

    Where most are named by WNIDs the others are no classes either (`duplicates`, `n01440764 (copy)`).
    """
    names = [name for name in tree.listing.subfolders(folder) if not is_clutter(name)]
    names = [name for name in names if _has_files(tree, join(folder, name))]
    wnids = [name for name in names if is_wnid(name)]
    return in_label_order(wnids if 2 * len(wnids) > len(names) else names)


def read_classes(tree: Tree, folder: str, words: Mapping[str, str] | None = None) -> list[Class]:
    """The classes that the folder's subfolders stand for."""
    return classes_of(class_names(tree, folder), words)


def class_split(tree: Tree, folder: str, classes: Sequence[Class]) -> PhotoSplit:
    """All photos of the classes' folders, subfolders included; DataError for a class without any."""
    files = array("q")
    labels: list[np.ndarray] = []
    for label, one in enumerate(classes):
        place = join(folder, one.wnid)
        photos = photos_below(tree, place)
        if not photos:
            raise DataError(
                f"{tree.path}: {place} holds no photo, so it is no class folder as others here are: move it "
                "elsewhere, or name the folder inside that you mean"
            )
        files += photos
        labels.append(np.full(len(photos), label, dtype=np.int32))
    return make_split(tree, files, np.concatenate(labels), folder, classes)


def _has_files(tree: Tree, folder: str) -> bool:
    names = map(tree.listing.name, tree.listing.below(folder))
    return any(not is_clutter(name) and not name.lower().endswith(SUFFIX) for name in names)

"""One folder per class, as in ILSVRC's training tar; the folder's name is the class's WNID."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from alexnet.data.classes import Class, classes_from_wnids, in_label_order, is_wnid
from alexnet.data.sources.photo_split import (
    PhotoSplit,
    is_clutter,
    make_split,
    photos_below,
)
from alexnet.data.sources.tree import Tree, join
from alexnet.data.sources.voc import SUFFIX
from alexnet.errors import DataError


def class_names(tree: Tree, folder: str) -> list[str]:
    """The class folders in label order: all subfolders but clutter, empty folders and those of annotations.

    If most are named by WNIDs, the others are not classes either (`duplicates`, `n01440764 (copy)`).
    """
    names = [name for name in tree.listing.subfolders(folder) if not is_clutter(name)]
    names = [name for name in names if _has_files(tree, join(folder, name))]
    wnids = [name for name in names if is_wnid(name)]
    return in_label_order(wnids if 2 * len(wnids) > len(names) else names)


def read_classes(tree: Tree, folder: str, synonyms: Mapping[str, str] | None = None) -> list[Class]:
    """The classes of the folder's subfolders, named as `classes_from_wnids` does."""
    return classes_from_wnids(class_names(tree, folder), synonyms)


def class_split(tree: Tree, folder: str, classes: Sequence[Class]) -> PhotoSplit:
    """All photos in the classes' folders and their subfolders; DataError for a class without photos."""
    files = array("q")
    labels: list[np.ndarray] = []
    for label, each in enumerate(classes):
        class_folder = join(folder, each.wnid)
        photos = photos_below(tree, class_folder)
        if not photos:
            raise DataError(
                f"{tree.path}: {class_folder} holds no photo, but the folders beside it are class folders: "
                "move it elsewhere, or name the folder inside that you mean"
            )
        files += photos
        labels.append(np.full(len(photos), label, dtype=np.int32))
    return make_split(tree, files, np.concatenate(labels), folder, classes)


def _has_files(tree: Tree, folder: str) -> bool:
    names = map(tree.listing.name, tree.listing.below(folder))
    return any(not is_clutter(name) and not name.lower().endswith(SUFFIX) for name in names)

"""`train/` with class folders beside `val/`, which has class folders too or is flat with a label file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alexnet.data.classes import NO_LABEL, Class, are_custom, check_same_classes
from alexnet.data.manifest import PrepareSettings
from alexnet.data.sources import label_file
from alexnet.data.sources.base import Source
from alexnet.data.sources.class_folders import class_split, holds_classes, read_classes
from alexnet.data.sources.devkit import Devkit, find_devkit, official_name
from alexnet.data.sources.photo_split import (
    PhotoSplit,
    find_strays,
    make_split,
    photos_in,
    unlabeled_split,
)
from alexnet.data.sources.tree import FolderTree, Tree, join
from alexnet.data.sources.voc import add_boxes
from alexnet.errors import DataError

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names of the folders (or files) of each split, in lower case."""


def read(tree: Tree, base: str) -> Source | None:
    """The source in `base`; None if neither a `train` nor a `val` folder there holds class folders."""
    folders = split_folders(tree, base)
    first = next((f for name, f in folders.items() if name != "test" and holds_classes(tree, f)), None)
    if first is None:
        return None
    classes = read_classes(tree, first)
    splits, known = read_splits(tree, folders, classes, [base])
    splits, annotations, strays = add_boxes(tree, splits, range(len(tree.listing)), classes)
    strays += find_strays(tree, splits.values(), [*known, *annotations])
    settings = PrepareSettings(exif=are_custom(classes))
    return Source("train and val folders", tree.path, classes, dict(splits), strays, settings)


def split_folders(tree: Tree, base: str) -> dict[str, str]:
    """The folders of `train`, `val` and `test` that exist in `base`, by split."""
    names = tree.listing.subfolders(base)
    found = {
        split: next((join(base, name) for name in names if name.lower() in spellings), None)
        for split, spellings in SPLIT_FOLDERS.items()
    }
    return {split: folder for split, folder in found.items() if folder is not None}


def read_splits(
    tree: Tree, folders: Mapping[str, str], classes: Sequence[Class], label_folders: Sequence[str]
) -> tuple[dict[str, PhotoSplit], list[int]]:
    """The splits, and the files that label flat ones, which are searched for there and in `label_folders`.

    An unlabeled `test` folder is skipped, unless it is ILSVRC's own (see `official_name`). A labeled one
    becomes `val` if there is no other `val`.
    """
    splits: dict[str, PhotoSplit] = {}
    known: list[int] = []
    for name, folder in folders.items():
        if holds_classes(tree, folder):
            what = f"{tree.path}: classes of train and {name}"
            check_same_classes(classes, read_classes(tree, folder), what)
            splits[name] = class_split(tree, folder, classes)
        elif photos_in(tree, folder):
            split, labeled_by = flat_split(tree, name, folder, classes, label_folders)
            known += labeled_by
            if split:
                splits[name] = split
    if "val" not in splits and "test" in splits and splits["test"].labels[0] != NO_LABEL:
        splits["val"] = splits.pop("test")
    return splits, known


def flat_split(
    tree: Tree, name: str, folder: str, classes: Sequence[Class], label_folders: Sequence[str]
) -> tuple[PhotoSplit | None, Sequence[int]]:
    """The photos directly in a folder, labeled by the devkit or a label file, and the files that label them.

    Without labels, ILSVRC's own `test` is unlabeled, any other `test` is None, and other splits are a
    DataError.
    """
    photos = photos_in(tree, folder)
    names = [tree.listing.name(photo) for photo in photos]
    places = [folder, *label_folders]
    kit, kit_files = _find_kit(tree, places) if name == "val" else (None, range(0))
    file = None if kit else _find_label_file(tree, name, places)
    if kit:
        labels = kit.labels(names, [each.wnid for each in classes])
    elif file is not None:
        where = str(tree.path / tree.listing.path(file))
        labels = label_file.read_labels(tree.text(file), names, classes, where)
    elif name == "test":
        return unlabeled_split(tree, photos, folder) if any(map(official_name, names)) else None, []
    else:
        found = f"{tree.path}: {folder}/ holds {len(photos):,} photos outside class folders and no labels"
        raise DataError(f"{found}: put {label_file.FORMS} beside it")
    return make_split(tree, photos, labels, folder, classes), kit_files if file is None else [file]


def _find_kit(tree: Tree, folders: Sequence[str]) -> tuple[Devkit | None, Sequence[int]]:
    """ILSVRC's development kit, packed or unpacked in one of the folders, and its files in the tree."""
    if not isinstance(tree, FolderTree):
        return None, []
    kit = next((kit for folder in folders if (kit := find_devkit(tree.path / folder))), None)
    if kit is None:
        return None, []
    relative = kit.path.relative_to(tree.path).as_posix()
    folder, _, name = relative.rpartition("/")
    archive = tree.listing.find(folder, name)
    return kit, tree.listing.below(relative) if archive is None else [archive]


def _find_label_file(tree: Tree, split: str, folders: Sequence[str]) -> int | None:
    """The file that labels a split, from the first folder that has one."""
    for folder in folders:
        names = [tree.listing.name(file) for file in tree.listing.files(folder)]
        name = label_file.choose(names, split, tree.path / folder)
        if name:
            return tree.listing.find(folder, name)
    return None

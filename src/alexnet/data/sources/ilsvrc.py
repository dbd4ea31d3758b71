"""The official tars of ILSVRC-2010 and 2012, read in place."""

from __future__ import annotations

import tarfile
from array import array
from pathlib import Path, PurePosixPath

from alexnet.data.classes import Class, classes_from_wnids, in_label_order, is_wnid
from alexnet.data.sources import voc
from alexnet.data.sources.base import Labels, Source, SourceSplit
from alexnet.data.sources.class_folders import class_split, read_classes
from alexnet.data.sources.devkit import Devkit, find_devkit
from alexnet.data.sources.label_file import FORMS, open_text
from alexnet.data.sources.labeling import label_photos
from alexnet.data.sources.options import SourceOptions
from alexnet.data.sources.photo_split import (
    PhotoSplit,
    find_strays,
    make_split,
    photos_below,
    unlabeled_split,
)
from alexnet.data.sources.split_words import split_in
from alexnet.data.sources.text_table import SUFFIXES
from alexnet.data.sources.tree import Tree, open_tar, open_tar_of_tars
from alexnet.errors import DataError

_PREFIXES = {2012: "ILSVRC2012_img", 2010: "ILSVRC2010_images"}
_SUFFIXES = {"train": "train", "val": "val", "test": "test", "newer test": "test_v10102019"}
"""Of the archives' names: the test photos of 2012 were released again seven years later."""


def read(folder: Path) -> Source | None:
    """The source, or None if the folder has neither the training nor the validation tar; one is enough.

    The test photos are labeled if their ground truth, published for 2010, is there too.
    """
    for year, prefix in _PREFIXES.items():
        archives = {name: folder / f"{prefix}_{suffix}.tar" for name, suffix in _SUFFIXES.items()}
        found = {name: archive for name, archive in archives.items() if archive.is_file()}
        if "newer test" in found:
            found["test"] = found.pop("newer test")
        if "train" in found or "val" in found:
            return _read(folder, year, found)
    return None


def read_train(path: Path) -> Source | None:
    """The training photos alone, from a tar that holds one tar per class; None for any other tar."""
    with tarfile.open(path) as tar:
        first = tar.next()
    name = PurePosixPath(first.name if first else "")
    if name.suffix != ".tar" or not is_wnid(name.stem):
        return None
    tree = open_tar_of_tars(path)
    classes = read_classes(tree, "")
    split = class_split(tree, "", classes)
    return Source("official ILSVRC-2012 training tar", path, classes, {"train": split}, _strays(tree, split))


def _read(folder: Path, year: int, archives: dict[str, Path]) -> Source:
    kit = find_devkit(folder, year)
    splits: dict[str, PhotoSplit] = {}
    strays: list[str] = []
    used = {kit.path.name if kit else ""}
    classes: list[Class] = []
    if "train" in archives:
        tree = open_tar_of_tars(archives["train"])
        classes = read_classes(tree, "", kit.synonyms if kit else None)
        splits["train"] = class_split(tree, "", classes)
        strays += _strays(tree, splits["train"])
    if "val" in archives:
        tree = open_tar(archives["val"])
        classes, splits["val"], labeled_by = _val(folder, tree, kit, classes)
        strays += _strays(tree, splits["val"])
        used.add(labeled_by)
    if "test" in archives:
        tree = open_tar(archives["test"])
        splits["test"] = _test(tree, kit, classes)
        strays += _strays(tree, splits["test"])
        if kit and kit.test_wnids:
            used.add(f"ILSVRC{year}_test_ground_truth.txt")
    used |= {archives[name].name for name in splits}
    for name, split in splits.items():
        boxes = voc.find_archive(folder, name, year)
        if boxes is not None:
            splits[name], orphans = voc.add_boxes_from_archive(split, boxes, classes)
            strays += orphans
            used.add(boxes.name)
    strays += sorted(entry.name for entry in folder.iterdir() if entry.name not in used)
    return Source(f"official ILSVRC-{year} tars", folder, classes, dict(splits), strays)


def _val(
    folder: Path, tree: Tree, kit: Devkit | None, classes: list[Class]
) -> tuple[list[Class], PhotoSplit, str]:
    """The classes (the kit's if there are no training photos), the split, and the name of what labeled it."""
    photos, names = _photos(tree)
    labels, classes, labeled_by = _labels(tree.path, names, kit, classes)
    return classes, make_split(tree, photos, labels, "", classes), labeled_by


def _test(tree: Tree, kit: Devkit | None, classes: list[Class]) -> PhotoSplit:
    """The test photos, unlabeled unless the kit has their ground truth."""
    photos, names = _photos(tree)
    if kit and kit.test_wnids:
        labels = kit.labels(names, [each.wnid for each in classes], test=True)
        return make_split(tree, photos, labels, "", classes)
    if not photos:
        raise DataError(f"{tree.path} holds no photo: download it again, or remove it")
    return unlabeled_split(tree, photos, tree.listing.path(photos[0]).rpartition("/")[0])


def _photos(tree: Tree) -> tuple[array[int], list[str]]:
    """The photos of a flat tar and their names, sorted by name."""
    photos = array("q", sorted(photos_below(tree, ""), key=tree.listing.name))
    return photos, [tree.listing.name(photo) for photo in photos]


def _labels(
    archive: Path, names: list[str], kit: Devkit | None, classes: list[Class]
) -> tuple[Labels, list[Class], str]:
    if kit:
        classes = classes or classes_from_wnids(in_label_order(kit.synonyms), kit.synonyms)
        return kit.labels(names, [each.wnid for each in classes]), classes, kit.path.name
    folder = archive.parent
    texts = [
        open_text(entry.read_bytes(), entry.name)
        for entry in sorted(folder.iterdir())
        if entry.name.lower().endswith(SUFFIXES) and split_in(entry.name) in (None, "val")
    ]
    found = label_photos(names, "val", texts, classes, SourceOptions(), str(folder))
    if found is None:
        wanted = f"the devkit (ILSVRC2012_devkit_t12.tar.gz), LOC_val_solution.csv or {FORMS}"
        raise DataError(f"{archive} has no labels: put one of these beside it: {wanted}")
    if not all(is_wnid(each.wnid) for each in found.classes):
        raise DataError(
            f"{folder / found.origin.files[0]} has no WNIDs, and without training photos numbers have no "
            "meaning: write WNIDs"
        )
    return found.labels, found.classes, found.origin.files[0]


def _strays(tree: Tree, split: SourceSplit) -> list[str]:
    return [f"{tree.path.name}: {stray}" for stray in find_strays(tree, [split])]

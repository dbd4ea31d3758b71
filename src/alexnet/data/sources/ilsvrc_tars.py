"""The official ILSVRC-2012 archives, read in place: a tar of 1,000 tars, a flat tar, the development kit."""

from __future__ import annotations

import tarfile
from array import array
from pathlib import Path

from alexnet.data.classes import Class, classes_of, in_label_order, is_wnid
from alexnet.data.sources import devkit, label_file
from alexnet.data.sources.class_folders import class_split, read_classes
from alexnet.data.sources.contract import Labels, Source, SourceSplit
from alexnet.data.sources.photos import make_split, photos_below, strays_of
from alexnet.data.sources.tree import Tree, open_tar, open_tar_of_tars
from alexnet.errors import DataError

TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"


def read(folder: Path) -> Source | None:
    """The source, or None where the folder has neither archive; one of them alone is enough."""
    here = {name: (folder / name).is_file() for name in (TRAIN, VAL)}
    if not any(here.values()):
        return None
    kit = devkit.find(folder)
    splits: dict[str, SourceSplit] = {}
    strays: list[str] = []
    used = {TRAIN, VAL, kit.path.name if kit else ""}
    classes: list[Class] = []
    if here[TRAIN]:
        tree = open_tar_of_tars(folder / TRAIN)
        classes = read_classes(tree, "", kit.words if kit else None)
        splits["train"] = class_split(tree, "", classes)
        strays += _inside(tree, splits["train"])
    if here[VAL]:
        tree = open_tar(folder / VAL)
        classes, splits["val"], labelled_by = _val(folder, tree, kit, classes)
        strays += _inside(tree, splits["val"])
        used.add(labelled_by)
    strays += sorted(entry.name for entry in folder.iterdir() if entry.name not in used)
    return Source("official ILSVRC-2012 tars", folder, classes, splits, strays)


def read_train(path: Path) -> Source | None:
    """The training photos alone, of a tar of one tar a class; None for any other tar."""
    with tarfile.open(path) as tar:
        first = tar.next()
    if first is None or not is_wnid(first.name.removesuffix(".tar")) or first.isdir():
        return None
    tree = open_tar_of_tars(path)
    classes = read_classes(tree, "")
    split = class_split(tree, "", classes)
    return Source("official ILSVRC-2012 training tar", path, classes, {"train": split}, _inside(tree, split))


def _val(
    folder: Path, tree: Tree, kit: devkit.Devkit | None, classes: list[Class]
) -> tuple[list[Class], SourceSplit, str]:
    """The classes (the kit's without training photos), the split, and the name of what labelled it."""
    photos = array("q", sorted(photos_below(tree, ""), key=tree.listing.name))
    names = [tree.listing.name(photo) for photo in photos]
    labels, classes, source = _labels(folder, names, kit, classes)
    return classes, make_split(tree, photos, labels, "", classes), source


def _labels(
    folder: Path, names: list[str], kit: devkit.Devkit | None, classes: list[Class]
) -> tuple[Labels, list[Class], str]:
    if kit:
        classes = classes or classes_of(in_label_order(kit.words), kit.words)
        return kit.labels(names, [c.wnid for c in classes]), classes, kit.path.name
    source = label_file.choose([entry.name for entry in folder.iterdir()], "val", folder)
    if source is None:
        wanted = f"the devkit (ILSVRC2012_devkit_t12.tar.gz), LOC_val_solution.csv or {label_file.FORMS}"
        raise DataError(f"{folder}: {VAL} has no labels: put one of these beside it: {wanted}")
    where = str(folder / source)
    text = (folder / source).read_text(encoding="utf-8-sig")
    classes = classes or label_file.classes_in(text, where)
    return label_file.read_labels(text, names, classes, where), classes, source


def _inside(tree: Tree, split: SourceSplit) -> list[str]:
    return [f"{tree.path.name}: {stray}" for stray in strays_of(tree, [split])]

"""The official archives of ILSVRC-2012 and 2010, read in place: a tar of 1,000 tars, flat tars, the kit."""

from __future__ import annotations

import tarfile
from array import array
from pathlib import Path, PurePosixPath

from alexnet.data.classes import Class, classes_of, in_label_order, is_wnid
from alexnet.data.sources import devkit, label_file, packed_annotations
from alexnet.data.sources.class_folders import class_split, read_classes
from alexnet.data.sources.contract import Labels, Source, SourceSplit
from alexnet.data.sources.photos import PhotoSplit, make_split, photos_below, strays_of, unlabelled_split
from alexnet.data.sources.tree import Tree, open_tar, open_tar_of_tars
from alexnet.errors import DataError

_PREFIXES = {2012: "ILSVRC2012_img", 2010: "ILSVRC2010_images"}
_ENDS = {"train": "train", "val": "val", "test": "test", "newer test": "test_v10102019"}
"""How the archives' names end: the test photos of 2012 were given out a second time, seven years later."""


def read(folder: Path) -> Source | None:
    """The source, or None where the folder has neither archive; one of them alone is enough.

    The test photos have labels where their answers were published, as those of 2010 were, and lie beside.
    """
    for year, prefix in _PREFIXES.items():
        archives = {name: folder / f"{prefix}_{end}.tar" for name, end in _ENDS.items()}
        here = {name: archive for name, archive in archives.items() if archive.is_file()}
        if "newer test" in here:
            here["test"] = here.pop("newer test")
        if "train" in here or "val" in here:
            return _read(folder, year, here)
    return None


def _read(folder: Path, year: int, archives: dict[str, Path]) -> Source:
    kit = devkit.find(folder, year)
    splits: dict[str, PhotoSplit] = {}
    strays: list[str] = []
    used = {kit.path.name if kit else ""}
    classes: list[Class] = []
    if "train" in archives:
        tree = open_tar_of_tars(archives["train"])
        classes = read_classes(tree, "", kit.words if kit else None)
        splits["train"] = class_split(tree, "", classes)
        strays += _inside(tree, splits["train"])
    if "val" in archives:
        tree = open_tar(archives["val"])
        classes, splits["val"], labelled_by = _val(folder, tree, kit, classes)
        strays += _inside(tree, splits["val"])
        used.add(labelled_by)
    if "test" in archives:
        tree = open_tar(archives["test"])
        splits["test"] = _test(tree, kit, classes)
        strays += _inside(tree, splits["test"])
        if kit and kit.test_truth:
            used.add(f"ILSVRC{year}_test_ground_truth.txt")
    used |= {archives[name].name for name in splits}
    for name, split in splits.items():
        boxes = packed_annotations.find(folder, name, year)
        if boxes is not None:
            splits[name], alone = packed_annotations.with_boxes(split, boxes, classes)
            strays += alone
            used.add(boxes.name)
    strays += sorted(entry.name for entry in folder.iterdir() if entry.name not in used)
    return Source(f"official ILSVRC-{year} tars", folder, classes, dict(splits), strays)


def read_train(path: Path) -> Source | None:
    """The training photos alone, of a tar of one tar a class; None for any other tar."""
    with tarfile.open(path) as tar:
        first = tar.next()
    name = PurePosixPath(first.name if first else "")
    if name.suffix != ".tar" or not is_wnid(name.stem):
        return None
    tree = open_tar_of_tars(path)
    classes = read_classes(tree, "")
    split = class_split(tree, "", classes)
    return Source("official ILSVRC-2012 training tar", path, classes, {"train": split}, _inside(tree, split))


def _val(
    folder: Path, tree: Tree, kit: devkit.Devkit | None, classes: list[Class]
) -> tuple[list[Class], PhotoSplit, str]:
    """The classes (the kit's without training photos), the split, and the name of what labelled it."""
    photos, names = _photos(tree)
    labels, classes, source = _labels(tree.path, names, kit, classes)
    return classes, make_split(tree, photos, labels, "", classes), source


def _test(tree: Tree, kit: devkit.Devkit | None, classes: list[Class]) -> PhotoSplit:
    """The test photos, without labels unless the kit has the answers."""
    photos, names = _photos(tree)
    if kit and kit.test_truth:
        return make_split(tree, photos, kit.labels(names, [c.wnid for c in classes], test=True), "", classes)
    if not photos:
        raise DataError(f"{tree.path} holds no photo: get it again, or remove it")
    return unlabelled_split(tree, photos, tree.listing.path(photos[0]).rpartition("/")[0])


def _photos(tree: Tree) -> tuple[array[int], list[str]]:
    """The photos of a flat tar and their names, sorted by name."""
    photos = array("q", sorted(photos_below(tree, ""), key=tree.listing.name))
    return photos, [tree.listing.name(photo) for photo in photos]


def _labels(
    archive: Path, names: list[str], kit: devkit.Devkit | None, classes: list[Class]
) -> tuple[Labels, list[Class], str]:
    if kit:
        classes = classes or classes_of(in_label_order(kit.words), kit.words)
        return kit.labels(names, [c.wnid for c in classes]), classes, kit.path.name
    folder = archive.parent
    source = label_file.choose([entry.name for entry in folder.iterdir()], "val", folder)
    if source is None:
        wanted = f"the devkit (ILSVRC2012_devkit_t12.tar.gz), LOC_val_solution.csv or {label_file.FORMS}"
        raise DataError(f"{archive} has no labels: put one of these beside it: {wanted}")
    where = str(folder / source)
    text = (folder / source).read_text(encoding="utf-8-sig")
    classes = classes or label_file.classes_in(text, where)
    return label_file.read_labels(text, names, classes, where), classes, source


def _inside(tree: Tree, split: SourceSplit) -> list[str]:
    return [f"{tree.path.name}: {stray}" for stray in strays_of(tree, [split])]

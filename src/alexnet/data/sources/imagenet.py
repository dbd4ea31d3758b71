"""ImageNet's own forms: the official tars, Kaggle's tree, photos named by WNID, Tiny ImageNet."""

from __future__ import annotations

import tarfile
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import (
    Class,
    check_same_classes,
    classes_from_wnids,
    in_label_order,
    is_wnid,
    read_synonyms,
    wnid_in,
)
from alexnet.data.decode import UnreadableImage, image_size
from alexnet.data.sources import voc
from alexnet.data.sources.annotation import check_boxes, orphan_annotations
from alexnet.data.sources.base import CheckedBoxes, Labels, Source, SourceOptions, SourceSplit
from alexnet.data.sources.devkit import Devkit, find_devkit
from alexnet.data.sources.label_files import FORMS, label_photos
from alexnet.data.sources.layout import read_layout
from alexnet.data.sources.photo_files import (
    OpenedSource,
    PhotoSplit,
    find_strays,
    is_clutter,
    make_split,
    photos_below,
    photos_in,
    unlabeled_split,
)
from alexnet.data.sources.split_names import split_in
from alexnet.data.sources.text_files import MAX_TEXT_BYTES, TEXT_SUFFIXES, open_text
from alexnet.data.sources.tree import Tree, join, open_tar, open_tar_of_tars, read_file
from alexnet.data.sources.voc import XML_SUFFIX, add_boxes
from alexnet.errors import DataError

_PREFIXES = {2012: "ILSVRC2012_img", 2010: "ILSVRC2010_images"}
_SUFFIXES = {"train": "train", "val": "val", "test": "test", "newer test": "test_v10102019"}
"""Of the archives' names: the test photos of 2012 were released again seven years later."""
_KAGGLE_PHOTOS = "Data/CLS-LOC"
_KAGGLE_ANNOTATIONS = "Annotations/CLS-LOC"


def read_tars(folder: Path) -> Source | None:
    """The source, or None if the folder has neither the training nor the validation tar; one is enough.

    The test photos are labeled if their ground truth, published for 2010, is there too.
    """
    for year, prefix in _PREFIXES.items():
        archives = {name: folder / f"{prefix}_{suffix}.tar" for name, suffix in _SUFFIXES.items()}
        found = {name: archive for name, archive in archives.items() if archive.is_file()}
        if "newer test" in found:
            found["test"] = found.pop("newer test")
        if "train" in found or "val" in found:
            return _read_tars(folder, year, found)
    return None


def read_train_tar(path: Path) -> Source | None:
    """The training photos alone, from a tar that holds one tar per class; None for any other tar."""
    with tarfile.open(path) as tar:
        first = tar.next()
    name = PurePosixPath(first.name if first else "")
    if name.suffix != ".tar" or not is_wnid(name.stem):
        return None
    tree = open_tar_of_tars(path)
    classes = _read_classes(tree, "")
    split = _class_split(tree, "", classes)
    return Source("official ILSVRC-2012 training tar", path, classes, {"train": split}, _strays(tree, split))


def _read_tars(folder: Path, year: int, archives: dict[str, Path]) -> Source:
    kit = find_devkit(folder, year)
    splits: dict[str, PhotoSplit] = {}
    strays: list[str] = []
    used = {kit.path.name if kit else ""}
    classes: list[Class] = []
    if "train" in archives:
        tree = open_tar_of_tars(archives["train"])
        classes = _read_classes(tree, "", kit.synonyms if kit else None)
        splits["train"] = _class_split(tree, "", classes)
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
        open_text(read_file(entry), entry.name)
        for entry in sorted(folder.iterdir())
        if entry.name.lower().endswith(TEXT_SUFFIXES)
        and split_in(entry.name) in (None, "val")
        and entry.is_file()
        and entry.stat().st_size <= MAX_TEXT_BYTES
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


def _class_names(tree: Tree, folder: str) -> list[str]:
    """The class folders in label order: all subfolders but clutter, empty folders and those of annotations.

    If most are named by WNIDs, the others are not classes either (`duplicates`, `n01440764 (copy)`).
    """
    names = [name for name in tree.listing.subfolders(folder) if not is_clutter(name)]
    names = [name for name in names if _has_files(tree, join(folder, name))]
    wnids = [name for name in names if is_wnid(name)]
    return in_label_order(wnids if 2 * len(wnids) > len(names) else names)


def _read_classes(tree: Tree, folder: str, synonyms: Mapping[str, str] | None = None) -> list[Class]:
    """The classes of the folder's subfolders, named as `classes_from_wnids` does."""
    return classes_from_wnids(_class_names(tree, folder), synonyms)


def _class_split(tree: Tree, folder: str, classes: Sequence[Class]) -> PhotoSplit:
    """All photos in the classes' folders and their subfolders; DataError for a class without photos."""
    files = array("q")
    labels: list[np.ndarray] = []
    for label, each in enumerate(classes):
        class_folder = join(folder, each.wnid)
        photos = photos_below(tree, class_folder)
        if not photos:
            raise DataError(
                f"{tree.path}: {class_folder} holds no photo, but the folders beside it are class folders: "
                "move it elsewhere, or pass the path of the folder you mean"
            )
        files += photos
        labels.append(np.full(len(photos), label, dtype=np.int32))
    return make_split(tree, files, np.concatenate(labels), folder, classes)


def _has_files(tree: Tree, folder: str) -> bool:
    names = map(tree.listing.name, tree.listing.below(folder))
    return any(not is_clutter(name) and not name.lower().endswith(XML_SUFFIX) for name in names)


def read_kaggle(opened: OpenedSource) -> Source | None:
    """The source, wherever in the tree `Data/CLS-LOC` is; None if it has no training photos."""
    tree, survey, options = opened.tree, opened.survey, opened.options
    photos = next(
        (f for f in tree.listing.folders if f == _KAGGLE_PHOTOS or f.endswith("/" + _KAGGLE_PHOTOS)), None
    )
    if photos is None or join(photos, "train") not in survey.total:
        return None
    root = photos.removesuffix(_KAGGLE_PHOTOS).strip("/")
    parent = root.rpartition("/")[0]
    layout = read_layout(survey, photos, options)
    mapping = tree.listing.find(parent, "LOC_synset_mapping.txt")
    synonyms = None if mapping is None else read_synonyms(tree.text(mapping))
    classes = classes_from_wnids([each.wnid for each in layout.classes], synonyms)
    splits, _, strays = add_boxes(
        tree, layout.splits, classes, tree.listing.below(join(root, _KAGGLE_ANNOTATIONS))
    )
    named = replace(layout, form="Kaggle tree", classes=classes)
    return named.source(tree, splits, strays, _known_files(tree, root, parent))


def _known_files(tree: Tree, root: str, parent: str) -> list[int]:
    """What Kaggle ships beside the photos: annotations, lists of images, label and class files."""
    listing = tree.listing
    tables = [
        file
        for file in {*listing.files(root), *listing.files(parent)}
        if listing.name(file).startswith("LOC_")
    ]
    return [*tables, *listing.below(join(root, "Annotations")), *listing.below(join(root, "ImageSets"))]


def read_named_by_wnid(opened: OpenedSource) -> Source | None:
    """The source, with one split `train`; None without photos, if one has no WNID in its name, and if options
    choose labels or splits."""
    tree, base = opened.tree, opened.base
    photos = array("q") if opened.options.choose_folders else photos_in(tree, base)
    wnids = [wnid for photo in photos if (wnid := wnid_in(tree.listing.name(photo)))]
    if not photos or len(wnids) < len(photos):
        return None
    classes = classes_from_wnids(sorted(set(wnids)))
    label_of = {each.wnid: label for label, each in enumerate(classes)}
    labels = np.array([label_of[wnid] for wnid in wnids], dtype=np.int32)
    splits = {"train": make_split(tree, photos, labels, base, classes)}
    splits, annotations, strays = add_boxes(tree, splits, classes)
    strays += find_strays(tree, splits.values(), annotations)
    return Source("photos named by WNID", tree.path, classes, dict(splits), strays)


def read_tiny_imagenet(opened: OpenedSource) -> Source | None:
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
    return replace(layout, form="Tiny ImageNet", classes=classes).source(tree, splits, strays, known)


def _box_files(tree: Tree, folder: str, classes: Sequence[Class]) -> list[int]:
    """The files with the boxes of a split: one for each class, or one for all."""
    places = [(folder, "val_annotations.txt")]
    places += [(join(folder, each.wnid), f"{each.wnid}_boxes.txt") for each in classes]
    found = [tree.listing.find(place, name) for place, name in places]
    return [file for file in found if file is not None]


@dataclass(frozen=True)
class _PixelBoxes:
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
    return replace(split, boxes=_PixelBoxes(corners)), orphan_annotations(orphans)


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
            raise DataError(f"{where}: expected four box coordinates: {line!r}") from error
    return found

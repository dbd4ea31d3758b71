"""PASCAL VOC: boxes in XML files, matched by the photo's name, as ILSVRC ships them too.

`read` reads VOC's own tree: photos in `JPEGImages`, boxes in `Annotations`, lists of splits in
`ImageSets/Main`; also photos and XML files side by side in `train/` and `valid/`. Class folders with XML
files are not of this form: there the folders are the classes.

`add_boxes` adds boxes to photos whose classes are known otherwise. An XML file belongs to the photo of the
same name, wherever both are; in a folder named like a class or a split, to a photo of that class or split.
Objects of classes that the source does not have are ignored.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from alexnet.data.classes import NO_LABEL, Class, are_custom, wnid_in
from alexnet.data.sources.annotation import (
    OTHER_CLASSES,
    Annotation,
    BoxedForm,
    BoxedPhoto,
    PackedBoxes,
    boxed_source,
    check_boxes,
    orphan_annotations,
    photos_by_path,
    place_boxes,
)
from alexnet.data.sources.base import CheckedBoxes, Source
from alexnet.data.sources.photo_files import OpenedSource, PhotoSplit
from alexnet.data.sources.split_names import split_of, split_of_photo, split_of_word
from alexnet.data.sources.tree import Int64s, Tree, archived_files
from alexnet.errors import DataError
from alexnet.text import counted

_FORM = "PASCAL VOC boxes"
_LISTS = "imagesets/main"
_PHOTO_FOLDERS = ("", "jpegimages", "images", "image", "imgs", "img", "photos", "pictures")
_MASK_FOLDERS = ("segmentationclass", "segmentationobject")
XML_SUFFIX = ".xml"
_MAX_XML_BYTES = 10_000_000
"""Of one file in an archive."""
_MISSING_WORDS = ("", "none", "null", "nan")
"""What programs write for a size they do not know."""
_ARCHIVES = {"train": "ILSVRC{year}_bbox_train*", "val": "ILSVRC{year}_bbox_val*"}
"""Name patterns of the archives of boxes; ILSVRC-2012's end in a version."""


def read(opened: OpenedSource) -> Source | None:
    """The source; None if no photo has an XML file of its name, or some photos are in folders of classes."""
    if opened.options.choose_folders:
        return None
    tree = opened.tree
    listing = tree.listing
    xml: dict[str, list[int]] = defaultdict(list)
    for file in listing.ending_in(XML_SUFFIX):
        xml[PurePosixPath(listing.name(file)).stem].append(file)
    if not xml:
        return None
    photos = {path: file for path, file in photos_by_path(tree).items() if _parent(path) not in _MASK_FOLDERS}
    stems = {path: PurePosixPath(path).stem for path in photos}
    named = all(wnid_in(path.rpartition("/")[2]) for path in photos)
    if named or not all(map(_is_of_photos, photos)) or not any(stem in xml for stem in stems.values()):
        return None
    lists = _lists(tree)
    called_so = Counter(stems.values())
    boxed: defaultdict[str, list[BoxedPhoto]] = defaultdict(list)
    used: list[int] = []
    unlisted = 0
    for path, file in photos.items():
        split = _listed(path, stems[path], lists) if lists else split_of_photo(path)
        if not split:
            unlisted += 1
            continue
        candidates = xml.get(stems[path], ())
        alone = len(candidates) == called_so[stems[path]] == 1
        own = [each for each in candidates if alone or _shared(listing.path(each), path)]
        annotation = _parse_file(tree, own[0]) if own else XmlAnnotation((0, 0), [])
        used += own[:1]
        names, corners = [name for name, _ in annotation.objects], [box for _, box in annotation.objects]
        boxed[split].append(BoxedPhoto(file, names, corners, annotation.size))
    strays = [f"{counted(unlisted, 'photo')} that no list in ImageSets/Main has"] if unlisted else []
    rest = sorted({file for files in xml.values() for file in files} - set(used))
    strays += [] if unlisted or not rest else orphan_annotations([listing.path(file) for file in rest])
    shipped = [file for file in range(len(listing)) if "/imagesets/" in f"/{listing.path(file).lower()}"]
    masks = [file for file in range(len(listing)) if _parent(listing.path(file)) in _MASK_FOLDERS]
    order = sorted({name for photos in boxed.values() for photo in photos for name in photo.names})
    known = [*used, *rest, *shipped, *masks]
    return boxed_source(tree, BoxedForm(_FORM, "pixels", order), boxed, known, strays)


def _parent(path: str) -> str:
    return PurePosixPath(path).parent.name.lower()


def _is_of_photos(path: str) -> bool:
    """Whether the folder of a photo does not name its class."""
    parent = _parent(path)
    return parent in _PHOTO_FOLDERS or bool(split_of_word(parent.rstrip("0123456789")))


def _shared(annotation: str, photo: str) -> bool:
    """Whether both are below the same folder: side by side, or in `Annotations` and `JPEGImages` of it.

    Folders of two splits are not the same: `train/1.xml` is not of `valid/1.jpg`.
    """
    if split_of_photo(annotation) != split_of_photo(photo):
        return False
    places = [PurePosixPath(path).parent for path in (annotation, photo)]
    return places[0] == places[1] or (bool(places[0].name) and places[0].parent == places[1].parent)


def _lists(tree: Tree) -> dict[str, dict[str, str]]:
    """The split of each photo's stem, by the folder of the data set with `ImageSets`; empty without lists.

    `trainval` counts where `train` is not.
    """
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for folder in tree.listing.folders:
        if not f"/{folder.lower()}".endswith(f"/{_LISTS}"):
            continue
        named = [(file, tree.listing.name(file).lower()) for file in tree.listing.files(folder)]
        lists = [(file, name.removesuffix(".txt")) for file, name in named if name.endswith(".txt")]
        for file, name in sorted(lists, key=lambda each: each[1] not in ("trainval", "trainvalid")):
            if (split := split_of(name)) is not None:
                lines = tree.text(file).splitlines()
                above = folder[: -len(_LISTS)].rstrip("/")
                found[above] |= {line.split()[0]: split for line in lines if line.strip()}
    return dict(found)


def _listed(path: str, stem: str, lists: Mapping[str, Mapping[str, str]]) -> str:
    """The split of a photo by the lists of the data set that it is in; empty if they do not have it."""
    above = [folder for folder in lists if not folder or path.startswith(f"{folder}/")]
    nearest = max(above, key=len) if above else next(iter(lists)) if len(lists) == 1 else None
    return "" if nearest is None else lists[nearest].get(stem, "")


def _parse_file(tree: Tree, file: int) -> XmlAnnotation:
    try:
        return parse(tree.read(file))
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{tree.path}: broken boxes in {tree.listing.path(file)}: {error}") from error


class XmlAnnotation(NamedTuple):
    """The content of one XML file."""

    size: tuple[int, int]
    """(width, height) in pixels of the annotated photo; zeros where unknown."""
    objects: list[tuple[str, list[float]]]
    """Name of the class, and x0, y0, x1, y1 in pixels, last pixels included."""

    def labeled(self, labels: Mapping[str, int]) -> Annotation:
        """The objects whose classes are known."""
        found = [(label_of(name, labels), corners) for name, corners in self.objects]
        known = [(label, corners) for label, corners in found if label is not None]
        return Annotation(known, self.size, odd=(OTHER_CLASSES,) if len(known) < len(found) else ())


def parse(xml: bytes) -> XmlAnnotation:
    """The annotation; ValueError describes what is broken."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    width, height = (_side(root.findtext(f"size/{side}")) for side in ("width", "height"))
    objects = [(_name(each), _corners(each)) for each in root.iter("object")]
    if not np.isfinite([corners for _, corners in objects]).all():
        raise ValueError("a corner is not a finite number")
    return XmlAnnotation((width, height), objects)


def label_of(name: str, labels: Mapping[str, int]) -> int | None:
    """The label of a class's WNID or name, in any case if there is none in its own; None if there is none."""
    return labels.get(name, labels.get(name.casefold()))


@dataclass(frozen=True)
class XmlBoxes:
    """Reads a photo's boxes from its XML file, if it has one."""

    tree: Tree
    annotations: Int64s
    """(N,) the file of the tree that annotates each photo of the split; -1 where there is none."""
    labels: Mapping[str, int]
    upright: bool
    """Where an annotation does not decide: whether it was drawn on the upright photo; see `place_boxes`."""

    def stamp(self, index: int) -> str:
        """As for `Stamped`: of the XML file."""
        file = int(self.annotations[index])
        return "" if file < 0 else self.tree.stamp(file)

    def __call__(self, index: int, path: str, label: int, image: bytes) -> CheckedBoxes:
        """The boxes of the photo's known classes; DataError if its XML is broken."""
        file = int(self.annotations[index])
        if file < 0:
            return check_boxes([], (1, 1))
        try:
            return place_boxes(parse(self.tree.read(file)).labeled(self.labels), image, self.upright)
        except DataError:
            raise
        except ValueError as error:
            raise DataError(
                f"{self.tree.path}: broken boxes in {self.tree.listing.path(file)}: {error}"
            ) from error


def add_boxes(
    tree: Tree,
    splits: Mapping[str, PhotoSplit],
    classes: Sequence[Class],
    within: range | None = None,
) -> tuple[dict[str, PhotoSplit], list[int], list[str]]:
    """The splits with boxes from the XML files (`within` some files), these XML files, and strays.

    A split in which no photo has an XML file stays without boxes. Strays are XML files of no photo, or of
    several.
    """
    annotations = tree.listing.ending_in(XML_SUFFIX)
    if within is not None:
        annotations = [file for file in annotations if file in within]
    if not annotations:
        return dict(splits), [], []
    by_stem = _by_stem(tree, annotations, {each.wnid for each in classes} | set(splits))
    found = {name: _annotations_of(name, split, by_stem) for name, split in splits.items()}
    claims = np.bincount(np.concatenate([each[each >= 0] for each in found.values()]), minlength=1)
    labels = _labels_by_name(classes)
    with_boxes: dict[str, PhotoSplit] = {}
    for name, split in splits.items():
        own = np.where((found[name] >= 0) & (claims[found[name]] == 1), found[name], -1)
        boxes = XmlBoxes(tree, own, labels, are_custom(classes)) if (own >= 0).any() else split.boxes
        with_boxes[name] = replace(split, boxes=boxes)
    orphans = [file for file in annotations if file >= len(claims) or claims[file] != 1]
    return with_boxes, annotations, orphan_annotations([tree.listing.path(file) for file in orphans])


def find_archive(folder: Path, split: str, year: int) -> Path | None:
    """The archive of a split's boxes beside the photos, if there is one."""
    pattern = _ARCHIVES.get(split, "").format(year=year)
    archives = [path for path in folder.glob(pattern) if path.is_file()] if pattern else []
    return max(archives, default=None)


def add_boxes_from_archive(
    split: PhotoSplit, archive: Path, classes: Sequence[Class]
) -> tuple[PhotoSplit, list[str]]:
    """The split with the archive's boxes, and strays: annotations of missing photos.

    DataError if the archive or a file in it is broken.
    """
    photo_of = {_stem(split.tree.listing.name(int(file))): index for index, file in enumerate(split.files)}
    known = _labels_by_name(classes)
    photos, labels = array("q"), array("i")
    corners, sizes = array("f"), array("i")
    orphans: list[str] = []
    for name, xml in archived_files(archive, _is_xml, _MAX_XML_BYTES):
        photo = photo_of.get(_stem(name))
        if photo is None:
            orphans.append(f"{archive.name}: {name}")
            continue
        annotation = _parse_member(archive, name, xml).labeled(known)
        for label, box in annotation.found:
            photos.append(photo)
            labels.append(label)
            corners.extend(box)
            sizes.extend(annotation.size)
    packed = _packed(len(split), np.array(photos, np.int64), labels, corners, sizes)
    return replace(split, boxes=packed), orphan_annotations(orphans)


def _corners(element: ElementTree.Element) -> list[float]:
    """x0, y0, x1, y1 in pixels; ValueError names what is not a number."""
    found = {
        corner: element.findtext(f"bndbox/{corner}") or "" for corner in ("xmin", "ymin", "xmax", "ymax")
    }
    try:
        return [float(text) for text in found.values()]
    except ValueError as error:
        raise ValueError(f"an object's bndbox is {found}, not four numbers") from error


def _labels_by_name(classes: Sequence[Class]) -> dict[str, int]:
    """The label of each class by its WNID, and by its name where that is not another class's WNID.

    And by both in lower case, where no other class has them so.
    """
    by_name = {each.name: label for label, each in enumerate(classes)}
    by_name |= {each.wnid: label for label, each in enumerate(classes)}
    folded = Counter(name.casefold() for each in classes for name in {each.name, each.wnid})
    lower = {name.casefold(): label for name, label in by_name.items() if folded[name.casefold()] == 1}
    return lower | by_name


def _side(text: str | None) -> int:
    """A side in pixels, `200.0` too; 0 where it is missing. ValueError for any other text."""
    words = (text or "").strip().lower()
    side = 0.0 if words in _MISSING_WORDS else float(words)
    return round(side) if np.isfinite(side) and side > 0 else 0


def _name(element: ElementTree.Element) -> str:
    """The name of an object's class, without blanks and newlines around it."""
    return " ".join((element.findtext("name") or "").split())


def _by_stem(
    tree: Tree, annotations: Iterable[int], folder_names: Collection[str]
) -> dict[str, list[tuple[int, frozenset[str]]]]:
    """By stem of the file name: files, each with those of its folders that are among `folder_names`."""
    scopes: dict[str, frozenset[str]] = {}
    found: defaultdict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
    for file in annotations:
        folder = tree.listing.path(file).rpartition("/")[0]
        if folder not in scopes:
            scopes[folder] = frozenset(name for name in folder.split("/") if name in folder_names)
        found[_stem(tree.listing.name(file))].append((file, scopes[folder]))
    return dict(found)


def _annotations_of(
    name: str, split: PhotoSplit, by_stem: Mapping[str, Sequence[tuple[int, frozenset[str]]]]
) -> Int64s:
    """(N,) the first file with each photo's stem and not in a folder of another class or split; else -1."""
    annotations = np.full(len(split), -1, np.int64)
    for index, (photo, label) in enumerate(zip(split.files.tolist(), split.labels.tolist(), strict=True)):
        own = {name} if label == NO_LABEL else {name, split.wnids[label]}
        candidates = by_stem.get(_stem(split.tree.listing.name(photo)), ())
        annotations[index] = next((file for file, scope in candidates if scope <= own), -1)
    return annotations


def _packed(
    images: int, photos: Int64s, labels: array[int], corners: array[float], sizes: array[int]
) -> PackedBoxes:
    order = np.argsort(photos, kind="stable")
    return PackedBoxes(
        starts=np.searchsorted(photos[order], np.arange(images + 1)),
        labels=np.array(labels, np.int32)[order],
        corners=np.array(corners, np.float32).reshape(-1, 4)[order],
        sizes=np.array(sizes, np.int32).reshape(-1, 2)[order],
    )


def _parse_member(archive: Path, name: str, xml: bytes) -> XmlAnnotation:
    try:
        return parse(xml)
    except ValueError as error:
        raise DataError(f"{archive}: broken boxes in {name}: {error}") from error


def _is_xml(name: str) -> bool:
    return name.lower().endswith(XML_SUFFIX)


def _stem(name: str) -> str:
    return PurePosixPath(name).stem

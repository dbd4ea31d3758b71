"""Boxes as ILSVRC ships them: PASCAL VOC's XML, a file a photo, found by the photo's name.

An XML file belongs to the photo of its name, wherever both lie; one in a folder named as a class or a split,
to a photo of that. Objects of classes that the source does not have are left out.
"""

from __future__ import annotations

import tarfile
import zlib
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.decode import UnreadableImage, image_size
from alexnet.data.sources.base import BoxesFound, checked_boxes
from alexnet.data.sources.files import STRAYS_NAMED, Int64s, PhotoSplit, Tree
from alexnet.errors import DataError

SUFFIX = ".xml"


class Annotation(NamedTuple):
    """What one file says."""

    size: tuple[int, int]
    """(width, height) in pixels of the photo that was looked at; zeros where it is not told."""
    objects: list[tuple[str, list[float]]]
    """Name of the class, and x0, y0, x1, y1 in pixels, the last ones included."""


def parse(xml: bytes) -> Annotation:
    """The annotation; ValueError says what is broken."""
    try:
        note = ElementTree.fromstring(xml)
        width, height = (int(note.findtext(f"size/{side}", "0")) for side in ("width", "height"))
        objects = [(thing.findtext("name", ""), _corners(thing)) for thing in note.iter("object")]
    except (ElementTree.ParseError, TypeError) as error:
        raise ValueError(str(error)) from error
    if not np.isfinite([corners for _, corners in objects]).all():
        raise ValueError("a corner is not a finite number")
    return Annotation((width, height), objects)


def labels_by_name(classes: Sequence[Class]) -> dict[str, int]:
    """The label of each class by its WNID, and by its name where nothing else is called so."""
    by_name = {each.name: label for label, each in enumerate(classes)}
    return by_name | {each.wnid: label for label, each in enumerate(classes)}


@dataclass(frozen=True)
class XmlBoxes:
    """Reads a photo's boxes from its XML file, if it has one."""

    tree: Tree
    notes: Int64s
    """(N,) the file of the tree that annotates each photo of the split; -1 where none does."""
    labels: Mapping[str, int]

    def __call__(self, index: int, path: str, label: int, image: bytes) -> BoxesFound:
        """The boxes of a photo's known classes; DataError where its XML is broken."""
        file = int(self.notes[index])
        if file < 0:
            return checked_boxes([], (1, 1))
        try:
            note = parse(self.tree.read(file))
            boxes = [(self.labels[name], box) for name, box in note.objects if name in self.labels]
            return checked_boxes(boxes, note.size if all(note.size) else image_size(image))
        except UnreadableImage:
            return BoxesFound()  # which is told of the photo already
        except ValueError as error:
            raise DataError(
                f"{self.tree.path}: broken boxes in {self.tree.listing.path(file)}: {error}"
            ) from error


def annotated(
    tree: Tree, splits: Mapping[str, PhotoSplit], files: Iterable[int], classes: Sequence[Class]
) -> tuple[dict[str, PhotoSplit], list[int], list[str]]:
    """The splits with the boxes that XML files among `files` give them, those files, and strays.

    A split of which no photo has a file stays without boxes. Strays are files of no photo, or of several.
    """
    notes = [file for file in files if tree.listing.name(file).lower().endswith(SUFFIX)]
    if not notes:
        return dict(splits), [], []
    by_stem = _by_stem(tree, notes, {each.wnid for each in classes} | set(splits))
    found = {name: _notes_of(name, split, by_stem) for name, split in splits.items()}
    claims = np.bincount(np.concatenate([each[each >= 0] for each in found.values()]), minlength=1)
    labels = labels_by_name(classes)
    with_boxes: dict[str, PhotoSplit] = {}
    for name, split in splits.items():
        own = np.where((found[name] >= 0) & (claims[found[name]] == 1), found[name], -1)
        boxes = XmlBoxes(tree, own, labels) if (own >= 0).any() else split.boxes
        with_boxes[name] = replace(split, boxes=boxes)
    alone = [note for note in notes if note >= len(claims) or claims[note] != 1]
    return with_boxes, notes, of_no_photo([tree.listing.path(note) for note in alone])


def of_no_photo(names: Sequence[str]) -> list[str]:
    """Strays, from the names of annotations that belong to no photo: named, or counted where many."""
    if len(names) <= STRAYS_NAMED:
        return [f"{name} (annotates no photo that is there)" for name in names]
    return [f"{len(names):,} annotations of no photo that is there, such as {names[0]}"]


def _by_stem(
    tree: Tree, notes: Iterable[int], words: Collection[str]
) -> dict[str, list[tuple[int, frozenset[str]]]]:
    """By file name: the files called so, each with those of its folders that name a class or a split."""
    scopes: dict[str, frozenset[str]] = {}
    found: defaultdict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
    for note in notes:
        folder = tree.listing.path(note).rpartition("/")[0]
        if folder not in scopes:
            scopes[folder] = frozenset(word for word in folder.split("/") if word in words)
        found[_stem(tree, note)].append((note, scopes[folder]))
    return dict(found)


def _notes_of(
    name: str, split: PhotoSplit, by_stem: Mapping[str, Sequence[tuple[int, frozenset[str]]]]
) -> Int64s:
    """(N,) the first file of each photo's name that lies in no other class's or split's folder; else -1."""
    notes = np.full(len(split), -1, np.int64)
    for index, (photo, label) in enumerate(zip(split.files.tolist(), split.labels.tolist(), strict=True)):
        own = {name} if label == NO_LABEL else {name, split.wnids[label]}
        candidates = by_stem.get(_stem(split.tree, photo), ())
        notes[index] = next((note for note, scope in candidates if scope <= own), -1)
    return notes


def _stem(tree: Tree, file: int) -> str:
    return PurePosixPath(tree.listing.name(file)).stem


def _corners(thing: ElementTree.Element) -> list[float]:
    """x0, y0, x1, y1 in pixels; ValueError names what is no number."""
    found = {corner: thing.findtext(f"bndbox/{corner}", "") for corner in ("xmin", "ymin", "xmax", "ymax")}
    try:
        return [float(text) for text in found.values()]
    except ValueError as error:
        raise ValueError(f"an object's bndbox is {found}, not four numbers") from error


ARCHIVES = {"train": "ILSVRC{year}_bbox_train*", "val": "ILSVRC{year}_bbox_val*"}
"""How the archives of boxes are called; ILSVRC-2012's have a version behind."""


@dataclass(frozen=True)
class PackedBoxes:
    """Boxes of a split's photos, those of a photo after those of the photo before."""

    starts: Int64s
    """(N + 1,) where each photo's begin."""
    labels: npt.NDArray[np.int32]
    """(B,)"""
    corners: npt.NDArray[np.float32]
    """(B, 4) x0, y0, x1, y1 in pixels, both ends included."""
    sizes: npt.NDArray[np.int32]
    """(B, 2) width and height of the annotated photo; zeros where they are not told."""

    def __call__(self, index: int, path: str, label: int, image: bytes) -> BoxesFound:
        """The boxes of a photo's known classes."""
        rows = range(int(self.starts[index]), int(self.starts[index + 1]))
        found = [(int(self.labels[row]), self.corners[row].tolist()) for row in rows]
        try:
            told = [(int(width), int(height)) for width, height in self.sizes[rows.start : rows.stop]]
            return checked_boxes(found, told[0] if told and all(told[0]) else image_size(image))
        except UnreadableImage:
            return BoxesFound()


def find(folder: Path, split: str, year: int) -> Path | None:
    """The archive of a split's boxes beside the photos, if it is there."""
    pattern = ARCHIVES.get(split, "").format(year=year)
    archives = [path for path in folder.glob(pattern) if path.is_file()] if pattern else []
    return max(archives, default=None)


def with_boxes(split: PhotoSplit, archive: Path, classes: Sequence[Class]) -> tuple[PhotoSplit, list[str]]:
    """The split with the archive's boxes, and strays: annotations of photos that are not there.

    DataError where the archive or a file in it is broken.
    """
    places = {
        _member_stem(split.tree.listing.name(int(file))): index for index, file in enumerate(split.files)
    }
    labels = labels_by_name(classes)
    photos, numbers = array("q"), array("i")
    corners, sizes = array("f"), array("i")
    alone: list[str] = []
    for name, xml in _files(archive):
        photo = places.get(_member_stem(name))
        if photo is None:
            alone.append(f"{archive.name}: {name}")
            continue
        note = _parsed(archive, name, xml)
        for wnid, box in note.objects:
            if wnid in labels:
                photos.append(photo)
                numbers.append(labels[wnid])
                corners.extend(box)
                sizes.extend(note.size)
    packed = _packed(len(split), np.array(photos, np.int64), numbers, corners, sizes)
    return replace(split, boxes=packed), of_no_photo(alone)


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


def _files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every XML file, in the archive's order."""
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name.lower().endswith(SUFFIX) else None
                if content is not None:
                    yield member.name, content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{archive} is not a whole archive ({error}): get it again") from error


def _parsed(archive: Path, name: str, xml: bytes) -> Annotation:
    try:
        return parse(xml)
    except ValueError as error:
        raise DataError(f"{archive}: broken boxes in {name}: {error}") from error


def _member_stem(name: str) -> str:
    return PurePosixPath(name).stem

"""Boxes as ILSVRC ships them: PASCAL VOC's XML, a file a photo, found by the photo's name.

An XML file belongs to the photo of its name, wherever both lie; one in a folder named as a class or a split,
to a photo of that. Objects of classes that the source does not have are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from alexnet.data.classes import NO_LABEL, Class
from alexnet.data.decode import UnreadableImage, image_size
from alexnet.data.sources.contract import BoxesFound, checked_boxes
from alexnet.data.sources.listing import Int64s
from alexnet.data.sources.photos import STRAYS_NAMED, PhotoSplit
from alexnet.data.sources.tree import Tree
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

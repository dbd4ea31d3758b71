"""Kaggle's ILSVRC tree: `ILSVRC/Data/CLS-LOC/{train,val,test}`, boxes as XML, validation labels as CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from xml.etree import ElementTree

from alexnet.data.classes import read_words
from alexnet.data.sources.class_folders import holds_classes, read_classes
from alexnet.data.sources.contract import Box, Source
from alexnet.data.sources.listing import join
from alexnet.data.sources.photos import strays_of
from alexnet.data.sources.train_val import read_splits, split_folders
from alexnet.data.sources.tree import Tree
from alexnet.errors import DataError

PHOTOS = "Data/CLS-LOC"
NOTES = "Annotations/CLS-LOC"


def read(tree: Tree, base: str) -> Source | None:
    """The source, wherever in the tree `Data/CLS-LOC` lies; None if nowhere with training photos."""
    photos = next((f for f in tree.listing.folders if f == PHOTOS or f.endswith("/" + PHOTOS)), None)
    if photos is None or not holds_classes(tree, join(photos, "train")):
        return None
    root = photos.removesuffix(PHOTOS).strip("/")
    outside = root.rpartition("/")[0]
    mapping = tree.listing.find(outside, "LOC_synset_mapping.txt")
    classes = read_classes(
        tree, join(photos, "train"), None if mapping is None else read_words(tree.text(mapping))
    )
    found, _ = read_splits(tree, split_folders(tree, photos), classes, [root, outside])
    boxes = XmlBoxes(tree, photos, join(root, NOTES), {c.wnid: label for label, c in enumerate(classes)})
    splits = {name: replace(split, boxes=boxes) for name, split in found.items()}
    return Source(
        "Kaggle tree", tree.path, classes, dict(splits), strays_of(tree, splits.values(), _known(tree, root))
    )


def _known(tree: Tree, root: str) -> list[int]:
    """All that Kaggle ships beside the photos: annotations, lists of images, label and class files."""
    listing = tree.listing
    outside = root.rpartition("/")[0]
    files = {*listing.files(root), *listing.files(outside)}
    named = [file for file in files if listing.name(file).startswith("LOC_")]
    return [*named, *listing.below(join(root, "Annotations")), *listing.below(join(root, "ImageSets"))]


@dataclass(frozen=True)
class XmlBoxes:
    """Reads a photo's boxes from the XML file of the same name, if there is one."""

    tree: Tree
    photos: str
    notes: str
    labels: Mapping[str, int]

    def __call__(self, index: int, path: str, label: int, image: bytes) -> tuple[Box, ...]:
        """The boxes of a photo's known classes; DataError where its XML is broken."""
        folder, _, name = path.removeprefix(self.photos).rpartition("/")
        file = self.tree.listing.find(self.notes + folder, PurePosixPath(name).stem + ".xml")
        if file is None:
            return ()
        try:
            return self._boxes(ElementTree.fromstring(self.tree.read(file)))
        except (ElementTree.ParseError, TypeError, ValueError, ZeroDivisionError) as error:
            raise DataError(
                f"{self.tree.path}: broken boxes in {self.tree.listing.path(file)}: {error}"
            ) from error

    def _boxes(self, note: ElementTree.Element) -> tuple[Box, ...]:
        width, height = (int(note.findtext(f"size/{side}", "")) for side in ("width", "height"))
        return tuple(
            Box.from_pixels(self.labels[wnid], _corners(thing), (width, height))
            for thing in note.iter("object")
            if (wnid := thing.findtext("name", "")) in self.labels
        )


def _corners(thing: ElementTree.Element) -> list[float]:
    return [float(thing.findtext(f"bndbox/{corner}", "")) for corner in ("xmin", "ymin", "xmax", "ymax")]

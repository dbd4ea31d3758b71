"""Kaggle's ILSVRC tree: `ILSVRC/Data/CLS-LOC/{train,val,test}`, boxes as XML, validation labels as CSV."""

from __future__ import annotations

from alexnet.data.classes import read_words
from alexnet.data.sources.base import Source
from alexnet.data.sources.class_folders import holds_classes, read_classes
from alexnet.data.sources.files import Tree, join, strays_of
from alexnet.data.sources.train_val import read_splits, split_folders
from alexnet.data.sources.voc import annotated

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
    splits, _, strays = annotated(tree, found, tree.listing.below(join(root, NOTES)), classes)
    strays += strays_of(tree, splits.values(), _known(tree, root))
    return Source("Kaggle tree", tree.path, classes, dict(splits), strays)


def _known(tree: Tree, root: str) -> list[int]:
    """All that Kaggle ships beside the photos: annotations, lists of images, label and class files."""
    listing = tree.listing
    outside = root.rpartition("/")[0]
    files = {*listing.files(root), *listing.files(outside)}
    named = [file for file in files if listing.name(file).startswith("LOC_")]
    return [*named, *listing.below(join(root, "Annotations")), *listing.below(join(root, "ImageSets"))]

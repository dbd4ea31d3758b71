"""Kaggle's ILSVRC tree: `ILSVRC/Data/CLS-LOC/{train,val,test}`, boxes as XML, validation labels as CSV."""

from __future__ import annotations

from alexnet.data.classes import classes_from_wnids, read_synonyms
from alexnet.data.sources.base import Source
from alexnet.data.sources.layout import read_layout
from alexnet.data.sources.photo_split import find_strays
from alexnet.data.sources.survey import OpenedSource
from alexnet.data.sources.tree import Tree, join
from alexnet.data.sources.voc import add_boxes

PHOTOS = "Data/CLS-LOC"
ANNOTATIONS = "Annotations/CLS-LOC"


def read(opened: OpenedSource) -> Source | None:
    """The source, wherever in the tree `Data/CLS-LOC` is; None if it has no training photos."""
    tree, survey, options = opened.tree, opened.survey, opened.options
    photos = next((f for f in tree.listing.folders if f == PHOTOS or f.endswith("/" + PHOTOS)), None)
    if photos is None or join(photos, "train") not in survey.total:
        return None
    root = photos.removesuffix(PHOTOS).strip("/")
    parent = root.rpartition("/")[0]
    layout = read_layout(survey, photos, options)
    mapping = tree.listing.find(parent, "LOC_synset_mapping.txt")
    synonyms = None if mapping is None else read_synonyms(tree.text(mapping))
    classes = classes_from_wnids([each.wnid for each in layout.classes], synonyms)
    splits, _, strays = add_boxes(tree, layout.splits, classes, tree.listing.below(join(root, ANNOTATIONS)))
    strays += find_strays(tree, splits.values(), [*layout.known, *_known_files(tree, root, parent)])
    return Source(
        "Kaggle tree",
        tree.path,
        classes,
        dict(splits),
        strays,
        left_out=layout.left_out,
        origins=layout.origins,
        notes=layout.notes,
    )


def _known_files(tree: Tree, root: str, parent: str) -> list[int]:
    """What Kaggle ships beside the photos: annotations, lists of images, label and class files."""
    listing = tree.listing
    tables = [
        file
        for file in {*listing.files(root), *listing.files(parent)}
        if listing.name(file).startswith("LOC_")
    ]
    return [*tables, *listing.below(join(root, "Annotations")), *listing.below(join(root, "ImageSets"))]

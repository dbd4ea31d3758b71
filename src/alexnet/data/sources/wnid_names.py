"""A flat folder of photos named by class: `n01440764_tench.JPEG`, `ILSVRC2012_val_1_n01440764.JPEG`."""

from __future__ import annotations

import re

import numpy as np

from alexnet.data.classes import classes_of
from alexnet.data.sources.base import Source
from alexnet.data.sources.files import Tree, make_split, photos_in, strays_of
from alexnet.data.sources.voc import annotated

_WNID = re.compile(r"(?:^|_)(n\d{8})(?=[_.])")


def read(tree: Tree, base: str) -> Source | None:
    """The source, all of it `train`; None without photos in `base`, or if one has no WNID in its name."""
    photos = photos_in(tree, base)
    found = [_WNID.search(tree.listing.name(photo)) for photo in photos]
    wnids = [match.group(1) for match in found if match]
    if not photos or len(wnids) < len(photos):
        return None
    classes = classes_of(sorted(set(wnids)))
    numbers = {c.wnid: label for label, c in enumerate(classes)}
    labels = np.array([numbers[wnid] for wnid in wnids], dtype=np.int32)
    splits = {"train": make_split(tree, photos, labels, base, classes)}
    splits, notes, strays = annotated(tree, splits, range(len(tree.listing)), classes)
    strays += strays_of(tree, splits.values(), notes)
    return Source("photos named by WNID", tree.path, classes, dict(splits), strays)

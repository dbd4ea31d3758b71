"""A flat folder of photos named by class: `n01440764_tench.JPEG`, `ILSVRC2012_val_1_n01440764.JPEG`."""

from __future__ import annotations

import re

import numpy as np

from alexnet.data.classes import classes_from_wnids
from alexnet.data.sources.base import Source
from alexnet.data.sources.photo_split import find_strays, make_split, photos_in
from alexnet.data.sources.survey import OpenedSource
from alexnet.data.sources.voc import add_boxes

_WNID = re.compile(r"(?:^|_)(n\d{8})(?=[_.])")


def wnid_in(name: str) -> str:
    """The WNID in a photo's name; empty if it has none."""
    match = _WNID.search(name)
    return match.group(1) if match else ""


def read(opened: OpenedSource) -> Source | None:
    """The source, with one split `train`; None without photos, or if one has no WNID in its name."""
    tree, base = opened.tree, opened.base
    photos = photos_in(tree, base)
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

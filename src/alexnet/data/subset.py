"""Training on fewer images: the same for everybody, as many of each class, smaller choices within larger."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from alexnet.config import DataConfig
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError

TRAIN = "train"


def training_images(store: Store, data: DataConfig) -> Split:
    """The images a run trains on: the training split, or `data.images` of it.

    CommandError where it has not as many.
    """
    split = store.split(TRAIN)
    if data.images == 0:
        return split
    if data.images > len(split):
        raise CommandError(
            f"data.images={data.images} are wanted and {store.path} has {len(split)} training images: "
            "type fewer, or data.images=0 for all"
        )
    return split.part(np.sort(balanced(split)[: data.images]))


def balanced(split: Split) -> NDArray[np.int64]:
    """(len(split),) all images in an order of which every beginning is balanced over classes.

    First one image of each class in label order, then a second one of each, and so on while a class has some.
    Within a class by the SHA-256 of their keys: no seed, the same on every machine and in every store of the
    same photos.
    """
    digests = b"".join(hashlib.sha256(key.encode()).digest()[:8] for key in split.keys())  # noqa: SIM118
    labels = split.labels
    by_class = np.lexsort((np.frombuffer(digests, dtype=">u8"), labels))
    ordered = labels[by_class]
    rank_in_class = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    return by_class[np.lexsort((ordered, rank_in_class))]

"""The store's photos by their numbers: those to try, and those that a net finds alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alexnet.data.classes import Class
from alexnet.data.image_reader import read_square
from alexnet.data.store import Split, Store
from alexnet.web.model import to_jpeg

SAMPLES = 12


class StorePhotos:
    """A store's photos for a page. Whoever asks names a split and a number, never a file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def classes(self) -> Sequence[Class]:
        """In label order."""
        return self._store.classes

    def samples(self) -> list[dict[str, Any]]:
        """`[{photo, wnid, name}]`, at most `SAMPLES`: of validation photos the first of classes far apart."""
        name = "val" if "val" in self._store.splits else self._store.splits[0]
        labels = self._store.split(name).labels
        found = np.unique(labels[labels >= 0])
        chosen = found[np.linspace(0, len(found) - 1, min(SAMPLES, len(found))).astype(int)]
        return [self.described(name, int(np.argmax(labels == label))) for label in chosen]

    def described(self, split: str, index: int) -> dict[str, Any]:
        """`{photo, wnid, name}`: the photo's address and its class, which are empty where nobody told."""
        label = int(self._store.split(split).labels[index])
        each = self.classes[label] if label >= 0 else Class("", "")
        return {"photo": f"/api/photos/{split}/{index}", "wnid": each.wnid, "name": each.name}

    def jpeg(self, split: str, index: int) -> bytes | None:
        """The stored picture as a JPEG file; None where there is none of that number."""
        if split not in self._store.splits or not 0 <= index < len(self._store.split(split)):
            return None
        part = self._store.split(split)
        return bytes(part.buffer(index)) if part.manifest.encoding == "jpeg" else _encoded(part, index)


def _encoded(split: Split, index: int) -> bytes:
    header = split.manifest
    square = np.empty((header.side, header.side, header.channels), np.uint8)
    read_square(split, index, square)
    return to_jpeg(square)

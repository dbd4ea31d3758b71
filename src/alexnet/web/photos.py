"""The store's photos by split and index: samples to try, and the images that are similar to a photo."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import simplejpeg

from alexnet.data.classes import Class
from alexnet.data.decode import Pixels
from alexnet.data.image_reader import read_square
from alexnet.data.store import Store
from alexnet.web.responses import StoredPhoto

SAMPLES = 12
_JPEG_QUALITY = 92


class StorePhotos:
    """A store's photos for the page. Clients name a split and an index, never a file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def classes(self) -> Sequence[Class]:
        """In label order."""
        return self._store.classes

    def samples(self) -> list[StoredPhoto]:
        """At most `SAMPLES` validation photos: the first one of classes spread over the label order."""
        name = "val" if "val" in self._store.splits else self._store.splits[0]
        labels = self._store.split(name).labels
        found = np.unique(labels[labels >= 0])
        chosen = found[np.linspace(0, len(found) - 1, min(SAMPLES, len(found))).astype(int)]
        return [self.describe(name, int(np.argmax(labels == label))) for label in chosen]

    def describe(self, split: str, index: int) -> StoredPhoto:
        """The photo's address and its class; the class's texts are empty for an unlabeled photo."""
        label = int(self._store.split(split).labels[index])
        each = self.classes[label] if label >= 0 else Class("", "")
        return StoredPhoto(photo=f"/api/photos/{split}/{index}", wnid=each.wnid, name=each.name)

    def jpeg(self, split: str, index: int) -> bytes | None:
        """The stored image as a JPEG file; None if there is no such image."""
        if split not in self._store.splits or not 0 <= index < len(self._store.split(split)):
            return None
        part = self._store.split(split)
        header = part.manifest
        if header.encoding == "jpeg":
            return bytes(part.buffer(index))
        square = np.empty((header.side, header.side, header.channels), np.uint8)
        read_square(part, index, square)
        return to_jpeg(square)


def data_url(pixels: Pixels) -> str:
    """Pixels (H, W, C) as a JPEG in a data: URL."""
    return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(pixels)).decode("ascii")


def to_jpeg(pixels: Pixels) -> bytes:
    """A JPEG file of pixels (H, W, 3) or, gray, (H, W, 1)."""
    space = "RGB" if pixels.shape[2] == 3 else "GRAY"
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_JPEG_QUALITY, colorspace=space)

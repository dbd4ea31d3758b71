"""Which stored images are like a photo, as a net sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alexnet.data.pixels import read_square
from alexnet.data.store import Split
from alexnet.errors import CommandError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.photos import Photo
from alexnet.features.neighbours import Index


@dataclass(frozen=True)
class Neighbour:
    """A stored image that is near a photo."""

    number: int
    """Its place in the split."""
    key: str
    wnid: str
    name: str
    """WNID and name of its class; empty where that is not known."""
    distance: float
    """Euclidean, between the answers of the layer."""


class SimilarImages:
    """Photos in, the nearest images of a split out.

    Source: section 6 ("If two images produce feature activation vectors with a small Euclidean separation, we
    can say that the higher levels of the neural network consider them to be similar").
    """

    def __init__(self, classifier: Classifier, split: Split, layer: str, index: Index) -> None:
        """`index` holds the answers of `layer` to the images of `split`, in its order."""
        self.layer, self._classifier, self._split, self._index = layer, classifier, split, index

    def of(self, photos: Photo | Sequence[Photo], top: int = 6) -> list[list[Neighbour]]:
        """For each photo its `top` nearest images, the nearest first. Errors as of `Classifier.features`."""
        if top < 1:
            raise CommandError(f"top must be at least 1, got {top}")
        vectors = self._classifier.features(photos, self.layer)
        if not len(vectors):
            return []
        found = self._index.search(vectors, top)
        return [
            [self._neighbour(number, distance) for number, distance in zip(*row, strict=True)]
            for row in zip(found.indices.tolist(), found.distances.tolist(), strict=True)
        ]

    def pixels(self, number: int) -> npt.NDArray[np.uint8]:
        """(side, side, C) of the stored image with that place in the split."""
        header = self._split.header
        square = np.empty((header.side, header.side, header.channels), np.uint8)
        read_square(self._split, number, square)
        return square

    def _neighbour(self, number: int, distance: float) -> Neighbour:
        label = int(self._split.labels[number])
        known = self._split.header.classes[label] if label >= 0 else None
        wnid, name = (known.wnid, known.name) if known else ("", "")
        return Neighbour(number, self._split.key(number), wnid, name, distance)

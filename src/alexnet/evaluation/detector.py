"""A trained detector that takes a photo and says which objects are in it, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from alexnet.errors import CommandError
from alexnet.evaluation.detect import LEAST_PROBABILITY, detect, detector_of
from alexnet.evaluation.detected import VIEWS
from alexnet.evaluation.localizer import Place
from alexnet.evaluation.photos import Photo, pixels_of, seen
from alexnet.evaluation.views import Look, looks_for
from alexnet.models import exported
from alexnet.models.model_file import Loaded
from alexnet.runs.weights import find_weights


class Detector:
    """A net that detects and the scales at which it sees photos; photos are as `Classifier` takes them."""

    def __init__(self, net: Loaded, looks: Sequence[Look]) -> None:
        self._net, self._looks = net, tuple(looks)

    def detect(self, photo: Photo, least: float = LEAST_PROBABILITY) -> list[Place]:
        """All objects of a photo, the surest first; windows that are less sure than `least` say nothing.

        UnreadableImage for a file without a photo.
        """
        pixels = pixels_of(photo)
        images = [torch.from_numpy(each)[None] for each in seen(pixels, self._net.preprocessing, self._looks)]
        (found,) = detect(self._net, images, least)
        height, width = pixels.shape[:2]
        boxes = (found.corners * [width, height, width, height]).tolist()
        classes = [self._net.classes[label] for label in found.labels]
        return [
            Place(each.wnid, each.name, float(score), tuple(box))
            for each, score, box in zip(classes, found.scores, boxes, strict=True)
        ]


def load(path: str | Path, device: str | torch.device = "cpu", scales: Sequence[int] = ()) -> Detector:
    """The detector of a run folder (its last checkpoint) or of an exported file; the rest as `detector`."""
    return detector(exported.load(find_weights(Path(path)), device), scales)


def detector(net: Loaded, scales: Sequence[int] = ()) -> Detector:
    """What a net finds in photos.

    `scales` are the shorter sides that photos are resized to, by default the net's own. CommandError where
    there is none, or the net does not detect.
    """
    detector_of(net)
    if net.preprocessing.resized["resize"] != "crop":
        raise CommandError("this net saw warped or padded photos: boxes of others would be askew")
    return Detector(net, looks_for(net, VIEWS, scales))

"""A trained localiser that takes a photo and says what is in it, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet.data import box_geometry
from alexnet.data.classes import NO_LABEL
from alexnet.errors import CommandError
from alexnet.evaluation.localize import localizer_of, locate, refuse_other_views
from alexnet.evaluation.metrics import TOP
from alexnet.evaluation.photos import Photo, pixels_of, seen
from alexnet.evaluation.views import Look, looks_for
from alexnet.models import exported
from alexnet.models.model_file import Loaded
from alexnet.runs.weights import find_weights


@dataclass(frozen=True)
class Place:
    """One answer: a class, and where an object of it is."""

    wnid: str
    name: str
    score: float
    """Sum of the class's probabilities in the windows whose boxes were merged."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the photo, within it."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Localizer:
    """A net with boxes and how it is shown photos; photos are as `Classifier` takes them."""

    def __init__(self, net: Loaded, looks: Sequence[Look]) -> None:
        self._net, self._looks = net, tuple(looks)

    def localize(self, photo: Photo, top: int = TOP) -> list[Place]:
        """The surest classes of a photo, at most `top`, the surest first.

        UnreadableImage for a file without a photo.
        """
        pixels = pixels_of(photo)
        images = [
            torch.from_numpy(image)[None] for image in seen(pixels, self._net.preprocessing, self._looks)
        ]
        labels, corners, scores = (each[0] for each in locate(self._net, self._looks, images, top))
        height, width = pixels.shape[:2]
        window = self._window(height, width)
        boxes = box_geometry.clip(box_geometry.from_window(corners, window)) * (2 * [width, height])
        return [
            Place(self._net.classes[label].wnid, self._net.classes[label].name, float(score), tuple(box))
            for label, box, score in zip(labels.tolist(), boxes.tolist(), scores, strict=True)
            if label != NO_LABEL
        ]

    def _window(self, height: int, width: int) -> box_geometry.Corners:
        """What the looks see of a photo, in shares of it: all, or its central square."""
        if self._looks[0].view.part == "whole":
            return np.array(box_geometry.WHOLE)
        shorter = min(height, width)
        return box_geometry.central_window(height, width, shorter)


def load(
    path: str | Path, device: str | torch.device = "cpu", views: str = "dense", scales: Sequence[int] = ()
) -> Localizer:
    """The localiser of a run folder (its last checkpoint) or of an exported file; the rest as `localizer`."""
    return localizer(exported.load(find_weights(Path(path)), device), views, scales)


def localizer(net: Loaded, views: str = "dense", scales: Sequence[int] = ()) -> Localizer:
    """What a net says of photos.

    `views` are `dense` or `centre`, `scales` the shorter sides that photos are resized to, by default the
    net's own. CommandError where there is none, or the net says no boxes.
    """
    localizer_of(net)
    refuse_other_views(views)
    if net.preprocessing.resized["resize"] != "crop":
        raise CommandError("this net saw warped or padded photos: boxes of others would be askew")
    return Localizer(net, looks_for(net, views, scales))

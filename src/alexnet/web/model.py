"""One net that answers: asked together by all who ask at the same time."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch

from alexnet.data.crops import Positions, default_views
from alexnet.data.decode import Pixels
from alexnet.evaluation.inference import score_crops
from alexnet.evaluation.predictor import Predictor, to_stored_square
from alexnet.evaluation.views import OF_A_SQUARE, positions_of
from alexnet.web.batcher import Batcher

PHOTOS_AT_ONCE = 16
"""Most photos in one pass of the net: more is hardly faster, and everybody in it waits for all of it."""
_CROP_LABELS = 3
_JPEG_QUALITY = 92


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo as it came, upright, and as the net's stored square."""

    pixels: Pixels
    """(H, W, 3) uint8 RGB."""
    square: Pixels
    """(side, side, C) uint8."""


Answers: TypeAlias = Callable[[Seen], dict[str, Any]]
"""One more thing to say of a photo, ready for JSON: what the net looked at, photos like it, boxes."""


class Model:
    """A net by its name, what is to be known about it, and what it can be asked."""

    def __init__(
        self,
        name: str,
        classifier: Predictor,
        about: Mapping[str, Any] | None = None,
        more: Mapping[str, Answers] | None = None,
    ) -> None:
        """`more` are its further answers by the name of their address, such as `saliency`."""
        self.name, self.classifier = name, classifier
        self.default_views = default_views(classifier.preprocessing.data.mirror)
        self.more = dict(more or {})
        self._about = dict(about or {})
        self._batchers: dict[str, Batcher[Pixels, npt.NDArray[np.float32]]] = {}

    def about(self) -> dict[str, Any]:
        """Its entry of `/api/models`."""
        preprocessing = self.classifier.preprocessing
        return {
            "name": self.name,
            "recipe": self.classifier.config.recipe,
            "classes": len(self.classifier.classes),
            "side": preprocessing.side,
            "crop": preprocessing.crop,
            "views": self.default_views,
            "answers": ["classify", *self.more],
            "trained": "",
            "tested": "",
            **self._about,
        }

    def start(self, net: Executor) -> None:
        """To be called in the event loop that asks it; the net works in `net`, one batch after the other."""
        for views in OF_A_SQUARE:
            positions = positions_of(views, self.classifier.preprocessing)
            work = partial(self._score, positions)
            self._batchers[views] = Batcher(work, PHOTOS_AT_ONCE, net)

    @property
    def waiting(self) -> int:
        """Photos that wait for the net."""
        return sum(map(len, self._batchers.values()))

    def seen(self, pixels: Pixels) -> Seen:
        """The photo, resized as the net's training photos were."""
        return Seen(pixels, to_stored_square(pixels, self.classifier.preprocessing))

    async def classify(self, square: Pixels, views: str, top: int, crops: bool) -> dict[str, Any]:
        """`views` and `classes`, the most probable first; with `crops` also what each of the views says."""
        by_view = await self._batchers[views].ask(square)
        answer = {"views": views, "classes": self.best(by_view.mean(axis=0), top)}
        if crops:
            answer |= {"square": self._square(square), "crops": self._crops(by_view, views)}
        return answer

    def best(self, row: npt.NDArray[np.float32], top: int) -> list[dict[str, Any]]:
        """`[{wnid, name, probability}]` of the most probable classes, equals in label order."""
        classes = self.classifier.classes
        return [
            {"wnid": classes[i].wnid, "name": classes[i].name, "probability": float(row[i])}
            for i in np.argsort(-row, kind="stable")[:top]
        ]

    def _score(self, positions: Positions, squares: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        classifier = self.classifier
        images = torch.from_numpy(np.stack(squares))
        return score_crops(classifier.model, classifier.preprocessing, images, positions)

    def _crops(self, by_view: npt.NDArray[np.float32], views: str) -> list[dict[str, Any]]:
        positions = positions_of(views, self.classifier.preprocessing).tolist()
        return [
            {"x": x, "y": y, "mirrored": bool(mirrored), "classes": self.best(row, _CROP_LABELS)}
            for (y, x, mirrored), row in zip(positions, by_view, strict=True)
        ]

    def _square(self, square: Pixels) -> dict[str, Any]:
        preprocessing = self.classifier.preprocessing
        return {"side": preprocessing.side, "crop": preprocessing.crop, "image": data_url(square)}


def data_url(pixels: Pixels) -> str:
    """Pixels (H, W, C) as a JPEG inside an address, which a page can show without asking for it."""
    return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(pixels)).decode("ascii")


def to_jpeg(pixels: Pixels) -> bytes:
    """A JPEG file of pixels (H, W, 3) or, gray, (H, W, 1)."""
    space = "RGB" if pixels.shape[2] == 3 else "GRAY"
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_JPEG_QUALITY, colorspace=space)

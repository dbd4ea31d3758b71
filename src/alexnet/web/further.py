"""What can be said of a photo besides its class: where the net looked, where things are, images like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from alexnet.analysis.neighbors import SimilarImages
from alexnet.analysis.saliency import grad_cam
from alexnet.data.crops import center, default_views
from alexnet.errors import CommandError
from alexnet.evaluation.predictor import Predictor
from alexnet.tasks.base import BoxPrediction
from alexnet.web.model import Answers, Seen
from alexnet.web.photos import StorePhotos

GRID = 32
"""Places of a saliency map a side that are sent, at most: the maps are coarser before they are smoothed."""
NEIGHBORS = 6
"""As in the paper's figure 4."""


def saliency(classifier: Predictor) -> Answers:
    """Grad-CAM, in the central view, of the class that the usual views answer.

    `{wnid, name, x, y, crop, side, values}`.
    """
    preprocessing = classifier.preprocessing
    views = default_views(preprocessing.data.mirror)
    top, left, _ = center(preprocessing.side, preprocessing.crop)[0].tolist()

    def answers(seen: Seen) -> dict[str, Any]:
        label = int(np.argmax(classifier.probabilities(seen.square, views=views)[0]))
        values = torch.from_numpy(grad_cam(classifier, seen.square[None], [label]))
        coarse = adaptive_avg_pool2d(values, min(GRID, preprocessing.crop))[0]
        return {
            "wnid": classifier.classes[label].wnid,
            "name": classifier.classes[label].name,
            "x": left,
            "y": top,
            "crop": preprocessing.crop,
            "side": preprocessing.side,
            "values": [[round(value, 3) for value in row] for row in coarse.tolist()],
        }

    return answers


def places(classifier: Predictor) -> Answers:
    """The surest class with its box, of a detector all objects: `{boxes: [{wnid, name, score, x0, ...}]}`.

    Edges are in shares of the photo. CommandError for a model that predicts no boxes.
    """
    if not classifier.predicts_boxes:
        raise CommandError(f"{classifier.config.recipe} is a classifier; it predicts no boxes")
    classifier.predict([])  # refuses a model whose boxes do not fit photos
    top = None if classifier.task.info.detects_all else 1

    def answers(seen: Seen) -> dict[str, Any]:
        height, width = seen.pixels.shape[:2]
        sides = {"x0": width, "y0": height, "x1": width, "y1": height}
        return {
            "boxes": [
                {"wnid": each.wnid, "name": each.name, "score": each.score}
                | {name: edge / sides[name] for name, edge in zip(sides, each.box, strict=True)}
                for each in classifier.predict(seen.pixels, top=top)[0]
                if isinstance(each, BoxPrediction)
            ]
        }

    return answers


def similar(images: SimilarImages, photos: StorePhotos, split: str, layer: str) -> Answers:
    """The nearest images of a split: `{split, layer, neighbors: [{photo, wnid, name, distance}]}`."""

    def answers(seen: Seen) -> dict[str, Any]:
        (found,) = images.of(seen.square, NEIGHBORS)
        near = [{**photos.described(split, each.number), "distance": each.distance} for each in found]
        return {"split": split, "layer": layer, "neighbors": near}

    return answers

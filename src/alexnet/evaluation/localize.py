"""Classes and boxes of photos: windows at all places and scales are asked, what they say is merged.

Source: Sermanet et al. 2013 (arXiv:1312.6229), sections 4.1 and 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from alexnet.data import box_geometry
from alexnet.data.box_geometry import Corners, crop_windows
from alexnet.data.classes import NO_LABEL
from alexnet.data.views import centre
from alexnet.errors import CommandError
from alexnet.evaluation.box_merging import merge
from alexnet.evaluation.metrics import TOP
from alexnet.evaluation.score import testing
from alexnet.evaluation.views import Look
from alexnet.models.model_file import Loaded
from alexnet.models.overfeat_localizer import OverFeatLocalizer

VIEWS = ("centre", "dense")
"""Those that a box can be said of: one window in the middle, or windows at all places."""
MOST_MERGED = 4_096
"""Boxes of a class, the surest ones: memory takes their square. The paper has 1,575 at six scales."""


@dataclass(frozen=True)
class Window:
    """What one window of a photo says."""

    probabilities: npt.NDArray[np.float32]
    """(P, K) of P windows."""
    boxes: Corners
    """(P, K, 4) in shares of what was looked at."""


def localizer_of(net: Loaded) -> OverFeatLocalizer:
    """The net, where it says boxes; else CommandError."""
    if not isinstance(net.model, OverFeatLocalizer):
        raise CommandError(
            f"{net.config.recipe} names what is in photos and says no boxes: "
            "give a run of overfeat-fast-localization"
        )
    return net.model


def refuse_other_views(views: str) -> None:
    """CommandError for views that no box can be said of."""
    if views not in VIEWS:
        raise CommandError(f"no boxes with --views {views}; there are {', '.join(VIEWS)}")


def locate(
    net: Loaded, looks: Sequence[Look], seen: Sequence[Tensor], top: int = TOP
) -> tuple[npt.NDArray[np.int64], Corners, npt.NDArray[np.float64]]:
    """(N, top) classes, (N, top, 4) their boxes and (N, top) scores, the surest first.

    Where there are fewer the class is `NO_LABEL` (-1). `seen` are uint8 (N, H, W, C) for each of the looks;
    boxes are in shares of what they see.
    """
    model = localizer_of(net)
    with testing(model) as device:
        said = [_windows(net, look, images.to(device)) for look, images in zip(looks, seen, strict=True)]
    answers = [best_boxes([scale[image] for scale in said], top) for image in range(len(seen[0]))]
    labels, corners, scores = (np.stack(each) for each in zip(*answers, strict=True))
    return labels, corners, scores


def best_boxes(
    scales: Sequence[Window], top: int = TOP
) -> tuple[npt.NDArray[np.int64], Corners, npt.NDArray[np.float64]]:
    """(top,) classes, (top, 4) boxes and (top,) scores of one photo, from what its windows say at each scale.

    A class that is among the first `top` at a scale, by its largest probability there, has a box of each of
    the scale's windows. Those of a class are merged, and the surest of the merged ones is its box.
    Source: section 4.3, (a) to (g).
    """
    chosen: dict[int, list[tuple[Corners, npt.NDArray[np.float32]]]] = {}
    for scale in scales:
        for label in np.argsort(-scale.probabilities.max(axis=0), kind="stable")[:top].tolist():
            chosen.setdefault(label, []).append((scale.boxes[:, label], scale.probabilities[:, label]))
    found: list[tuple[float, int, Corners]] = []
    for label, parts in chosen.items():
        corners, sure = (np.concatenate(each) for each in zip(*parts, strict=True))
        kept = np.sort(np.argsort(-sure, kind="stable")[:MOST_MERGED])
        boxes, sums = merge(corners[kept], sure[kept])
        found.append((float(sums[0]), label, boxes[0]))
    found.sort(key=lambda each: (-each[0], each[1]))
    missing = top - len(found)
    scores = [score for score, _, _ in found[:top]] + [0.0] * missing
    labels = [label for _, label, _ in found[:top]] + [NO_LABEL] * missing
    places = [box for _, _, box in found[:top]] + [np.zeros(4)] * missing
    return np.array(labels, np.int64), np.stack(places), np.array(scores)


def _windows(net: Loaded, look: Look, images: Tensor) -> list[Window]:
    """What the windows of one look say of each of the uint8 images (N, H, W, C)."""
    model, height = localizer_of(net), images.shape[1]
    if look.view.part == "whole":
        inputs, part = net.preprocessing.whole_input(images), np.array(box_geometry.WHOLE)
    else:
        position, crop = centre(height, net.preprocessing.crop), net.preprocessing.crop
        inputs, part = net.preprocessing.test_input(images, position), crop_windows(position, height, crop)
    logits, boxes = model.class_and_box_maps(inputs)
    windows = box_geometry.from_window(model.windows(*inputs.shape[2:]), part)
    return windows_of(logits, boxes, windows)


def windows_of(logits: Tensor, boxes: Tensor, windows: Corners) -> list[Window]:
    """What windows (P, 4) say of N photos, of logits (N, K, h, w) and boxes (N, K, 4, h, w) within them."""
    probabilities = logits.float().softmax(dim=1).flatten(2).permute(0, 2, 1).cpu().numpy()
    shares = boxes.float().flatten(3).permute(0, 3, 1, 2).cpu().numpy()
    placed = box_geometry.ordered(box_geometry.from_window(shares, windows[:, None]))
    return [Window(*each) for each in zip(probabilities, placed, strict=True)]

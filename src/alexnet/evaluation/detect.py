"""All objects of photos: windows at all places and scales are asked, and what they say is merged.

Source: Sermanet et al. 2013 (arXiv:1312.6229), sections 4.3 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.data import box_geometry
from alexnet.data.box_geometry import Corners
from alexnet.errors import CommandError
from alexnet.evaluation.box_merging import merge
from alexnet.evaluation.localize import Window, windows_of
from alexnet.evaluation.score import testing
from alexnet.models.model_file import Loaded
from alexnet.models.overfeat_detector import OverFeatDetector

LEAST_PROBABILITY = 0.1
"""Of a class at a window whose box is used."""
MOST_BOXES = 200
"""Of a class that are merged, the most probable ones: merging takes time with the square of their number."""


@dataclass(frozen=True, eq=False)
class Objects:
    """What was found in one photo: n objects, the surest first."""

    labels: npt.NDArray[np.int64]
    """(n,)"""
    corners: Corners
    """(n, 4) in shares of the photo, within it."""
    scores: npt.NDArray[np.float64]
    """(n,) the sum of the probabilities of the windows whose boxes were merged."""


def detector_of(net: Loaded) -> OverFeatDetector:
    """The net, where it knows of background; else CommandError."""
    if not isinstance(net.model, OverFeatDetector):
        raise CommandError(
            f"{net.config.recipe} has no class for background, so it cannot tell how many objects there are: "
            "give a run of overfeat-fast-detection"
        )
    return net.model


def detect(net: Loaded, seen: Sequence[Tensor], least: float = LEAST_PROBABILITY) -> list[Objects]:
    """The objects of each of N whole photos; `seen` are uint8 (N, H, W, C) at each scale.

    Windows that are less sure than `least` say nothing. CommandError for a net that does not detect.
    """
    model = detector_of(net)
    said: list[list[Window]] = []
    with testing(model) as device:
        for images in seen:
            inputs = net.preprocessing.whole_input(images.to(device))
            logits, boxes = model.object_and_box_maps(inputs)
            # Background has no box; whatever stands in its place is not looked at.
            boxes = torch.cat([boxes, boxes[:, :1]], dim=1)
            said.append(windows_of(logits, boxes, model.windows(*inputs.shape[2:])))
    return [objects_of([scale[photo] for scale in said], least) for photo in range(len(seen[0]))]


def objects_of(scales: Sequence[Window], least: float = LEAST_PROBABILITY) -> Objects:
    """The objects of one photo, from what its windows say at each scale; the last class is background."""
    probabilities = np.concatenate([scale.probabilities for scale in scales])
    boxes = np.concatenate([scale.boxes for scale in scales])
    found: list[tuple[float, int, Corners]] = []
    for label in range(probabilities.shape[1] - 1):
        of_class = probabilities[:, label]
        sure = np.argsort(-of_class, kind="stable")[:MOST_BOXES]
        sure = sure[of_class[sure] >= least]
        merged, sums = merge(boxes[sure, label], of_class[sure])
        found += [(float(total), label, box) for box, total in zip(merged, sums, strict=True)]
    found.sort(key=lambda each: (-each[0], each[1]))
    return Objects(
        labels=np.array([label for _, label, _ in found], np.int64),
        corners=box_geometry.clip(np.array([box for *_, box in found], np.float64).reshape(-1, 4)),
        scores=np.array([total for total, *_ in found], np.float64),
    )

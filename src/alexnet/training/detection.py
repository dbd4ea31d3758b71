"""Learning what is there and what is not, at all places of an image at once.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 5: "we perform negative training on the fly, by
selecting a few interesting negative examples per image such as random ones or most offending ones".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from alexnet.data import box_geometry
from alexnet.data.classes import NO_LABEL
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.window_targets import NOT_ASKED, window_targets
from alexnet.models.overfeat_detector import OverFeatDetector
from alexnet.training.losses import Loss


class ObjectsInWindows(nn.Module):
    """A detector as the module that learns: images (N, C, crop, crop) -> (N, 5 K + 1, h, w)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Of each window K + 1 logits, the last of background, and then the boxes of K classes."""
        logits, boxes = cast(OverFeatDetector, self.model).object_and_box_maps(images)
        return torch.cat([logits, boxes.flatten(1, 2)], dim=1)


@dataclass(frozen=True)
class Detection:
    """Each window should name the object that it shows, and where it is, or say that there is none.

    Targets are (N, 6, h, w): the label of each window, `NOT_ASKED` where it shows a part of an object; a
    random number in [0, 1), by which some of the windows are chosen (see `losses.objects`); and x0, y0, x1,
    y1 of the object's box, in shares of the window.
    """

    loss: Loss
    preprocessing: Preprocessing
    detector: OverFeatDetector
    """For its windows; it may be on meta."""
    reads_boxes: bool = True

    def trained(self, model: nn.Module) -> nn.Module:
        """The net's answers to all windows."""
        return ObjectsInWindows(model)

    def targets(self, inputs: Tensor, batch: Batch, randomness: ImageRandomness) -> tuple[Tensor, Tensor]:
        """The images as they are, and the targets."""
        assert batch.boxes is not None
        seen, mirrored = self.preprocessing.train_windows(batch.images.shape[1], randomness)
        rows, columns = self.detector.places(*inputs.shape[2:])
        windows = self.detector.windows(*inputs.shape[2:])
        draws = randomness.uniform("windows", rows * columns)
        targets: list[NDArray[np.float32]] = []
        for corners, names, view, flipped, drawn in zip(
            batch.boxes.corners.numpy(), batch.boxes.labels.numpy(), seen, mirrored, draws, strict=True
        ):
            there = names != NO_LABEL
            boxes = box_geometry.to_window(corners[there], view, flipped)
            labels, places = window_targets(boxes, names[there], windows, self.detector.num_classes)
            targets.append(np.concatenate([labels[None], drawn[None], places.T], dtype=np.float32))
        stacked = torch.from_numpy(np.stack(targets))
        return inputs, stacked.unflatten(2, (rows, columns)).to(inputs.device, non_blocking=True)

    def wrong(self, answers: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Images of which the window that is surest of an object, of those that are asked, is wrong."""
        asked = targets[:, 0].flatten(1) != NOT_ASKED
        probabilities = answers[:, : self.detector.num_classes + 1].softmax(dim=1).flatten(2)
        surest = probabilities[:, :-1].amax(dim=1).masked_fill(~asked, -1.0).argmax(dim=1)
        each = torch.arange(len(answers), device=answers.device)
        said = probabilities.argmax(dim=1)[each, surest]
        return ((said != targets[:, 0].flatten(1)[each, surest]) & asked.any(dim=1)).sum()

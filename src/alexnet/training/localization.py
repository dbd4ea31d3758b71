"""Learning where: a box for each window that shows half of its image's object, or more.

Source: Sermanet et al. 2013 (arXiv:1312.6229), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.data import box_geometry
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.models.overfeat_localizer import OverFeatLocalizer
from alexnet.published import ILSVRC_BOX_OVERLAP
from alexnet.training.losses import Loss

SMALLEST_SHARE_SEEN = 0.5
"""Of an object's box; windows that show less of it are left out (section 4.2)."""


class BoxesAtCrop(nn.Module):
    """A localiser as the module that learns: images (N, C, crop, crop) -> boxes (N, K, 4)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Boxes in shares of each image."""
        return cast(OverFeatLocalizer, self.model).forward_boxes(images)


@dataclass(frozen=True)
class Localization:
    """The box of each image's class should be where the object is in the window that the net sees.

    Targets are (N, 6): the label; 1, or 0 where the window is left out; x0, y0, x1, y1 of the image's largest
    box of its class, in shares of the window.
    """

    loss: Loss
    preprocessing: Preprocessing
    reads_boxes: bool = True

    def trained(self, model: nn.Module) -> nn.Module:
        """The net's boxes."""
        return BoxesAtCrop(model)

    def targets(self, inputs: Tensor, batch: Batch, randomness: ImageRandomness) -> tuple[Tensor, Tensor]:
        """The images as they are, and the targets."""
        assert batch.boxes is not None
        corners, there = batch.boxes.largest(batch.labels)
        windows, mirrored = self.preprocessing.train_windows(batch.images.shape[1], randomness)
        used = there.numpy() & (box_geometry.covered(corners.numpy(), windows) >= SMALLEST_SHARE_SEEN)
        wanted = box_geometry.to_window(corners.numpy(), windows, mirrored)
        columns = [batch.labels.cpu().numpy()[:, None], used[:, None], wanted]
        targets = torch.from_numpy(np.concatenate(columns, axis=1, dtype=np.float32))
        return inputs, targets.to(inputs.device, non_blocking=True)

    def wrong(self, answers: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Boxes that overlap their object's by less than half; windows that are left out are not wrong."""
        chosen = answers[torch.arange(len(answers), device=answers.device), labels]
        overlaps = _iou(chosen, targets[:, 2:])
        return ((overlaps < ILSVRC_BOX_OVERLAP) & (targets[:, 1] > 0)).sum()


def _iou(some: Tensor, others: Tensor) -> Tensor:
    """(N,) intersection over union of boxes (N, 4), pair by pair, on any device."""
    first, last = torch.maximum(some[:, :2], others[:, :2]), torch.minimum(some[:, 2:], others[:, 2:])
    common = (last - first).clamp(min=0).prod(dim=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1) for boxes in (some, others)]
    return common / (areas[0] + areas[1] - common).clamp(min=torch.finfo(some.dtype).tiny)

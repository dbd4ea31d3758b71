"""What the net should answer: smoothed labels, and images mixed with their labels.

Targets are (N, K) shares that sum to 1. Mixing is a function of (seed, epoch, place of the batch), like all
randomness. A process mixes within its own share of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.data.loader import Batch
from alexnet.data.randomness import ImageRandomness
from alexnet.tasks.losses import Loss
from alexnet.training.config import TrainingConfig


def soft_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """(N, K) float32: 1 - smoothing on the label, the rest spread over all K classes.

    Source: Szegedy et al. 2015, "Rethinking the Inception Architecture", section 7.
    """
    shares = functional.one_hot(labels, num_classes).float()
    return shares.mul_(1.0 - smoothing).add_(smoothing / num_classes)


def mixed(
    images: Tensor, targets: Tensor, config: TrainingConfig, epoch: int, position: int
) -> tuple[Tensor, Tensor]:
    """The batch as `config` wants it: as it is, by mixup, by CutMix, or by one of them drawn for the batch.

    `position` is the place in the epoch of the batch's first image.
    """
    if not config.mixup and not config.cutmix:
        return images, targets
    randomness = ImageRandomness(config.seed, epoch, [position])
    partners = torch.from_numpy(randomness.uniform("mix-partners", len(images))[0].argsort())
    coin, share, row, column = randomness.uniform("mix", 4)[0].tolist()
    if config.mixup and (not config.cutmix or coin < 0.5):
        return mixup(images, targets, partners, _beta(config.mixup, share))
    return cutmix(images, targets, partners, _beta(config.cutmix, share), (row, column))


def mixup(images: Tensor, targets: Tensor, partners: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """`share` of each image and its targets, the rest of its partner's. Source: Zhang et al. 2017, mixup."""
    partners = partners.to(images.device)
    return images.lerp(images[partners], 1.0 - share), targets.lerp(targets[partners], 1.0 - share)


def cutmix(
    images: Tensor, targets: Tensor, partners: Tensor, share: float, center: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Each image with a rectangle of its partner's; targets in proportion to the pixels that are left.

    The rectangle has the image's aspect, 1 - `share` of its area before it is clipped, and its middle at
    `center` (row, column as shares of the side). Source: Yun et al. 2019, CutMix, section 3.1.
    """
    partners = partners.to(images.device)
    height, width = images.shape[-2:]
    top, bottom = _span(center[0], height, share)
    left, right = _span(center[1], width, share)
    pasted = images.clone()
    pasted[..., top:bottom, left:right] = images[partners][..., top:bottom, left:right]
    replaced = (bottom - top) * (right - left) / (height * width)
    return pasted, targets.lerp(targets[partners], replaced)


def _span(middle: float, length: int, share: float) -> tuple[int, int]:
    """First pixel and the one after the last, of a side of the rectangle."""
    half = int(length * math.sqrt(1.0 - share)) // 2
    at = int(middle * length)
    return max(at - half, 0), min(at + half, length)


def _beta(parameter: float, uniform: float) -> float:
    """The quantile `uniform` of the distribution Beta(parameter, parameter)."""
    from scipy.special import betaincinv

    return float(betaincinv(parameter, parameter, uniform))


@dataclass(frozen=True)
class Classification:
    """The net's logits should name each image's class."""

    loss: Loss
    config: TrainingConfig
    classes: int
    reads_boxes: bool = False

    def trained(self, model: nn.Module) -> nn.Module:
        """The net itself."""
        return model

    def targets(self, inputs: Tensor, batch: Batch, randomness: ImageRandomness) -> tuple[Tensor, Tensor]:
        """Images and targets (N, K), smoothed and mixed as the configuration says."""
        labels = batch.labels.to(inputs.device, non_blocking=True)
        wanted = soft_targets(labels, self.classes, self.config.label_smoothing)
        return mixed(inputs, wanted, self.config, randomness.epoch, int(batch.positions[0]))

    def wrong(self, answers: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """Images taken for another class; a mixed image counts by its own label."""
        return (answers.argmax(1) != labels).sum()

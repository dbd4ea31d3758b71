"""What training makes small. Functions of logits (N, K) and targets (N, K), shares that sum to 1 in each row.

All but those of boxes and objects are linear in the targets, so that smoothed and mixed ones have a meaning
with each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from alexnet.data.boxes import IGNORED
from alexnet.models.lenet import class_codes

REJECTION_DISTANCE = 1.0
"""Equation 9's j: the distance of a class of rubbish that every image is compared with. The paper says only
that it is positive."""

OBJECTS, OFFENDING = 4, 4
"""Windows of an image that a detector learns from: with an object, as many without, and the worst such."""


@dataclass(frozen=True)
class Loss:
    """A loss, and what it is for a net that knows nothing."""

    of: Callable[[Tensor, Tensor], Tensor]
    """(), the sum of the images' losses, of logits and targets."""
    at_chance: Callable[[int], float]
    """The mean for the best answer that is the same for all images, or less, by the number of classes, all of
    which are as frequent; infinite where that is not known beforehand."""

    def mean(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(), over the images."""
        return self.of(logits, targets) / len(logits)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Of the softmax of the logits."""
    return functional.cross_entropy(logits, targets, reduction="sum")


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over an image's output units, which should be 1 for its class and -1 for the others.

    Source: LeCun et al. 1989, section 4.
    """
    return (outputs - (2.0 * targets - 1.0)).square().mean(dim=1).sum()


def rbf(logits: Tensor, targets: Tensor) -> Tensor:
    """LeCun et al. 1998, equation 9: y_D + log(exp(-j) + sum of exp(-y_i)); y_i = -logits are distances.

    That is the cross-entropy with one more class, of rubbish, which is never the right one and always at
    distance j: classes that are farther than that are not pushed away further.
    """
    rubbish = logits.new_full((len(logits), 1), -REJECTION_DISTANCE)
    return cross_entropy(torch.cat([logits, rubbish], dim=1), functional.pad(targets, (0, 1)))


def boxes(answers: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of the four edges; `answers` (N, K, 4), of which each image's class counts.

    `targets` are (N, 6), as `training.localization` makes them; images that it leaves out count nothing.
    Source: Sermanet et al. 2013, section 4.2 (l2 loss).
    """
    labels, weights, wanted = targets[:, 0].long(), targets[:, 1], targets[:, 2:]
    chosen = answers[torch.arange(len(answers), device=answers.device), labels]
    return ((chosen - wanted).square().sum(dim=1) * weights).sum()


def objects(answers: Tensor, targets: Tensor) -> Tensor:
    """What a few windows of each image show, and where; `answers` are (N, 5 K + 1, h, w).

    `targets` (N, 6, h, w), as `training.detection` makes them, give each window its label (K is background),
    a random number and a box. Chosen are `OBJECTS` windows that show one, the first by their numbers, as many
    of background, and the `OFFENDING` of background that are worst. The loss of an image is the mean
    cross-entropy of these, and of those with an object the mean squared distance of the label's box.
    Source: Sermanet et al. 2013, section 5; how many, it does not say.
    """
    labels, draws = targets[:, :2].flatten(2).unbind(1)
    background = answers.shape[1] // 5
    empty = labels == background
    shown = ~empty & (labels != IGNORED)
    asked = labels.masked_fill(labels == IGNORED, background).long()
    losses = functional.cross_entropy(answers[:, : background + 1].flatten(2), asked, reduction="none")
    learned = _most(draws, shown, OBJECTS)
    chosen = learned | _most(draws, empty, OBJECTS) | _most(losses.detach(), empty, OFFENDING)
    corners = answers[:, background + 1 :].flatten(2).unflatten(1, (background, 4))
    own = asked.clamp(max=background - 1)[:, None, None].expand(-1, 1, 4, -1)
    apart = (corners.gather(1, own)[:, 0] - targets[:, 2:].flatten(2)).square().sum(dim=1)
    return (_mean_of(losses, chosen) + _mean_of(apart, learned)).sum()


def _mean_of(values: Tensor, among: Tensor) -> Tensor:
    """(N,) the mean of each row's values among those; 0 where there are none."""
    return (values * among).sum(dim=1) / among.sum(dim=1).clamp(min=1)


def _most(values: Tensor, among: Tensor, count: int) -> Tensor:
    """(N, P) the `count` largest values of each row among those; all, where there are fewer."""
    best = values.masked_fill(~among, -1.0).topk(min(count, values.shape[1]), dim=1).indices
    return torch.zeros_like(among).scatter(1, best, True) & among


def _rbf_at_chance(classes: int) -> float:
    """Where F6 answers the mean of all codes to every image, which is the best that is the same for all."""
    codes = class_codes(classes)
    distances = (codes - codes.mean(dim=0)).square().sum(dim=1)
    return float(rbf(-distances.expand(classes, -1), torch.eye(classes)) / classes)


LOSSES = {
    "cross-entropy": Loss(cross_entropy, math.log),
    "squared-error": Loss(squared_error, lambda classes: 4.0 * (1.0 - 1.0 / classes) / classes),
    "rbf": Loss(rbf, _rbf_at_chance),
    "boxes": Loss(boxes, lambda classes: math.inf),
    "objects": Loss(objects, lambda classes: math.inf),
}
"""By the name that `training.loss` has."""

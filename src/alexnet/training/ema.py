"""Exponential moving average of the weights, which is validated and saved instead of the trained weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class ExponentialMovingAverage:
    """`model` is a copy of a model that holds the average, or that model itself where `decay` is 0.

    torch.optim.swa_utils.AveragedModel does not fit, because its numbers would differ: its decay is constant,
    its first update is a copy, and it averages integer buffers (such as the batches that batch normalization
    has counted) where these are copied here.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False) if decay else model

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards `model` after update number `step` (from 0).

        The decay of the first updates is lower, so that the average soon forgets the initial weights.
        Statistics of normalization layers are averaged like weights; integer buffers are copied.
        """
        if not self.decay:
            return
        share = 1.0 - min(self.decay, (2.0 + step) / (11.0 + step))
        for average, value in zip(_tensors(self.model), _tensors(model), strict=True):
            if average.is_floating_point():
                average.lerp_(value, share)
            else:
                average.copy_(value)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    # Not those of state_dict, which are copies if the model is on two devices.
    return [*model.parameters(), *model.buffers()]

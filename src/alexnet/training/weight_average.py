"""A moving average of the weights, which is tested in their place."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """`model` is what to test: the average of a net's weights, or the net itself where `decay` is 0."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False) if decay else model

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards `model`, whose update number `step` (from 0) is done.

        In the first steps it moves faster, or the first weights would stay in it for long. Statistics of
        normalisers are averaged like weights; counters are copied.
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
    # Not those of state_dict, which are copies where the net is on two devices.
    return [*model.parameters(), *model.buffers()]

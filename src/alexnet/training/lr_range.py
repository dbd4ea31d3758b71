"""The learning-rate range test: a few updates at a rising rate, and the rate that their losses suggest.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3. The rate rises
exponentially instead of linearly, so that it covers several orders of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch

from alexnet.config import RunConfig
from alexnet.data.groups import photo_groups
from alexnet.data.store import Store, training_images
from alexnet.errors import Diverged
from alexnet.models import bundle
from alexnet.optim.param_groups import set_learning_rates
from alexnet.training.last_layer import fit_last_layer
from alexnet.training.plan import make_plan
from alexnet.training.run import initialized_config
from alexnet.training.step import update
from alexnet.training.train_state import build_train_state
from alexnet.training.trainer import training_loader
from alexnet.training.transfer import InitFrom, refuse_without_net, transfer

UPDATES, LOWEST, HIGHEST = 100, 1e-6, 10.0
SMOOTHING = 0.9
"""Weight of the past in the moving average of the loss."""
DIVERGED = 4.0
"""The test ends when the smoothed loss is that many times its lowest value."""
BELOW_LOWEST = 10.0
"""The suggested rate is that of the lowest loss divided by this: there, the loss is close to diverging."""


@dataclass(frozen=True)
class RangeTest:
    """Rates and losses of the updates that were made, one each."""

    rates: list[float]
    losses: list[float]
    """Mean loss of each update's images, before the update."""
    smoothed: list[float]
    """Their exponential moving average, corrected for its start."""
    diverged: bool
    """Whether the loss became too large, so that higher rates were not tried."""

    @property
    def suggestion(self) -> float:
        """A rate to train with."""
        lowest = min(range(len(self.smoothed)), key=self.smoothed.__getitem__)
        return self.rates[lowest] / BELOW_LOWEST


def range_test(
    config: RunConfig,
    store: Store,
    device: torch.device,
    init_from: InitFrom | None = None,
    updates: int = UPDATES,
    progress: Callable[[int], None] = lambda count: None,
) -> RangeTest:
    """Trains a model that is then forgotten, at rates from `LOWEST` to `HIGHEST`, until its loss diverges.

    `progress` is called with numbers of updates. Diverged if the first loss is not finite; other errors as
    `training.run.train`.
    """
    if init_from is not None:
        config = initialized_config(config, store, init_from)
    plan = make_plan(config, len(training_images(store, config.data)))
    state = build_train_state(config, store, device, plan.steps_per_epoch)
    if init_from is None:
        refuse_without_net(config)
    else:
        source = bundle.load(init_from.path, "cpu", needs_weights=True)
        transfer(state.model, state.classes, source, init_from.layers, state.preprocessing)
    if config.training.fit_last_layer:
        start = bundle.ModelBundle(state.model, config, state.classes, state.preprocessing)
        split = training_images(store, config.data)
        fit_last_layer(start, split, config.training.seed, groups=photo_groups(store, split))
    loader = training_loader(config, store, device, state.task.reads_boxes)
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    average, weight = 0.0, 0.0
    for step, (epoch, batch) in enumerate(islice(loader.forever(), updates)):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(updates - 1, 1))
        set_learning_rates(state.optimizer, rate, rate, {})
        outcome = update(state, batch, epoch, step, color_noise=True)
        loss = float(outcome.loss) / outcome.images
        if not math.isfinite(loss):
            if not rates:
                raise Diverged("the loss of the first update is not finite")
            return RangeTest(rates, losses, smoothed, diverged=True)
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        weight = SMOOTHING * weight + 1 - SMOOTHING
        rates.append(rate)
        losses.append(loss)
        smoothed.append(average / weight)
        progress(1)
        if smoothed[-1] > DIVERGED * min(smoothed):
            return RangeTest(rates, losses, smoothed, diverged=True)
    return RangeTest(rates, losses, smoothed, diverged=False)

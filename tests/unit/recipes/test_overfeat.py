"""The constants of OverFeat's training that its paper gives (section 3.2)."""

from __future__ import annotations

import pytest

from alexnet import recipes
from alexnet.config import ConfigError, override
from alexnet.optim.schedules import make_schedule


@pytest.mark.parametrize(("name", "crop"), [("overfeat-fast", 231), ("overfeat-accurate", 221)])
def test_trained_as_in_section_3_2(name: str, crop: int) -> None:
    config = recipes.get(name)
    assert (config.data.image_size, config.data.input_size, config.training.batch_size) == (256, crop, 128)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.6, 1e-5)
    assert (optimizer.lr, optimizer.bias_lr_multiplier) == (0.05, 1.0)
    assert config.model.dropout == 0.5


def test_the_rate_is_halved_after_five_named_epochs() -> None:
    config = recipes.get("overfeat-fast")
    schedule = make_schedule(config.schedule, config.optimizer.lr, steps_per_epoch=10)
    rates = [schedule.learning_rate(10 * epoch) for epoch in (0, 29, 30, 49, 50, 60, 70, 80, 89)]
    assert rates == [0.05 / 2**halvings for halvings in (0, 0, 1, 1, 2, 3, 4, 5, 5)]


@pytest.mark.parametrize(
    "setting", ["schedule.name=step", "schedule.milestones=[]", "schedule.milestones=[30,20]"]
)
def test_named_epochs_rise_and_go_with_their_schedule(setting: str) -> None:
    with pytest.raises(ConfigError, match="milestones"):
        override(recipes.get("overfeat-fast"), [setting])

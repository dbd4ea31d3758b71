from __future__ import annotations

import pytest

from alexnet.config import RunConfig, ScheduleConfig
from alexnet.errors import CommandError
from alexnet.training.config import TrainingConfig
from alexnet.training.plan import make_plan


def config(**training: int) -> RunConfig:
    return RunConfig("test", schedule=ScheduleConfig(epochs=5), training=TrainingConfig(**training))  # type: ignore[arg-type]


def test_imagenet_has_10_009_updates_an_epoch() -> None:
    assert make_plan(config(), 1_281_167).steps_per_epoch == 10_009


def test_validates_at_the_ends_of_epochs_and_of_the_run() -> None:
    plan = make_plan(config(batch_size=10, evaluate_every_epochs=2), 35)
    assert [step for step in range(plan.total_steps + 1) if plan.validates(step)] == [6, 12, 15]


def test_logs_also_where_it_validates() -> None:
    plan = make_plan(config(batch_size=10, log_every_steps=4), 35)
    assert [step for step in range(1, 13) if plan.logs(step)] == [3, 4, 6, 8, 9, 12]


def test_too_few_images() -> None:
    with pytest.raises(CommandError, match=r"type training.batch_size=35"):
        make_plan(config(batch_size=36), 35)


def test_a_batch_that_cannot_be_shared_out() -> None:
    with pytest.raises(CommandError, match=r"training.batch_size=16 or more"):
        make_plan(config(batch_size=10, grad_accum_steps=4), 100, processes=4)

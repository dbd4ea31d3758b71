from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.config import RunConfig, ScheduleConfig
from alexnet.training import advice
from alexnet.training.config import TrainingConfig
from alexnet.training.pace import Pace
from alexnet.training.plan import Plan

PLAN = Plan(
    images_per_epoch=80, steps_per_epoch=10, total_steps=500, validate_every_steps=10, log_every_steps=5
)


def test_few_updates_name_the_setting_of_the_schedule() -> None:
    config = RunConfig("test", schedule=ScheduleConfig(epochs=3))
    assert "only 60 updates, too few to learn much: use more schedule.epochs" in advice.few_updates(
        config, 60
    )
    timed = replace(config, schedule=ScheduleConfig(minutes=1))
    assert "use more schedule.minutes" in advice.few_updates(timed, 60)
    assert advice.few_updates(config, 299) and not advice.few_updates(config, 300)
    assert not advice.few_updates(replace(config, training=TrainingConfig(fine_tuning=True)), 60)


@pytest.mark.parametrize(("epochs", "warmup", "warned"), [(10, 2, False), (5, 2, True), (90, 2, False)])
def test_a_warmup_of_more_than_a_fifth(epochs: int, warmup: float, warned: bool) -> None:
    schedule = ScheduleConfig(name="cosine", epochs=epochs, warmup_epochs=warmup)
    line = advice.long_warmup(schedule)
    assert bool(line) == warned
    if warned:
        assert line == (
            "the warm-up takes 2 of 5 epochs, more than a fifth: type schedule.warmup_epochs=0.25"
        )
        assert not advice.long_warmup(replace(schedule, warmup_epochs=0.25))


def test_milestones_that_the_run_does_not_reach_count_from_the_warm_up() -> None:
    schedule = ScheduleConfig(name="milestones", epochs=90, milestones=(30, 88))
    assert not advice.late_milestones(schedule)
    assert "after epochs 88, which" in advice.late_milestones(replace(schedule, warmup_epochs=5))
    assert "after epochs 30, 88, which" in advice.late_milestones(replace(schedule, epochs=30))


def test_a_run_of_more_than_an_hour() -> None:
    assert advice.long_run(7800).startswith("the run takes about 2 h 10 min, until ")
    assert "schedule.minutes=30" in advice.long_run(7800)
    assert not advice.long_run(3500)


@pytest.mark.parametrize(("validation", "warned"), [(9.0, False), (30.0, True)])
def test_validation_that_costs_more_than_training(validation: float, warned: bool) -> None:
    pace = Pace(80)
    pace.update_seconds, pace.validation_seconds = 1.0, validation
    line = advice.costly_validation(pace, PLAN, 10, TrainingConfig())
    assert bool(line) == warned
    if warned:  # then it costs a fifth of training
        assert line.endswith(
            "takes 30 s, but the training between validations only 10 s: type "
            "training.evaluate_every_epochs=15"
        )


def test_validation_that_costs_little_in_all_is_not_worth_a_warning() -> None:
    pace = Pace(80)
    pace.update_seconds, pace.validation_seconds = 0.01, 1.0
    assert not advice.costly_validation(pace, PLAN, 10, TrainingConfig())

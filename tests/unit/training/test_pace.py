from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.training.pace import NOTICEABLE_CHANGE, Pace
from alexnet.training.plan import Plan

PLAN = Plan(
    images_per_epoch=80, steps_per_epoch=10, total_steps=50, validate_every_steps=10, log_every_steps=5
)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def measured(update: float, validation: float = 0.0, saving: float = 0.0) -> tuple[Pace, Clock]:
    """The pace after five updates, the first ten times as long, a validation and a checkpoint."""
    clock = Clock()
    pace = Pace(80, clock)
    for seconds in (10 * update, *4 * (update,)):
        clock.now += seconds
        pace.updated()
    with pace.validating():
        clock.now += validation
    with pace.saving():
        clock.now += saving
    return pace, clock


def seconds_of(total: int, step: int, update: float, pause: float, every: int) -> float:
    """The seconds from update `step`, and its validation, to the end of a run, step by step."""
    seconds = 0.0
    for number in range(step, total + 1):
        seconds += update if number > step else 0
        if number % every == 0 or number == total:
            seconds += pause
    return seconds


@given(
    st.sampled_from([0.25, 0.5, 1.0]),
    st.sampled_from([0.25, 2.0, 8.0]),
    st.integers(1, 30),
    st.integers(5, 60),
    st.integers(0, 300),
)
def test_as_many_updates_as_fit_into_the_time(
    update: float, pause: float, every: int, step: int, left: int
) -> None:
    pace, _ = measured(update, pause / 2, pause / 2)
    plan = replace(PLAN, validate_every_steps=every)
    total = pace.affordable_steps(plan, step, pace.used + left)
    assert total >= step
    assert total == step or seconds_of(total, step, update, pause, every) <= left
    assert seconds_of(total + 1, step, update, pause, every) > left


def test_the_first_update_and_pauses_do_not_count_as_updates() -> None:
    pace, clock = measured(update=2.0, validation=30.0, saving=7.0)
    assert pace.update_seconds == 2.0
    clock.now += 2.0
    pace.updated()
    assert pace.update_seconds == 2.0
    assert pace.used == 10 * 2 + 4 * 2 + 30 + 7 + 2


def test_a_validation_that_was_not_measured_costs_a_third_of_training() -> None:
    pace, _ = measured(update=3.0)
    # 30 s of training, then 80 images, as in ten updates.
    assert pace.seconds_left(replace(PLAN, total_steps=10), 0) == pytest.approx(30 + 10)


def test_a_forecast_is_kept_until_the_speed_changes_noticeably() -> None:
    pace, clock = measured(update=1.0, validation=1.0)
    first = pace.forecast(PLAN, 5, budget=600)
    assert first.is_new
    plan = replace(PLAN, total_steps=first.total_steps)
    pace.settle()
    # A small change, one that does not last, and one that does.
    for seconds, count, is_new in ((1 + NOTICEABLE_CHANGE / 2, 15, False), (2.0, 4, False), (1.5, 40, True)):
        for _ in range(count):
            clock.now += seconds
            pace.updated()
        found = pace.forecast(plan, 9, budget=600)
        assert found.is_new == is_new
        assert (found.total_steps < plan.total_steps) == is_new


def test_without_a_budget_the_plan_stays() -> None:
    pace, _ = measured(update=1.0)
    assert pace.forecast(PLAN, 5, budget=0).total_steps == PLAN.total_steps


def test_continues_after_its_state() -> None:
    before, _ = measured(update=2.0, validation=5.0, saving=1.0)
    after = Pace(80, Clock(7.0))
    after.load_state(before.state())
    assert after.state() == before.state()
    assert after.affordable_steps(PLAN, 5, 300) == before.affordable_steps(PLAN, 5, 300)

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import schedules as twins

from alexnet.config import ScheduleConfig
from alexnet.optim.schedules import Cosine, FourPhase, Milestones, Plateau, Schedule, Step, make_schedule

STEPS = st.integers(1, 60)
WARMUPS = st.integers(1, 9)


def table(schedule: Schedule) -> list[float]:
    return [schedule.learning_rate(step) for step in range(schedule.total_steps)]


@given(STEPS)
def test_constant(steps: int) -> None:
    assert table(Schedule(0.1, steps)) == [0.1] * steps


@given(STEPS, st.integers(1, 20), st.sampled_from([0.1, 0.5]), WARMUPS)
def test_step(steps: int, every: int, factor: float, warmup: int) -> None:
    twin = twins.step(0.1, factor, every, steps)
    assert table(Step(0.1, steps, 0, every, factor)) == pytest.approx(twin)
    assert table(Step(0.1, steps + warmup, warmup, every, factor)) == pytest.approx(
        twins.warmed_up(twin, warmup)
    )


@given(STEPS, st.lists(st.integers(1, 70), max_size=4, unique=True), WARMUPS)
def test_milestones(steps: int, drops: list[int], warmup: int) -> None:
    twin = twins.milestones(0.1, 0.5, drops, steps)
    at = tuple(sorted(drops))
    assert table(Milestones(0.1, steps, 0, at, 0.5)) == pytest.approx(twin)
    assert table(Milestones(0.1, steps + warmup, warmup, at, 0.5)) == pytest.approx(
        twins.warmed_up(twin, warmup)
    )


@given(STEPS, st.sampled_from([0.0, 0.01, 1.0]), WARMUPS)
def test_cosine(steps: int, min_lr_ratio: float, warmup: int) -> None:
    twin = twins.cosine(0.2, min_lr_ratio, steps)
    assert table(Cosine(0.2, steps, 0, min_lr_ratio)) == pytest.approx(twin, abs=1e-15)
    warmed = twins.warmed_up(twin, warmup)
    assert table(Cosine(0.2, steps + warmup, warmup, min_lr_ratio)) == pytest.approx(warmed, abs=1e-15)


@given(STEPS)
def test_four_phases_are_those_of_the_source(steps: int) -> None:
    schedule = FourPhase(0.01, steps)
    assert table(schedule) == pytest.approx(twins.four_phases(steps), rel=0.01)
    # Where a finished run is resumed, the step is the number of updates.
    assert schedule.phase(steps) == 3
    assert schedule.learning_rate(steps) == pytest.approx(0.01 / 250)


@given(
    st.lists(st.floats(0, 1), max_size=40),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.002, 0.25]),
)
def test_plateau(errors: list[float], patience: int, min_improvement: float) -> None:
    schedule = Plateau(0.01, 100, 0, 0.1, patience, min_improvement, max_drops=3)
    for error, plateaus in zip(errors, twins.plateau_drops(errors, patience, min_improvement), strict=True):
        schedule.observe(error)
        assert schedule.learning_rate(50) == pytest.approx(0.01 * 0.1 ** min(plateaus, 3))
        assert schedule.finished == (plateaus > 3)


@given(st.lists(st.floats(0, 1), max_size=30), st.lists(st.floats(0, 1), max_size=30))
def test_plateau_resumes_from_its_state(before: list[float], after: list[float]) -> None:
    whole, resumed = (Plateau(0.01, 100, patience=2) for _ in range(2))
    for error in before:
        whole.observe(error)
    resumed.load_state(json.loads(json.dumps(whole.state(), allow_nan=False)))
    for error in after:
        whole.observe(error)
        resumed.observe(error)
    assert resumed == whole


@given(st.sampled_from(["constant", "step", "cosine", "four-phase"]), STEPS, WARMUPS)
def test_rates_are_pure_and_never_rise_after_the_warmup(name: str, steps: int, warmup: int) -> None:
    config = ScheduleConfig(name=name, epochs=steps + warmup, warmup_epochs=warmup, step_epochs=3)  # type: ignore[arg-type]
    schedule = make_schedule(config, 0.1, 1)
    first = table(schedule)
    assert table(schedule) == first
    assert first[warmup:] == sorted(first[warmup:], reverse=True)
    assert all(0 < rate <= 0.1 for rate in first)


def test_phases_change_exactly_where_the_rate_drops() -> None:
    for schedule in (Step(0.1, 50, 5, 11, 0.1), Milestones(0.1, 50, 5, (2, 3, 40)), FourPhase(0.1, 50, 5)):
        for step in range(6, 50):
            dropped = schedule.learning_rate(step) < schedule.learning_rate(step - 1)
            assert dropped == (schedule.phase(step) > schedule.phase(step - 1))


def test_epochs_become_steps() -> None:
    config = ScheduleConfig(name="step", epochs=90, step_epochs=30, warmup_epochs=0.5)
    assert make_schedule(config, 0.1, 10) == Step(0.1, 900, 5, 300, 0.1)


def test_named_epochs_become_steps() -> None:
    config = ScheduleConfig(name="milestones", epochs=90, milestones=(30, 50.5), factor=0.5)
    assert make_schedule(config, 0.1, 10) == Milestones(0.1, 900, 0, (300, 505), 0.5)


@pytest.mark.parametrize("total_steps", [450, 900, 1000, 7])
def test_durations_are_shares_of_a_run_of_another_length(total_steps: int) -> None:
    config = ScheduleConfig(name="step", epochs=90, step_epochs=30, warmup_epochs=9)
    schedule = make_schedule(config, 0.1, 10, total_steps)
    assert schedule.total_steps == total_steps
    assert schedule.warmup_steps == round(total_steps / 10)
    rates = {round(schedule.learning_rate(step), 9) for step in range(schedule.warmup_steps, total_steps)}
    assert sorted(rates) == [0.001, 0.01, 0.1] or total_steps == 7


def test_the_plateau_of_the_paper_falls_three_times() -> None:
    schedule = make_schedule(ScheduleConfig(patience_epochs=1), 0.01, 10)
    rates = []
    for _ in range(5):
        schedule.observe(0.5)
        rates.append(schedule.learning_rate(0))
    assert rates == pytest.approx([0.01, 0.001, 0.0001, 0.00001, 0.00001])
    assert schedule.finished

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alexnet import recipes
from alexnet.training import plan
from alexnet.training.config import Event

SLOWER = Event(at=0.5, action="layer-factor", layer="conv1", value=0.1)
FROZEN = Event(at=0.75, action="layer-factor", layer="conv1", value=0.0)
QUIET = Event(at=0.5, action="color-noise-off")
ALL = (FROZEN, SLOWER, QUIET)


def test_events_happen_once_and_last() -> None:
    assert plan.lr_multipliers(ALL, 49, 100) == {}
    assert plan.lr_multipliers(ALL, 50, 100) == {"conv1": 0.1}
    assert plan.lr_multipliers(ALL, 75, 100) == {"conv1": 0.0}
    assert [plan.color_noise(ALL, step, 100) for step in (49, 50, 99)] == [True, False, False]
    assert plan.starting(ALL, 50, 100) == [SLOWER, QUIET]
    assert plan.starting(ALL, 51, 100) == []


@given(st.floats(0, 1), st.integers(1, 500))
def test_an_event_starts_at_most_once(at: float, total_steps: int) -> None:
    event = Event(at=at, action="color-noise-off")
    starts = [step for step in range(total_steps) if plan.starting([event], step, total_steps)]
    quiet = [step for step in range(total_steps) if not plan.color_noise([event], step, total_steps)]
    assert starts == quiet[:1]


def test_net_145_slows_conv1_after_epoch_67_and_freezes_it_after_72() -> None:
    scheduled, steps = recipes.get("alexnet-2012").events, 91 * 10_009
    assert plan.lr_multipliers(scheduled, 67 * 10_009 - 1, steps) == {}
    assert plan.lr_multipliers(scheduled, 67 * 10_009, steps) == {"conv1": 0.1}
    assert plan.lr_multipliers(scheduled, 72 * 10_009, steps) == {"conv1": 0.0}
    assert not plan.color_noise(scheduled, 67 * 10_009, steps)

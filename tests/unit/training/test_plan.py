from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet import recipes
from alexnet.config import RunConfig, ScheduleConfig
from alexnet.errors import CommandError
from alexnet.training import events
from alexnet.training.config import Event, TrainingConfig
from alexnet.training.plan import describe_batches, make_plan, smallest_batch


def config(**training: int) -> RunConfig:
    return RunConfig("test", schedule=ScheduleConfig(epochs=5), training=TrainingConfig(**training))  # type: ignore[arg-type]


def test_imagenet_has_10_009_updates_per_epoch() -> None:
    assert make_plan(config(), 1_281_167).steps_per_epoch == 10_009


def test_validates_at_the_ends_of_epochs_and_of_the_run() -> None:
    plan = make_plan(config(batch_size=10, evaluate_every_epochs=2), 35)
    assert [step for step in range(plan.total_steps + 1) if plan.validates(step)] == [6, 12, 15]


def test_logs_also_at_validations() -> None:
    plan = make_plan(config(batch_size=10, log_every_steps=4), 35)
    assert [step for step in range(1, 13) if plan.logs(step)] == [3, 4, 6, 8, 9, 12]


def test_too_few_images() -> None:
    with pytest.raises(CommandError, match=r"type training.batch_size=35, or training.last_batch=keep"):
        make_plan(config(batch_size=36), 35)


def test_a_batch_that_cannot_be_shared_out() -> None:
    with pytest.raises(CommandError, match=r"training.batch_size=16 or more"):
        make_plan(config(batch_size=10, grad_accum_steps=4), 100, processes=4)


SLOWER = Event(at=0.5, action="layer-factor", layer="conv1", value=0.1)
FROZEN = Event(at=0.75, action="layer-factor", layer="conv1", value=0.0)
QUIET = Event(at=0.5, action="color-noise-off")
ALL = (FROZEN, SLOWER, QUIET)


def test_events_happen_once_and_last() -> None:
    assert events.lr_multipliers(ALL, 49, 100) == {}
    assert events.lr_multipliers(ALL, 50, 100) == {"conv1": 0.1}
    assert events.lr_multipliers(ALL, 75, 100) == {"conv1": 0.0}
    assert [events.color_noise(ALL, step, 100) for step in (49, 50, 99)] == [True, False, False]
    assert events.starting(ALL, 50, 100) == [SLOWER, QUIET]
    assert events.starting(ALL, 51, 100) == []


@given(st.floats(0, 1), st.integers(1, 500))
def test_an_event_starts_at_most_once(at: float, total_steps: int) -> None:
    event = Event(at=at, action="color-noise-off")
    starts = [step for step in range(total_steps) if events.starting([event], step, total_steps)]
    quiet = [step for step in range(total_steps) if not events.color_noise([event], step, total_steps)]
    assert starts == quiet[:1]


def test_net_145_slows_conv1_after_epoch_67_and_freezes_it_after_72() -> None:
    scheduled, steps = recipes.get("alexnet-2012").events, 91 * 10_009
    assert events.lr_multipliers(scheduled, 67 * 10_009 - 1, steps) == {}
    assert events.lr_multipliers(scheduled, 67 * 10_009, steps) == {"conv1": 0.1}
    assert events.lr_multipliers(scheduled, 72 * 10_009, steps) == {"conv1": 0.0}
    assert not events.color_noise(scheduled, 67 * 10_009, steps)


@pytest.mark.parametrize(
    ("batch_size", "images", "line"),
    [
        (
            64,
            96,
            "each epoch uses 64 of 96 images (training.batch_size=64); training.last_batch=keep uses all",
        ),
        (2, 3, "each epoch uses 2 of 3 images (training.batch_size=2); training.last_batch=keep uses all"),
        (10, 100, ""),
        (10, 1009, ""),
    ],
)
def test_left_out_images_are_described_if_they_are_many(batch_size: int, images: int, line: str) -> None:
    assert describe_batches(TrainingConfig(batch_size=batch_size), images) == line


@pytest.mark.parametrize(
    ("last_batch", "images", "updates", "smallest", "line"),
    [
        ("keep", 96, 2, 48, "batches of 48 images instead of 64, so that each epoch uses all 96"),
        ("auto", 97, 2, 48, "batches of 48 or 49 images instead of 64, so that each epoch uses all 97"),
        ("auto", 50, 1, 50, "batches of 50 images instead of 64, so that each epoch uses all 50"),
        ("keep", 65, 2, 32, "batches of 32 or 33 images instead of 64, so that each epoch uses all 65"),
        ("keep", 128, 2, 64, ""),
        ("auto", 6405, 100, 64, ""),
    ],
)
def test_a_last_batch_is_kept_in_batches_of_nearly_the_same_size(
    last_batch: Literal["keep", "auto"], images: int, updates: int, smallest: int, line: str
) -> None:
    training = TrainingConfig(batch_size=64, last_batch=last_batch)
    plan = make_plan(RunConfig("test", training=training), images)
    assert (plan.steps_per_epoch, smallest_batch(training, images)) == (updates, smallest)
    assert plan.images_per_epoch == (6400 if images == 6405 else images)
    assert describe_batches(training, images) == (
        f"{line} (training.last_batch={last_batch})" if line else ""
    )

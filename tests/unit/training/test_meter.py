from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch

from alexnet.errors import Diverged
from alexnet.training import step as meters
from alexnet.training.step import Meter, Outcome


def outcome(loss: float, errors: int, images: int) -> Outcome:
    return Outcome(torch.tensor(loss), torch.tensor(errors), images)


class Clock:
    """Time that passes only where the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(meters.time, "perf_counter", lambda: self.now)

    def slow(self, count: int, seconds: float) -> Iterator[int]:
        for number in range(count):
            self.now += seconds
            yield number


def test_means_are_over_images_not_over_batches() -> None:
    meter = Meter()
    meter.add(0, outcome(10.0, 4, 4), torch.arange(4))
    meter.add(1, outcome(2.0, 0, 2), torch.arange(4, 6))
    reading = meter.read()
    assert reading.loss == pytest.approx(2.0)
    assert reading.error == pytest.approx(4 / 6)
    assert reading.indices.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_reading_resets_the_meter() -> None:
    meter = Meter()
    for step, loss in enumerate((8.0, 2.0)):
        meter.add(step, outcome(loss, 1, 2), torch.arange(2))
        assert meter.read().loss == pytest.approx(loss / 2)


def test_time_is_that_of_waiting_and_updating_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, meter = Clock(monkeypatch), Meter(seconds=100.0)
    for step in meter.timed(clock.slow(4, seconds=1.0)):
        clock.now += 3.0  # the update
        meter.add(step, outcome(1.0, 0, 8), torch.arange(8))
        clock.now += 50.0  # validation, checkpoint
    reading = meter.read()
    assert reading.images_per_second == pytest.approx(32 / 16)
    assert reading.data_wait_share == pytest.approx(0.25)
    assert meter.seconds == pytest.approx(116.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_named(bad: float) -> None:
    meter = Meter()
    for step, loss in zip(itertools.count(40), (1.0, 1.0, bad, bad), strict=False):
        meter.add(step, outcome(loss, 0, 2), torch.arange(2))
    with pytest.raises(Diverged, match="update 43 is not finite"):
        meter.read()

"""What `fit` trains, by the number of photos and the time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.config import validate
from alexnet.fitting.candidates import (
    FISHER,
    FISHER_COST,
    FISHER_FIXED_COST,
    FISHER_SHARE,
    LARGE_COST,
    LARGE_SHARE,
    LINEAR_LARGE,
    MANY,
    MOST_EPOCHS,
    Photos,
    candidates,
    measure_speed,
)

NUMBERS = st.integers(4, 200_000)


def names(train: int, classes: int, seconds: float, speed: float = 100.0) -> list[str]:
    return [each.name for each in candidates(Photos(train, classes, 128), seconds, speed, 0)]


@pytest.mark.parametrize(
    ("train", "classes", "seconds", "wanted"),
    [
        (120, 6, 500, ["linear", "linear-large", "sift-fv", "fine-tuned"]),
        (3000, 5, 500, ["linear", "linear-large", "fine-tuned", "small"]),  # sift-fv would take 345 s
        (3000, 5, 3600, ["linear", "linear-large", "sift-fv", "fine-tuned", "alexnet-modern"]),
        (3000, 30, 3600, ["linear", "linear-large", "sift-fv", "fine-tuned", "small"]),
        (100_000, 100, 500, ["linear"]),  # not one epoch fits
        (120, 6, 0, ["linear"]),
    ],
)
def test_photos_and_time_decide(train: int, classes: int, seconds: float, wanted: list[str]) -> None:
    assert names(train, classes, seconds) == wanted


@settings(max_examples=40)
@given(NUMBERS, st.integers(2, 300), st.floats(0, 7200), st.floats(1, 5000))
def test_candidates_are_valid_and_fit_into_the_time(
    train: int, classes: int, seconds: float, speed: float
) -> None:
    photos = Photos(train, classes, 128)
    found = candidates(photos, seconds, speed, seed=3)
    needed = 0.0
    for each in found:
        config = validate(each.config)
        assert config.training.seed == 3
        assert each.name == FISHER or 1 <= config.training.batch_size <= train
        if each.name == FISHER:
            cost = (FISHER_FIXED_COST + FISHER_COST * train) / speed
            assert cost <= FISHER_SHARE * seconds
            needed += cost
        elif each.name == LINEAR_LARGE:
            needed += LARGE_COST * train / speed
            assert needed <= LARGE_SHARE * seconds
        elif config.schedule.minutes:
            needed += 60 * config.schedule.minutes
        else:
            assert config.schedule.epochs in (0, MOST_EPOCHS)
            needed += config.schedule.epochs * train / speed
        if each.name == "small":
            assert photos.per_class >= MANY
    assert needed <= seconds + 1
    assert len({each.name for each in found}) == len(found)
    known = {"pretrained"}
    for each in found:
        assert not each.init_from or each.init_from in known
        known.add(each.name)


def test_photos_that_were_stored_smaller_are_not_enlarged() -> None:
    found = [each.name for each in candidates(Photos(120, 6, 100), 500, 100.0, 0)]
    assert LINEAR_LARGE not in found and FISHER in found


def test_speed_is_measured() -> None:
    assert 0 < measure_speed(torch.device("cpu")) < 1e6

"""What `fit` trains, by the number of photos and the time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.config import validate
from alexnet.fitting.candidates import (
    FISHER,
    FISHER_DESCRIPTORS,
    FISHER_SHARE,
    LARGE_COST,
    LARGE_SHARE,
    LINEAR_LARGE,
    MANY,
    MOST_EPOCHS,
    Photos,
    Speed,
    candidates,
    measure_speed,
)
from alexnet.fitting.speed import FisherSpeed

NUMBERS = st.integers(4, 200_000)


SPEED = Speed(100.0, FisherSpeed(5e-4, 0.05, per_pair=5e-6, per_cube=2e-10))


def names(train: int, classes: int, seconds: float) -> list[str]:
    return [each.name for each in candidates(Photos(train, classes, 128), seconds, SPEED, 0)]


@pytest.mark.parametrize(
    ("train", "classes", "seconds", "wanted"),
    [
        (120, 6, 500, ["linear", "linear-large", "sift-fv", "fine-tuned"]),
        (3000, 5, 500, ["linear", "linear-large", "fine-tuned", "small"]),  # sift-fv would take 210 s
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
    train: int, classes: int, seconds: float, network: float
) -> None:
    photos = Photos(train, classes, 128)
    speed = Speed(network, FisherSpeed(0.05 / network, 10 / network, 5e-4 / network, 2e-8 / network))
    found = candidates(photos, seconds, speed, seed=3)
    needed = 0.0
    for each in found:
        config = validate(each.config)
        assert config.training.seed == 3
        assert each.name == FISHER or 1 <= config.training.batch_size <= train
        if each.name == FISHER:
            cost = speed.fisher.seconds(train, FISHER_DESCRIPTORS)
            assert cost <= FISHER_SHARE * seconds
            needed += cost
        elif each.name == LINEAR_LARGE:
            needed += LARGE_COST * train / network
            assert needed <= LARGE_SHARE * seconds
        elif config.schedule.minutes:
            needed += 60 * config.schedule.minutes
        else:
            assert config.schedule.epochs in (0, MOST_EPOCHS)
            needed += config.schedule.epochs * train / network
        if each.name == "small":
            assert photos.per_class >= MANY
    assert needed <= seconds + 1
    assert len({each.name for each in found}) == len(found)
    known = {"pretrained"}
    for each in found:
        assert not each.init_from or each.init_from in known
        known.add(each.name)


def test_photos_that_were_stored_smaller_are_not_enlarged() -> None:
    found = [each.name for each in candidates(Photos(120, 6, 100), 500, SPEED, 0)]
    assert LINEAR_LARGE not in found and FISHER in found


def test_speed_is_measured() -> None:
    photos = Photos(60, 3, 72)
    speed = measure_speed(photos, torch.device("cpu"))
    assert 0 < speed.network < 1e6
    assert 0 < speed.fisher.per_descriptor < 0.1 and 0 < speed.fisher.per_photo < 10
    assert 0 < speed.fisher.per_pair < 0.01 and 0 < speed.fisher.per_cube < 1e-5


def test_seconds_of_a_pipeline() -> None:
    speed = FisherSpeed(0.5, 2, 0.1, 0.01)
    assert speed.seconds(photos=10, descriptors=4) == 2 + 20 + 5 + 10
    assert speed.seconds(photos=10, descriptors=4, predicted=5) == 2 + 20 + 5 + 10 + 10

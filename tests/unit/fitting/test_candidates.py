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
    MAX_EPOCHS,
    START_SECONDS,
    PhotoCounts,
    Speed,
    measure_speed,
    plan,
)
from alexnet.fitting.speed import FisherSpeed

NUMBERS = st.integers(4, 200_000)


SPEED = Speed(100.0, FisherSpeed(5e-4, 0.05, per_pair=5e-6, per_cube=2e-10))


def names(train: int, classes: int, seconds: float) -> list[str]:
    return [each.name for each in plan(PhotoCounts(train, classes, 128), seconds, SPEED, 0).candidates]


@pytest.mark.parametrize(
    ("train", "classes", "seconds", "wanted"),
    [
        (120, 6, 500, ["linear", "linear-large", "sift-fv", "fine-tuned"]),
        (3000, 5, 500, ["linear", "linear-large", "sift-fv", "fine-tuned"]),  # sift-fv on a part of them
        (1000, 2, 1700, ["linear", "linear-large", "sift-fv", "fine-tuned", "small"]),
        (3000, 5, 3600, ["linear", "linear-large", "sift-fv", "fine-tuned", "alexnet-modern"]),
        (3000, 30, 3600, ["linear", "linear-large", "sift-fv", "fine-tuned"]),
        (100_000, 100, 500, ["linear", "sift-fv"]),  # not one epoch fits
        (100_000, 100, 100, ["linear"]),
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
    photos = PhotoCounts(train, classes, 128)
    speed = Speed(network, FisherSpeed(0.05 / network, 10 / network, 5e-4 / network, 2e-8 / network))
    found = plan(photos, seconds, speed, seed=3).candidates
    needed = 0.0
    for each in found:
        config = validate(each.config)
        assert config.training.seed == 3
        assert each.name == FISHER or 1 <= config.training.batch_size <= train
        if each.name == FISHER:
            cost = speed.fisher.seconds(config.data.max_images or train, FISHER_DESCRIPTORS)
            assert cost <= FISHER_SHARE * seconds or cost + MAX_EPOCHS * train / network <= seconds
            needed += cost
        elif each.name == LINEAR_LARGE:
            needed += LARGE_COST * train / network
            assert needed <= LARGE_SHARE * seconds
        elif config.schedule.minutes:
            needed += 60 * config.schedule.minutes
        else:
            assert config.schedule.epochs in (0, MAX_EPOCHS)
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
    found = [each.name for each in plan(PhotoCounts(120, 6, 100), 500, SPEED, 0).candidates]
    assert LINEAR_LARGE not in found and FISHER in found


@pytest.mark.parametrize(
    ("photos", "seconds", "wanted"),
    [
        (PhotoCounts(120, 6, 128), 500, {"small": "fewer than 500 training photos per class"}),
        (PhotoCounts(3000, 5, 100), 100_000, {"linear-large": "photos have fewer than 128 pixels"}),
        (PhotoCounts(6000, 5, 128), 100_000, {}),
        (PhotoCounts(3000, 5, 128), 3600, {}),
        (PhotoCounts(3000, 5, 128), 1200, {"small": "no time for 30 epochs"}),
        (PhotoCounts(120, 6, 128), 60, {"sift-fv": "about 38 s, more than 40 % of the time"}),
        (PhotoCounts(120, 6, 128), 1, {"linear-large": "about 2.4 s, more than 20 % of the time"}),
        (PhotoCounts(120, 6, 128), 1, {"fine-tuned": "no time for an epoch besides the others"}),
    ],
)
def test_what_is_not_tried_has_a_reason(photos: PhotoCounts, seconds: float, wanted: dict[str, str]) -> None:
    found = plan(photos, seconds, SPEED, 0)
    reasons = {each.name: each.reason for each in found.not_tried}
    assert reasons.items() >= wanted.items() and bool(reasons) == bool(wanted)
    assert not {each.name for each in found.candidates} & set(reasons)


def test_there_is_time_to_train_again_with_the_photos_that_choose() -> None:
    def fine_tuned(seconds: float) -> float:
        """Epochs."""
        (found,) = [each for each in plan(photos, seconds, SPEED, 0).candidates if each.name == "fine-tuned"]
        return 60 * found.config.schedule.minutes * SPEED.network / photos.train or MAX_EPOCHS

    photos = PhotoCounts(1000, 20, 72, validation=250)
    sift = SPEED.fisher.seconds(1000, FISHER_DESCRIPTORS)
    assert photos.refit == 1.25
    free = 2.25 * sift + 2 * START_SECONDS  # for `sift-fv`, its refit and the start of both
    assert fine_tuned(free + 10 * 2.25 * MAX_EPOCHS) == MAX_EPOCHS
    assert fine_tuned(free + 10 * 2.25 * 40) == pytest.approx(40, rel=1e-3)
    assert fine_tuned(free + 10 * 20) == pytest.approx(20, rel=1e-3)  # too few to train again


def test_sift_fv_may_take_the_time_that_no_other_candidate_needs() -> None:
    photos = PhotoCounts(96, 6, 100)
    slow = Speed(300.0, FisherSpeed(5e-3, 0.05, per_pair=5e-6, per_cube=2e-10))
    sift, longest = slow.fisher.seconds(96, FISHER_DESCRIPTORS), MAX_EPOCHS * 96 / 300
    enough = 2 * (sift + longest) + 2 * START_SECONDS  # with a refit of either
    assert sift > FISHER_SHARE * enough
    without, both = plan(photos, enough - 1, slow, 0), plan(photos, enough + 1, slow, 0)
    assert [each.name for each in without.candidates] == ["linear", "fine-tuned"]
    assert [each.name for each in both.candidates] == ["linear", "sift-fv", "fine-tuned"]
    for fine_tuned in (without.candidates[-1], both.candidates[-1]):
        assert (fine_tuned.config.schedule.epochs, fine_tuned.config.schedule.minutes) == (MAX_EPOCHS, 0)


@pytest.mark.parametrize(
    ("train", "seconds", "part"),
    [(3000, 3600, 3000), (3000, 500, 2858), (3000, 150, 544), (20_000, 500, 2858), (20_000, 10_000, 5000)],
)
def test_sift_fv_is_trained_on_as_many_photos_as_there_is_time_for(
    train: int, seconds: float, part: int
) -> None:
    found = {each.name: each for each in plan(PhotoCounts(train, 5, 100), seconds, SPEED, 0).candidates}
    assert (found[FISHER].config.data.max_images or train) == pytest.approx(part, abs=1)
    said = f"on {found[FISHER].config.data.max_images:,} of the photos"
    assert (said in found[FISHER].described) == (part < train)


def test_sift_fv_needs_500_photos_if_there_are_so_many() -> None:
    found = plan(PhotoCounts(3000, 5, 100), 140, SPEED, 0)
    assert FISHER not in [each.name for each in found.candidates]
    assert {each.name: each.reason for each in found.not_tried}[
        FISHER
    ] == "about 58 s, more than 40 % of the time"


def test_a_network_from_random_weights_needs_all_the_time_there_is() -> None:
    fast = Speed(1e5, FisherSpeed(5e-3, 0.05, per_pair=5e-6, per_cube=2e-10))
    few, many = (
        [each.name for each in plan(PhotoCounts(2 * MANY, classes, 100), 760, fast, 0).candidates]
        for classes in (4, 2)
    )
    assert few == ["linear", "sift-fv", "fine-tuned"]
    assert many == ["linear", "fine-tuned", "small"]


def test_what_is_done_takes_no_time() -> None:
    photos = PhotoCounts(3200, 4, 192, 2600, 800)
    done = frozenset({"linear-large", "sift-fv"})
    (fresh,) = plan(photos, 480, SPEED, 0).candidates[-1:]
    (again,) = plan(photos, 480, SPEED, 0, done).candidates[-1:]
    assert fresh.name == again.name == "fine-tuned"
    assert fresh.config.schedule.minutes < again.config.schedule.minutes
    assert again.config.schedule.minutes == pytest.approx((480 - START_SECONDS) / 60, rel=1e-4)


def test_speed_is_measured() -> None:
    photos = PhotoCounts(60, 3, 72)
    speed = measure_speed(photos, torch.device("cpu"))
    assert 0 < speed.network < 1e6
    assert 0 < speed.fisher.per_descriptor < 0.1 and 0 < speed.fisher.per_photo < 10
    assert 0 < speed.fisher.per_pair < 0.01 and 0 < speed.fisher.per_cube < 1e-5


def test_seconds_of_a_pipeline() -> None:
    speed = FisherSpeed(0.5, 2, 0.1, 0.01)
    assert speed.seconds(photos=10, descriptors=4) == 2 + 20 + 5 + 10
    assert speed.seconds(photos=10, descriptors=4, predicted=5) == 2 + 20 + 5 + 10 + 10

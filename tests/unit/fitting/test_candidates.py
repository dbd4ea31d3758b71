"""What `fit` trains, by the number of photos and the time."""

from __future__ import annotations

from dataclasses import replace

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
    LINEAR_PHOTOS,
    LINEAR_SHARE,
    MANY,
    MAX_EPOCHS,
    START_SECONDS,
    PhotoCounts,
    Speed,
    first_candidate,
    measure_speed,
    plan,
    shortened,
)
from alexnet.fitting.speed import FisherSpeed
from alexnet.runs.fit_record import NotTried

NUMBERS = st.integers(4, 200_000)


SPEED = Speed(100.0, FisherSpeed(5e-4, 0.05, per_pair=5e-6, per_cube=2e-10))


def names(train: int, classes: int, seconds: float) -> list[str]:
    return [each.name for each in plan(PhotoCounts(train, classes, 128), seconds, SPEED, 0).candidates]


@pytest.mark.parametrize(
    ("train", "classes", "seconds", "wanted"),
    [
        (120, 6, 500, ["sift-fv", "linear-large", "fine-tuned"]),
        (120, 6, 70, ["sift-fv", "linear-large", "fine-tuned"]),
        (120, 6, 50, ["linear-large", "fine-tuned"]),
        (3000, 5, 300, ["sift-fv", "fine-tuned"]),  # sift-fv on a part of them
        (3000, 5, 100, ["sift-fv", "fine-tuned"]),
        (1000, 2, 1700, ["sift-fv", "linear-large", "fine-tuned", "small"]),
        (3000, 5, 3600, ["sift-fv", "linear-large", "fine-tuned", "alexnet-modern"]),
        (3000, 30, 3600, ["sift-fv", "linear-large", "fine-tuned"]),
        (100_000, 100, 500, ["sift-fv"]),  # not one epoch fits
        (100_000, 100, 60, []),
        (120, 6, 0, []),
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
            assert cost <= FISHER_SHARE * seconds
            needed += cost
        elif each.name == LINEAR_LARGE:
            needed += LARGE_COST * train / network
            assert LARGE_COST * train / network <= LARGE_SHARE * seconds
        elif config.schedule.minutes:
            needed += 60 * config.schedule.minutes
        else:
            assert config.schedule.epochs in (0, MAX_EPOCHS)
            needed += config.schedule.epochs * train / network
        if each.name == "small":
            assert photos.per_class >= MANY
    assert needed <= seconds + 1
    assert len({each.name for each in found}) == len(found)
    known = {"pretrained", "linear"}
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
        (PhotoCounts(120, 6, 128), 50, {"sift-fv": "about 38 s, more than 60 % of the time"}),
        (PhotoCounts(120, 6, 128), 10, {"linear-large": "about 2.5 s, more than 20 % of the time"}),
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


@pytest.mark.parametrize(
    ("train", "seconds", "part"),
    [(3000, 500, 3000), (3000, 300, 2563), (3000, 150, 1094), (20_000, 500, 4188), (20_000, 10_000, 5000)],
)
def test_sift_fv_is_trained_on_as_many_photos_as_there_is_time_for(
    train: int, seconds: float, part: int
) -> None:
    found = {each.name: each for each in plan(PhotoCounts(train, 5, 100), seconds, SPEED, 0).candidates}
    assert (found[FISHER].config.data.max_images or train) == pytest.approx(part, abs=1)
    said = f"on {found[FISHER].config.data.max_images:,} of the photos"
    assert (said in found[FISHER].described) == (part < train)


def test_sift_fv_needs_500_photos_if_there_are_so_many() -> None:
    enough, less = (plan(PhotoCounts(3000, 5, 100), seconds, SPEED, 0) for seconds in (97, 95))
    (part,) = (each.config.data.max_images for each in enough.candidates if each.name == FISHER)
    assert 500 <= part < 520
    assert FISHER not in [each.name for each in less.candidates]
    assert {each.name: each.reason for each in less.not_tried}[
        FISHER
    ] == "about 58 s, more than 60 % of the time"


def test_what_is_done_takes_no_time() -> None:
    photos = PhotoCounts(3200, 4, 192, 2600, 800)
    done = {"linear-large": 3200, "sift-fv": 3200}
    (fresh,) = plan(photos, 480, SPEED, 0).candidates[-1:]
    (again,) = plan(photos, 480, SPEED, 0, done).candidates[-1:]
    assert fresh.name == again.name == "fine-tuned"
    assert fresh.config.schedule.minutes < again.config.schedule.minutes
    assert again.config.schedule.minutes == pytest.approx((480 - START_SECONDS) / 60, rel=1e-4)


def test_sift_fv_is_trained_again_on_clearly_more_photos() -> None:
    photos = PhotoCounts(3000, 5, 100)

    def planned(before: int) -> list[str]:
        return [each.name for each in plan(photos, 300, SPEED, 0, {"sift-fv": before}).candidates]

    assert planned(1094) == ["sift-fv", "fine-tuned"]  # now 2,563
    assert planned(2400) == planned(3000) == ["fine-tuned"]


def test_time_for_the_refit_of_what_is_done_is_reserved() -> None:
    photos, done = PhotoCounts(3200, 4, 192, 2600, 800), {"linear-large": 3200, "sift-fv": 3200}
    (tuned,) = plan(photos, 480, SPEED, 0, done, refit=100).candidates
    assert tuned.config.schedule.minutes == pytest.approx((380 - START_SECONDS) / 60, rel=1e-4)


@given(st.floats(1, 200), st.floats(0, 100))
def test_a_refit_that_fits_comes_before_another_candidate(seconds: float, refit: float) -> None:
    """An epoch takes 80 seconds."""
    photos, speed = PhotoCounts(800, 4, 72, validation=200), replace(SPEED, network=10.0)
    planned = plan(photos, seconds, speed, 0, {"linear": 800, "sift-fv": 800}, refit)
    used = sum(each.seconds + START_SECONDS for each in planned.candidates)
    assert used + refit <= seconds + 1e-6 or refit + START_SECONDS > seconds


def test_pipelines_are_left_out_where_only_networks_are_wanted() -> None:
    planned = plan(PhotoCounts(1000, 5, 192, 600, 200), 3000, SPEED, 0, networks_only=True)
    assert all(each.config.classic is None for each in planned.candidates) and planned.candidates
    assert NotTried("sift-fv", "not a network") in planned.not_tried


def test_what_was_trained_on_a_part_is_trained_on_all_photos_when_there_is_time() -> None:
    photos = PhotoCounts(3000, 5, 100, validation=700)
    for done, again in ((2563, True), (3000, False)):
        planned = plan(photos, 5000, SPEED, 0, {"linear": 3000, "sift-fv": done})
        assert ("sift-fv" in {each.name for each in planned.candidates}) == again


def test_speed_is_measured() -> None:
    photos = PhotoCounts(60, 3, 72)
    speed = measure_speed(photos, torch.device("cpu"))
    assert 0 < speed.network < 1e6 and 0 < speed.last_layer < 10
    assert 0 < speed.fisher.per_descriptor < 0.1 and 0 < speed.fisher.per_photo < 10
    assert 0 < speed.fisher.per_pair < 0.01 and 0 < speed.fisher.per_cube < 1e-5


def test_seconds_of_a_pipeline() -> None:
    speed = FisherSpeed(0.5, 2, 0.1, 0.01)
    assert speed.seconds(photos=10, descriptors=4) == 2 + 20 + 5 + 10
    assert speed.seconds(photos=10, descriptors=4, predicted=5) == 2 + 20 + 5 + 10 + 10
    few = replace(speed, descriptors=3)
    assert few.seconds(photos=10, descriptors=100) == 0.5 * 30 + 20 + 5 + 10
    assert few.slowed(2).seconds(photos=10, descriptors=100) == 2 * few.seconds(photos=10, descriptors=100)


@settings(max_examples=40)
@given(NUMBERS, st.integers(2, 300), st.floats(-100, 7200), st.floats(1, 5000), st.floats(0, 1))
def test_linear_is_trained_on_as_many_photos_as_there_is_time_for(
    train: int, classes: int, seconds: float, network: float, last_layer: float
) -> None:
    """It is always trained, and then on one photo of each class at least."""
    photos, speed = PhotoCounts(train, classes, 128), Speed(network, SPEED.fisher, last_layer)
    found = first_candidate(photos, seconds, speed, seed=3)
    part = validate(found.config).data.max_images or train
    assert min(train, max(LINEAR_PHOTOS, classes)) <= part <= train
    cost = part * (2 / 3 / network + last_layer)
    assert cost <= LINEAR_SHARE * seconds + 1e-6 or part in (LINEAR_PHOTOS, classes, train)
    one_more = (part + 1) * (2 / 3 / network + last_layer)
    assert part == train or one_more > LINEAR_SHARE * seconds - 1e-6
    assert (f"on {part:,} of the photos" in found.described) == (part < train)


def test_the_speed_is_corrected_by_what_linear_took() -> None:
    """300 photos were trained on, 100 validated twice, each of them in 10 ms; 6 s are for the last layer."""
    photos = PhotoCounts(300, 3, 128, validation=100)
    seen = SPEED.as_observed(photos, trained_on=300, seconds=14.0, prediction_seconds=1.0)
    assert (seen.network, seen.forward, seen.last_layer) == pytest.approx((100 / 3, 0.01, 0.02))
    assert seen.fisher.seconds(50, 100) == pytest.approx(3 * SPEED.fisher.seconds(50, 100))  # as slow as that
    same = SPEED.as_observed(photos, trained_on=300, seconds=2.0, prediction_seconds=0.3)
    assert same.fisher == SPEED.fisher
    busy_before = SPEED.as_observed(photos, trained_on=300, seconds=2.0, prediction_seconds=0.1)
    assert busy_before.fisher.per_photo == pytest.approx(0.3 * SPEED.fisher.per_photo)
    unknown = SPEED.as_observed(photos, trained_on=300, seconds=2.0, prediction_seconds=0.0)
    assert unknown == SPEED  # of a version that did not save the time
    few = PhotoCounts(4, 2, 128, validation=2)
    assert SPEED.as_observed(few, trained_on=4, seconds=9.0, prediction_seconds=5.0) == SPEED


def test_what_others_took_too_long_is_missing_for_later_candidates() -> None:
    photos = PhotoCounts(1000, 20, 128, validation=250)
    sift, large, tuned = plan(photos, 500, SPEED, 0).candidates
    assert shortened(tuned, tuned.seconds) is tuned
    half = shortened(tuned, tuned.seconds / 2)
    assert half is not None and half.config.schedule.minutes == pytest.approx(tuned.seconds / 120, rel=1e-4)
    assert half.config.schedule.epochs == pytest.approx(tuned.config.schedule.epochs / 2, abs=1)
    assert shortened(tuned, 0.9 * photos.train / SPEED.network) is None  # less than an epoch
    assert shortened(large, large.seconds - 1) is None
    limited = shortened(sift, sift.seconds + 1)
    assert limited is not None and limited.max_minutes == (sift.seconds + 1) / 60 < sift.max_minutes


def test_a_training_that_may_become_slower_than_measured_ends_with_its_time() -> None:
    photos = PhotoCounts(1000, 20, 72)
    schedules = {
        seconds: next(
            each for each in plan(photos, seconds, SPEED, 0).candidates if each.takes_time
        ).config.schedule
        for seconds in (1700, 5000)
    }
    assert [schedules[seconds].epochs for seconds in schedules] == [MAX_EPOCHS, MAX_EPOCHS]
    assert schedules[1700].minutes == pytest.approx(MAX_EPOCHS * 1000 / SPEED.network / 60, rel=1e-4)
    assert schedules[5000].minutes == 0

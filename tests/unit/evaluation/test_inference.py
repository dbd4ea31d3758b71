from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import ten_views as twin
from tiny import predict

from alexnet import distributed
from alexnet.data.classes import Class
from alexnet.data.decode import decode
from alexnet.errors import CommandError, DataError, WorkError

from .conftest import CLASSES, CROP, VAL_PER_CLASS, make_net, shuffled

IMAGES = CLASSES * VAL_PER_CLASS + 1


def test_ten_views_equal_the_reference(net, store) -> None:
    found = predict(net, store, "val", "ten").probabilities
    split = store.split("val")
    squares = [decode(bytes(split.buffer(i))) for i in range(len(split))]
    wanted = [twin.probabilities(net.model, square, store.mean_image(), CROP) for square in squares]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.std() > 0.01


def test_every_image_once_in_the_stores_order(net, store) -> None:
    counts: list[int] = []
    found = predict(net, store, "val", "center", batch_size=4, progress=counts.append)
    split = store.split("val")
    assert found.probabilities.shape == (IMAGES, CLASSES)
    assert found.labels.tolist() == split.labels.tolist()
    assert found.keys.tolist() == [split.key(i) for i in range(IMAGES)]
    assert found.classes.tolist() == [each.wnid for each in store.classes]
    assert sum(counts) == IMAGES
    assert max(counts) == 4
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("views", ["center", "ten"])
def test_the_size_of_a_batch_changes_rounding_only_and_no_run_differs(net, store, views) -> None:
    all_at_once = predict(net, store, "val", views, batch_size=10_000).probabilities
    for squares in (1, 10, 30):
        found = predict(net, store, "val", views, batch_size=squares).probabilities
        np.testing.assert_allclose(found, all_at_once, atol=1e-5)
        np.testing.assert_array_equal(
            found, predict(net, store, "val", views, batch_size=squares).probabilities
        )


@pytest.mark.parametrize("world_size", [2, 3, 7, 30])
def test_processes_share_the_images_and_change_no_digit(net, store, monkeypatch, world_size) -> None:
    alone = predict(net, store, "val", "center", batch_size=2)
    parts: list[list] = []
    monkeypatch.setattr(distributed, "world_size", lambda: world_size)
    # Each process gets the rows of those before it; the last one has all.
    monkeypatch.setattr(distributed, "gather_objects", lambda part: parts.append(part) or list(parts))
    for rank in range(world_size):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        with suppress(WorkError):
            together = predict(net, store, "val", "center", batch_size=2)
    np.testing.assert_array_equal(together.probabilities, alone.probabilities)
    assert sum(map(len, parts)) == IMAGES


@pytest.mark.parametrize(
    "gathered", [lambda part: [part[1:]], lambda part: [part, part[:1]], lambda part: []]
)
def test_no_error_is_given_unless_every_image_was_scored_once(net, store, monkeypatch, gathered) -> None:
    monkeypatch.setattr(distributed, "gather_objects", gathered)
    with pytest.raises(WorkError, match=f"{IMAGES} images was scored exactly once"):
        predict(net, store, "val", "center", batch_size=2)


def test_wnids_count_not_the_order_of_labels(net, store) -> None:
    order = [3, 0, 6, 1, 5, 2, 4]
    found = predict(shuffled(net, order), store, "val", "ten")
    wanted = predict(net, store, "val", "ten")
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-6)
    assert found.classes.tolist() == wanted.classes.tolist()


def test_other_classes_are_refused_by_name(net, store) -> None:
    other = replace(net, classes=[*net.classes[:-1], Class("n99999999", "unicorn")])
    with pytest.raises(DataError, match="n99999999"):
        predict(other, store)
    fewer = replace(net, classes=net.classes[:-1])
    with pytest.raises(DataError, match="n00000006"):
        predict(fewer, store)


def test_images_resized_with_another_filter_are_tested_with_a_warning(net, store, caplog) -> None:
    resized = {**net.preprocessing.resized, "resampling": "bilinear"}
    other = replace(net, preprocessing=replace(net.preprocessing, resized=resized))
    found = predict(other, store, "val", "center").probabilities
    (record,) = caplog.records
    assert "resized with a filter (bicubic, antialiased) other than the model's" in record.getMessage()
    caplog.clear()
    np.testing.assert_array_equal(found, predict(net, store, "val", "center").probabilities)
    assert not caplog.records


@pytest.mark.parametrize(
    ("settings", "named"), [({"side": 80}, "side 80 for 72"), ({"resize": "warp"}, "resize warp")]
)
def test_images_resized_otherwise_are_refused(net, prepared, settings, named) -> None:
    with pytest.raises(DataError, match=rf"{named}.*--side 72 --resize crop"):
        predict(net, prepared(**settings))


@pytest.mark.parametrize("settings", [{"shape": "whole"}, {"encoding": "raw"}])
def test_whole_and_raw_stores_hold_the_same_central_squares(net, store, prepared, settings) -> None:
    found = predict(net, prepared(**settings), "val", "center").probabilities
    np.testing.assert_allclose(found, predict(net, store, "val", "center").probabilities, atol=0.02)


def test_unknown_views_and_splits_are_named(net, store) -> None:
    with pytest.raises(CommandError, match="center, ten"):
        predict(net, store, "val", "eleven")
    with pytest.raises(CommandError, match="train, val"):
        predict(net, store, "test")


def test_training_continues_after_a_test_as_if_there_had_been_none(store) -> None:
    net = make_net(store)
    net.model.train()
    predict(net, store, "val", "center")
    assert net.model.training
    images = torch.zeros(2, 72, 72, 3, dtype=torch.uint8)
    inputs = net.preprocessing.test_input(images, np.array([[0, 0, 0]]))
    net.model(inputs).sum().backward()
    assert net.model.fc2.weight.grad is not None

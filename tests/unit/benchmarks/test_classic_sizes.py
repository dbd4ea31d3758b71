"""What a whole run needs, computed from the recipes."""

from __future__ import annotations

import pytest

from alexnet.published.imagenet import IMAGENET_TRAINING_IMAGES
from benchmarks.classic import sizes


def test_the_sizes_of_a_run_on_imagenet() -> None:
    found = {row.name.removeprefix("sift-fv, "): row.value for row in sizes("sift-fv")}
    numbers = 256 * (2 * 64 + 1) * 4
    assert found["ILSVRC-2012 on disk at a time, float16"] == pytest.approx(
        2 * numbers * IMAGENET_TRAINING_IMAGES / 1e9
    )
    assert found["ILSVRC-2012 on disk at a time, quantized"] == pytest.approx(
        numbers / 8 * IMAGENET_TRAINING_IMAGES / 1e9
    )
    assert found["classifiers of 1,000 classes, all channels"] == pytest.approx(4e3 * 2 * numbers / 1e9)
    assert found["classifiers of 1,000 classes, largest channel"] == pytest.approx(4e3 * numbers / 1e9)


def test_only_the_largest_channel_is_on_the_disk() -> None:
    found = {row.name.partition(", ")[2]: row.value for row in sizes("sparse-coding")}
    vectors = 128 * (64 + 1) * 4
    assert found["ILSVRC-2012 on disk at a time, float16"] == pytest.approx(
        2 * vectors * IMAGENET_TRAINING_IMAGES / 1e9
    )

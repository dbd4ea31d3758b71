from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import statistics as twin

from alexnet.data.statistics import PixelStatistics, channel_products


def some_images(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Correlated channels, as in photos."""
    rng = np.random.default_rng(seed)
    gray = rng.integers(0, 200, (count, side, side, 1))
    return (gray + rng.integers(0, 56, (count, side, side, 3))).astype(np.uint8)


def statistics(images: np.ndarray) -> PixelStatistics:
    counted = PixelStatistics.empty(images.shape[1])
    for image in images:
        counted.add(image)
    return counted


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_statistics_equal_the_plain_formula(count: int, side: int, seed: int) -> None:
    images = some_images(count, side, seed)
    counted = statistics(images)
    np.testing.assert_allclose(counted.mean_image, twin.mean_image(images), rtol=1e-6)
    np.testing.assert_allclose(counted.channel_mean, twin.channel_mean(images), rtol=1e-12)
    np.testing.assert_allclose(counted.covariance, twin.covariance(images), rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("side", [256, 257])
def test_the_largest_products_are_exact(side: int) -> None:
    """All white: every partial sum is as large as possible."""
    white = np.full((side, side, 3), 255, np.uint8)
    assert np.array_equal(channel_products(white), np.full((3, 3), side * side * 255 * 255))


@given(st.permutations(range(6)), st.integers(0, 6))
@settings(max_examples=10)
def test_order_and_division_of_work_change_no_bit(order: list[int], cut: int) -> None:
    images = some_images(6, 20)
    merged = statistics(images[order[:cut]]) if cut else PixelStatistics.empty(20)
    merged.merge(statistics(images[order[cut:]]) if cut < 6 else PixelStatistics.empty(20))
    whole = statistics(images)
    assert merged.mean_image.tobytes() == whole.mean_image.tobytes()
    assert merged.covariance.tobytes() == whole.covariance.tobytes()


def test_axes_are_those_of_the_covariance() -> None:
    counted = statistics(some_images(4, 24))
    values, vectors = counted.axes()
    assert np.all(np.diff(values) < 0)
    np.testing.assert_allclose(vectors.T @ np.diag(values) @ vectors, counted.covariance, atol=1e-9)
    assert np.all(vectors.sum(1) > 0)


def test_statistics_round_trip(tmp_path: Path) -> None:
    counted = statistics(some_images(3, 16))
    (tmp_path / "sums.npz").write_bytes(counted.to_bytes())
    loaded = PixelStatistics.load(tmp_path / "sums.npz")
    assert loaded.count == 3
    assert np.array_equal(loaded.image, counted.image)
    assert np.array_equal(loaded.products, counted.products)

from __future__ import annotations

import numpy as np
import pytest

from alexnet.data.randomness import ImageRandomness, epoch_order
from alexnet.data.transforms import color_shifts, random_positions

COVARIANCE = np.array([[4900.0, 4500, 4100], [4500, 4800, 4600], [4100, 4600, 5200]])
VALUES, COLUMNS = np.linalg.eigh(COVARIANCE)
VECTORS = COLUMNS.T


def test_offsets_are_33_by_33_and_every_second_image_is_mirrored() -> None:
    y, x, mirrored = random_positions(256, 224, ImageRandomness(0, 0, np.arange(40_000)), mirror=True)[:, 0].T
    assert (y.min(), y.max(), x.min(), x.max()) == (0, 32, 0, 32)
    assert len(np.unique(y * 33 + x)) == 33 * 33
    assert abs(mirrored.mean() - 0.5) < 0.015
    correlations = np.corrcoef([y, x, mirrored]) - np.eye(3)
    assert np.abs(correlations).max() < 0.025


def test_mirror_can_be_off_and_does_not_move_the_crop() -> None:
    randomness = ImageRandomness(0, 3, np.arange(100))
    plain = random_positions(256, 224, randomness, mirror=False)[:, 0]
    assert plain[:, 2].sum() == 0
    assert np.array_equal(plain[:, :2], random_positions(256, 224, randomness, mirror=True)[:, 0, :2])


def test_one_draw_for_32_images_gives_four_positions_in_a_batch_of_128() -> None:
    randomness = ImageRandomness(0, 0, epoch_order(0, 0, 1000)[128:256], np.arange(128, 256))
    positions = random_positions(256, 224, randomness.shared(32), mirror=True)[:, 0]
    assert len(np.unique(positions, axis=0)) == 4
    for group in positions.reshape(4, 32, 3):
        assert len(np.unique(group, axis=0)) == 1


@pytest.mark.parametrize(("reading", "spread"), [("source", np.sqrt(VALUES)), ("paper", VALUES / 255)])
def test_color_shifts_spread_along_the_axes_of_the_colors(reading: str, spread: np.ndarray) -> None:
    shifts = color_shifts(ImageRandomness(0, 0, np.arange(50_000)), VALUES, VECTORS, 0.1, reading)  # type: ignore[arg-type]
    along = shifts.astype(np.float64) @ VECTORS.T
    np.testing.assert_allclose(along.std(0), 0.1 * spread, rtol=0.02)
    assert np.abs(np.corrcoef(along.T) - np.eye(3)).max() < 0.02
    assert np.all(np.abs(along.mean(0)) < 0.02 * 0.1 * spread)


def test_source_noise_of_the_published_deviations_is_seven_gray_levels() -> None:
    values = np.array([121.780, 37.094, 19.721]) ** 2
    direction = np.array([0.564, 0.576, 0.592])
    vectors = np.linalg.qr(np.column_stack([direction, [1.0, 0, 0], [0, 1.0, 0]]))[0].T
    shifts = color_shifts(ImageRandomness(0, 0, np.arange(20_000)), values, vectors, 0.1, "source")
    assert shifts.std() == pytest.approx(7.4, abs=0.15)

from __future__ import annotations

import numpy as np
import pytest
import reference.augment as twin
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.data import transforms
from alexnet.data.randomness import ImageRandomness, epoch_order
from alexnet.data.transforms import (
    color_jitter,
    erase,
    jitter_factors,
    pca_lighting,
    random_boxes,
    random_positions,
    random_resized_crop,
)

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
def test_pca_lighting_spread_along_the_axes_of_the_colors(reading: str, spread: np.ndarray) -> None:
    shifts = pca_lighting(ImageRandomness(0, 0, np.arange(50_000)), VALUES, VECTORS, 0.1, reading)  # type: ignore[arg-type]
    along = shifts.astype(np.float64) @ VECTORS.T
    np.testing.assert_allclose(along.std(0), 0.1 * spread, rtol=0.02)
    assert np.abs(np.corrcoef(along.T) - np.eye(3)).max() < 0.02
    assert np.all(np.abs(along.mean(0)) < 0.02 * 0.1 * spread)


def test_pca_lighting_of_the_source_with_published_deviations_is_seven_gray_levels() -> None:
    values = np.array([121.780, 37.094, 19.721]) ** 2
    direction = np.array([0.564, 0.576, 0.592])
    vectors = np.linalg.qr(np.column_stack([direction, [1.0, 0, 0], [0, 1.0, 0]]))[0].T
    shifts = pca_lighting(ImageRandomness(0, 0, np.arange(20_000)), values, vectors, 0.1, "source")
    assert shifts.std() == pytest.approx(7.4, abs=0.15)


AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)


def smooth_images(count: int, side: int) -> torch.Tensor:
    noise = torch.rand(count, 3, side // 4, side // 4, generator=torch.Generator().manual_seed(side)) * 255
    images = torch.nn.functional.interpolate(noise, (side, side), mode="bilinear")
    return images.permute(0, 2, 3, 1).to(torch.uint8).contiguous()


@given(st.integers(1, 300), st.integers(0, 2**31), st.floats(0.01, 1), st.floats(0.3, 3), st.floats(1, 4))
def test_boxes_lie_inside(side: int, seed: int, smallest: float, narrow: float, factor: float) -> None:
    randomness = ImageRandomness(seed, 0, np.arange(20))
    y, x, height, width = random_boxes(side, randomness, (smallest, 1.0), (narrow, narrow * factor)).T
    assert np.all((y >= 0) & (x >= 0) & (height >= 1) & (width >= 1))
    assert np.all((y + height <= side) & (x + width <= side))


def test_boxes_have_the_configured_areas_and_aspects() -> None:
    y, x, height, width = random_boxes(256, ImageRandomness(0, 0, np.arange(20_000)), AREA, ASPECT).T
    area, aspect = height * width / 256**2, width / height
    assert area.min() > 0.075 and area.max() == 1
    assert aspect.min() > 0.73 and aspect.max() < 1.37
    assert abs(np.log(aspect).mean()) < 0.01
    small = area < 0.5  # the largest fit only with some aspects, so they are drawn less often
    counts = np.histogram(area[small], bins=7, range=(0.08, 0.5))[0]
    assert counts.min() > 0.9 * counts.mean()
    assert abs((y - x).mean()) < 1.5


def test_boxes_that_never_fit_are_central_and_of_the_nearest_aspect() -> None:
    boxes = random_boxes(90, ImageRandomness(0, 0, np.arange(3)), (1.0, 1.0), (2.0, 3.0))
    assert boxes.tolist() == [[22, 0, 45, 90]] * 3


def test_resized_crops_equal_pillow_and_the_matrix_form() -> None:
    images = smooth_images(12, 64)
    randomness = ImageRandomness(0, 0, np.arange(12))
    squares = random_resized_crop(images, 56, randomness, AREA, ASPECT, mirror=True).numpy().astype(int)
    boxes, mirrored = random_boxes(64, randomness, AREA, ASPECT), randomness.integers("mirror", 2)
    assert 0 < mirrored.sum() < 12
    for image, square, box, flip in zip(images.numpy(), squares, boxes, mirrored, strict=True):
        assert np.abs(square - twin.resized_crop(image, tuple(box), 56, bool(flip))).max() <= 1
    matrices = transforms._resize_by_matrices(images, 56, boxes, mirrored)
    assert matrices.is_contiguous() and matrices.dtype == torch.uint8
    assert np.abs(matrices.numpy().astype(int) - squares).max() <= 1


def test_a_box_of_the_crops_size_is_copied() -> None:
    images = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    boxes, plain = np.array([[3, 5, 24, 24]]), np.array([0])
    for resize in (transforms._resize_one_by_one, transforms._resize_by_matrices):
        assert torch.equal(resize(images, 24, boxes, plain), images[:, 3:27, 5:29])


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0.05, 0.9))
def test_color_jitter_of_arrays_and_tensors_equals_three_steps(seed: int, strength: float) -> None:
    images = torch.rand(3, 6, 5, 3, generator=torch.Generator().manual_seed(seed)) * 255
    factors = jitter_factors(ImageRandomness(seed, 0, [4, 7, 8]), strength)
    assert np.all(np.abs(factors - 1) <= strength + 1e-6)
    photos = images.double().numpy()
    wanted = np.stack([twin.color_jitter(image, *row) for image, row in zip(photos, factors, strict=True)])
    together, one = images.clone(), images[1].numpy().copy()
    color_jitter(together, torch.from_numpy(factors))
    color_jitter(one, factors[1])
    np.testing.assert_allclose(together.numpy(), wanted, atol=2e-3)
    np.testing.assert_allclose(one, wanted[1], atol=2e-3)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_erasing_sets_one_rectangle_to_zero(probability: float) -> None:
    erased = torch.ones(400, 40, 40, 3)
    erase(erased, ImageRandomness(0, 0, np.arange(400)), probability)
    holes = (erased == 0).numpy()
    assert np.array_equal(holes.all(-1), holes.any(-1))
    touched = 0
    for hole in holes.all(-1):
        rows, columns = hole.any(1), hole.any(0)
        assert np.array_equal(hole, rows[:, None] & columns[None, :])
        assert np.count_nonzero(np.diff(rows)) <= 2 and np.count_nonzero(np.diff(columns)) <= 2
        touched += bool(hole.any())
        assert hole.mean() < 0.45
    assert abs(touched / 400 - probability) < 0.08
    if probability:
        assert holes.mean() / (touched / 400) == pytest.approx(0.2, abs=0.03)

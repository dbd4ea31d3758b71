"""Histograms of oriented gradients against loops and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.feature import hog as skimage_hog

from alexnet.classic.descriptors import Hog, cell_histograms, centers, orientations, places
from tests.reference import hog as slow


def photo(side: int, seed: int = 0) -> torch.Tensor:
    """(1, 3, side, side) of smooth noise, on the scale 0..255."""
    noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.avg_pool2d(noise, 3, 1, 1)


@pytest.mark.parametrize(("step", "cell"), [(8, 4), (8, 6), (5, 3), (4, 8)])
def test_every_patch_is_what_loops_give(step: int, cell: int) -> None:
    side = 41
    image = photo(side)
    found = Hog(step, (4 * cell,)).describe(image)[0]
    starts = (places(side, 4 * cell, step) - 2 * cell).tolist()
    pixels = image[0].permute(1, 2, 0).double().numpy()
    expected = np.stack([slow.descriptor(pixels, top, left, cell) for top in starts for left in starts])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


def test_a_cells_unsigned_histogram_is_scikit_images() -> None:
    image = photo(48)
    bins, magnitudes = orientations(image)
    sums = cell_histograms(bins, magnitudes, 18, 8)[0]
    unsigned = (sums[:9] + sums[9:]).permute(1, 2, 0)
    expected = skimage_hog(
        image[0].permute(1, 2, 0).double().numpy(),
        orientations=9,
        pixels_per_cell=(8, 8),
        cells_per_block=(1, 1),
        block_norm="L2",
        feature_vector=False,
        channel_axis=-1,
    )[:, :, 0, 0]
    ours = unsigned / unsigned.norm(dim=2, keepdim=True)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-4)


def test_sizes_and_places_agree() -> None:
    descriptors, image = Hog(), photo(64)
    found = descriptors.describe(image)
    assert found.shape == (1, len(descriptors.centers(64)), descriptors.dimension)
    assert found.shape == (1, 6 * 6 + 5 * 5 + 4 * 4, 124)


def test_a_shift_of_brightness_changes_nothing() -> None:
    image = photo(40)
    moved = image - torch.tensor([120.0, 110.0, 100.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(Hog().describe(moved), Hog().describe(image), atol=1e-4, rtol=0)


@pytest.mark.parametrize("value", [0.0, 255.0, -117.3])
def test_one_color_is_zero(value: float) -> None:
    assert not Hog().describe(torch.full((2, 3, 40, 40), value)).any()


def test_a_photo_smaller_than_a_patch_has_none() -> None:
    assert Hog().describe(photo(12)).shape == (1, 0, 124)
    assert Hog().describe(photo(17)).shape == (1, 1, 124), "only the smallest size fits"
    assert len(centers(16, (16,), 8)) == 0

"""Local binary patterns against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.feature import local_binary_pattern

from alexnet.classic.descriptors import PATTERNS, LocalBinaryPatterns, gray_planes, patterns, places


def photo(side: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 255


def test_patterns_are_scikit_images() -> None:
    gray = torch.randint(0, 60_000, (2, 60, 50), generator=torch.Generator().manual_seed(1))
    found = patterns(gray.double())
    for image, ours in zip(gray, found, strict=True):
        expected = local_binary_pattern(image.numpy(), 8, 1, "nri_uniform")[1:-1, 1:-1]
        np.testing.assert_array_equal(ours.numpy(), expected)
    assert PATTERNS == 59


@pytest.mark.parametrize("step", [8, 5])
def test_a_descriptor_counts_the_patterns_of_its_patch(step: int) -> None:
    image = photo(50)
    lbp = LocalBinaryPatterns(step, (16, 24))
    found, where = lbp.describe(image)[0], lbp.centers(50)
    codes = torch.nn.functional.pad(patterns(gray_planes(image))[0], (1, 1, 1, 1), value=-1)
    assert found.shape == (len(where), 59)
    sizes = [size for size in (16, 24) for _ in range(len(places(50, size, step)) ** 2)]
    for descriptor, center, size in zip(found, where, sizes, strict=True):
        left, top = (round(float(at) * 50 - 0.5) - size // 2 for at in center)
        seen = codes[top : top + size, left : left + size]
        counts = torch.bincount(seen[seen >= 0], minlength=59)
        torch.testing.assert_close(descriptor**2, counts / counts.sum())


def test_shares_sum_to_one_and_brightness_does_not_matter() -> None:
    image = (photo(40) / 8).round() * 8
    found = LocalBinaryPatterns().describe(image)
    torch.testing.assert_close(found.square().sum(2), torch.ones(found.shape[:2]))
    assert torch.equal(LocalBinaryPatterns().describe(image * 0.5), found)


@pytest.mark.parametrize("value", [0.0, 255.0, -117.3])
def test_one_color_is_all_as_bright(value: float) -> None:
    found = LocalBinaryPatterns().describe(torch.full((2, 3, 40, 40), value))
    assert (found[:, :, 57] == 1).all()
    assert found.sum() == found.shape[0] * found.shape[1]


@pytest.mark.parametrize("side", [1, 2, 16])
def test_a_photo_smaller_than_a_patch_has_none(side: int) -> None:
    lbp = LocalBinaryPatterns()
    assert lbp.describe(photo(side)).shape == (1, 0, 59)
    assert len(lbp.centers(side)) == 0

"""Dense SIFT compared with OpenCV's and a reference; colors with a reference; flat and small photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import dense_sift as twin

from alexnet.classic.descriptors import (
    CELLS,
    CLIP,
    ORIENTATIONS,
    WINDOW,
    ColorMoments,
    DenseSift,
)
from alexnet.data.decode import LUMA_WEIGHTS

OPENCV_BLUR = (1.6**2 - 0.5**2) ** 0.5
"""Pixels: OpenCV brings photos from 0.5 to Lowe's 1.6 before it describes a key point of octave 0."""


def noise(side: int, seed: int = 0) -> torch.Tensor:
    """(1, 3, side, side), smooth enough to have edges."""
    coarse = torch.rand(1, 3, side // 3, side // 3, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(coarse, side, mode="bilinear").round()


def test_the_published_counts() -> None:
    """Lowe 2004, sections 6.1 and 6.2."""
    assert (ORIENTATIONS, CELLS, CLIP, WINDOW) == (8, 4, 0.2, 2.0)
    assert (DenseSift().dimension, ColorMoments().dimension) == (128, 96)


def opencv(gray: np.ndarray, descriptor: DenseSift, patch: int) -> np.ndarray:
    """OpenCV's at the same places: a key point's size is such that a cell is 1.5 of it."""
    centers = descriptor.centers(len(gray)).double() * len(gray) - 0.5
    points = [cv2.KeyPoint(float(x), float(y), patch / 6, 0.0) for x, y in centers.round().tolist()]
    kept, rows = cv2.SIFT_create().compute(gray, points)
    assert len(kept) == len(points)
    return rows


def similarities(gray: np.ndarray, patch: int) -> np.ndarray:
    descriptor = DenseSift(7, (patch,), blur=OPENCV_BLUR * 4 / patch)
    mine = descriptor.describe(torch.from_numpy(gray.copy()).float().expand(1, 3, -1, -1))[0].numpy()
    theirs = opencv(gray, descriptor, patch)
    seen = np.linalg.norm(mine, axis=1) > 0  # of flat patches OpenCV shows rounding errors, or nothing
    return (mine * theirs)[seen].sum(1) / np.linalg.norm(theirs[seen], axis=1)


@pytest.mark.parametrize("patch", [16, 24, 40])
def test_as_opencv_at_the_same_key_points(patch: int) -> None:
    """OpenCV rounds to bytes (512 to a descriptor of length one), which leaves cosines of 0.99998."""
    gray = noise(96)[0].mean(0).round().byte().numpy()
    assert similarities(gray, patch).min() > 0.9999


@pytest.mark.data
def test_as_opencv_on_photos(shared_data: Path) -> None:
    photos = sorted((shared_data / "imagenet-sample").rglob("*.[jJ][pP]*"))[:5]
    assert photos
    for photo in photos:
        gray = np.asarray(Image.open(photo).convert("L").resize((160, 160)))
        found = similarities(gray, 24)
        assert np.median(found) > 0.9999
        assert np.quantile(found, 0.01) > 0.999


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.sampled_from([16, 20]), st.integers(3, 9))
def test_as_the_reference(seed: int, patch: int, step: int) -> None:
    image = noise(27, seed).double()
    descriptor = DenseSift(step, (patch,))
    gray = np.einsum("chw,c->hw", image[0].numpy(), LUMA_WEIGHTS)
    places = descriptor.centers(27).double() * 27 - 0.5
    wanted = [
        twin.normalized(twin.sift(gray, round(x), round(y), patch / 4, descriptor.blur))
        for x, y in places.tolist()
    ]
    assert np.allclose(descriptor.describe(image)[0].numpy(), wanted, atol=1e-7)


def test_square_roots_of_shares() -> None:
    plain, root = DenseSift(8, (16,)).describe(noise(48)), DenseSift(8, (16,), root=True).describe(noise(48))
    assert torch.allclose(root**2, plain / plain.sum(-1, keepdim=True), atol=1e-6)


def test_brighter_is_the_same() -> None:
    image = noise(48)
    one, other = (DenseSift(8).describe(each) for each in (image, image - 117.3))
    assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 23.37, -101.1, 255.0])
@pytest.mark.parametrize("root", [False, True])
def test_flat_photos_have_zeros(level: float, root: bool) -> None:
    found = DenseSift(8, (16, 40), root).describe(torch.full((2, 3, 64, 64), level))
    assert found.shape[1] > 0
    assert (found == 0).all()


@pytest.mark.parametrize("level", [0.0, 23.37, -101.1, 255.0])
def test_flat_photos_have_their_color_and_no_deviation(level: float) -> None:
    found = ColorMoments(4, (16, 24, 40)).describe(torch.full((1, 3, 64, 64), level)).view(-1, 3, 2, 16)
    assert torch.allclose(found[:, :, 0], torch.tensor(level), atol=1e-3)
    assert 0 <= found[:, :, 1].min() <= found[:, :, 1].max() < 0.2


def test_the_faintest_edge_is_not_flat() -> None:
    image = torch.full((1, 3, 64, 64), 100.0)
    image[:, 2, :, 32:] += 1  # one level of blue
    for patch in (16, 24, 32, 40):
        found = DenseSift(8, (patch,)).describe(image)[0].norm(dim=1)
        assert found.max() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("descriptor", [DenseSift(4, (16, 24)), ColorMoments(4, (16, 24))])
@pytest.mark.parametrize("side", [1, 2, 8, 16, 17, 24, 25])
def test_small_photos(descriptor: DenseSift | ColorMoments, side: int) -> None:
    found = descriptor.describe(torch.rand(2, 3, side, side) * 255)
    sizes = sum(side > patch for patch in (16, 24))
    assert (found.shape[1] > 0) == (sizes > 0)
    assert found.shape == (2, len(descriptor.centers(side)), descriptor.dimension)
    assert found.isfinite().all()


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.sampled_from([16, 24]), st.integers(3, 9))
def test_colors_as_the_reference(seed: int, patch: int, step: int) -> None:
    image = noise(40, seed).double()
    descriptor = ColorMoments(step, (patch,))
    places = (descriptor.centers(40).double() * 40 - 0.5).round().int().tolist()
    wanted = [twin.colors(image[0].numpy(), x, y, patch) for x, y in places]
    assert np.allclose(descriptor.describe(image)[0].numpy(), wanted, atol=1e-5)

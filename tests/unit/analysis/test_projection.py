from __future__ import annotations

import numpy as np
import pytest

from alexnet.analysis.projection import principal_components, t_sne
from alexnet.errors import CommandError


def groups(each: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Three groups of points far from each other in 40 dimensions."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), each)
    centers = rng.normal(0, 10, (3, 40))
    return (centers[labels] + rng.normal(0, 1, (3 * each, 40))).astype(np.float32), labels


def test_principal_components_are_those_of_the_singular_values() -> None:
    vectors, _ = groups()
    found = principal_components(vectors, 2)
    centered = (vectors - vectors.mean(0)).astype(np.float64)
    left, values, _ = np.linalg.svd(centered, full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(left[:, :2] * values[:2]), rtol=1e-3, atol=1e-3)


def test_t_sne_keeps_groups_together_and_is_deterministic() -> None:
    vectors, labels = groups()
    points = t_sne(vectors)
    np.testing.assert_array_equal(points, t_sne(vectors))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (labels[distances.argmin(1)] == labels).all()


def test_too_few_images_are_refused() -> None:
    with pytest.raises(CommandError, match="four images"):
        t_sne(np.zeros((3, 5), np.float32))
    with pytest.raises(CommandError, match="do not have 2 components"):
        principal_components(np.zeros((1, 5), np.float32))

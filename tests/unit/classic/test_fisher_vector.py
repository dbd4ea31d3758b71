"""Principal components, mixtures and Fisher vectors against scikit-learn and scikit-image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage.feature import fisher_vector
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alexnet.classic.codebooks import DiagonalMixture
from alexnet.classic.compression import Pca
from alexnet.classic.encoders import FisherEncoder
from alexnet.classic.pipeline import count, pyramid_cells


def rows(number: int, size: int = 6, seed: int = 0) -> np.ndarray:
    """Rows in four clusters."""
    generator = np.random.default_rng(seed)
    heaps = generator.normal(0, 3, (4, size))
    return heaps[generator.integers(0, 4, number)] + generator.normal(0, 1, (number, size))


def test_components_as_scikit_learn_has_them() -> None:
    given = rows(300)
    mine, theirs = Pca(4, whiten=True).fit(given), PCA(4, whiten=True, svd_solver="full").fit(given)
    assert np.allclose(mine.explained_variance_, theirs.explained_variance_)
    signs = np.sign((np.asarray(mine.components_) * theirs.components_).sum(1))
    assert np.allclose(mine.transform(given), theirs.transform(given) * signs, atol=1e-8)


def test_components_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        Pca(2).fit(np.zeros((0, 6)))


def test_whitening_blows_up_no_rounding_errors() -> None:
    flat = np.zeros((50, 6))
    flat[:, 0] = np.arange(50)
    found = Pca(3, whiten=True).fit(flat).transform(flat)
    assert np.isfinite(found).all()
    assert np.abs(found[:, 1:]).max() == 0


@pytest.mark.parametrize("rounds", [1, 3, 30])
def test_a_mixture_as_scikit_learn_fits_it(rounds: int) -> None:
    given, first = rows(400), rows(4, seed=1)
    precisions = np.tile(1 / (given.var(0) + 1e-6), (4, 1))
    options: dict[str, Any] = {"tol": 0.0, "max_iter": rounds, "means_init": first}
    theirs = GaussianMixture(4, covariance_type="diag", weights_init=[0.25] * 4, **options)
    theirs.set_params(precisions_init=precisions)
    with pytest.warns(match="did not converge"):
        theirs.fit(given)
    mine = DiagonalMixture(4, **options).fit(given)
    for name in ("weights_", "means_", "covariances_"):
        assert np.allclose(getattr(mine, name), getattr(theirs, name), rtol=1e-6), name
    assert mine.lower_bound_ == pytest.approx(theirs.lower_bound_)
    assert np.allclose(mine.predict_proba(given), theirs.predict_proba(given), atol=1e-8)


def test_a_mixture_of_more_components_than_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="3 descriptors are fewer than the 4 components"):
        DiagonalMixture(4).fit(rows(3))
    with pytest.raises(ValueError, match="3 descriptors are fewer than the 4 components"):
        FisherEncoder(4, 6).learn(torch.zeros(3, 6), 0)


def test_a_mixture_of_equal_rows_is_finite() -> None:
    encoder = FisherEncoder(3, 4)
    encoder.learn(torch.zeros(30, 4), 0)
    found = encoder(torch.zeros(2, 5, 4), torch.ones(1, 5, dtype=torch.bool))
    assert found.isfinite().all()


@pytest.mark.parametrize("whole", [False, True])
def test_as_scikit_image(whole: bool) -> None:
    """Its gradients on deviations have the other sign."""
    theirs = GaussianMixture(4, covariance_type="diag", random_state=0).fit(rows(400))
    encoder = FisherEncoder(4, 6).double()
    for name, values in (("weights", "weights_"), ("means", "means_"), ("variances", "covariances_")):
        getattr(encoder, name).copy_(torch.from_numpy(getattr(theirs, values)))
    photo = rows(90, seed=2)
    inside = torch.ones(1, 90, dtype=torch.bool) if whole else torch.arange(90)[None] < 40
    mine = encoder(torch.from_numpy(photo)[None], inside)[0].numpy()
    wanted = fisher_vector(photo[inside[0].numpy()], theirs, improved=True)
    wanted[4 + 4 * 6 :] *= -1
    assert np.allclose(mine, wanted, atol=1e-6)


def test_cells_are_coded_each_for_itself() -> None:
    encoder = FisherEncoder(4, 6)
    encoder.learn(torch.from_numpy(rows(200)).float(), 0)
    photos = torch.from_numpy(rows(120)).float().view(2, 60, 6)
    inside = torch.rand(5, 60, generator=torch.Generator().manual_seed(0)) < 0.4
    inside[3] = False
    together = encoder(photos, inside).view(2, 5, -1)
    for number, cell in enumerate(inside):
        for photo in range(2):
            alone = encoder(photos[photo, cell][None], torch.ones(1, int(cell.sum()), dtype=torch.bool))
            assert torch.allclose(together[photo, number], alone[0], atol=1e-5)
    assert (together[:, 3] == 0).all()


def test_float32_is_near_float64() -> None:
    encoder, photo = FisherEncoder(4, 6), torch.from_numpy(rows(90))
    encoder.learn(torch.from_numpy(rows(200)).float(), 0)
    everywhere = torch.ones(1, 90, dtype=torch.bool)
    single = encoder(photo.float()[None], everywhere)
    assert torch.allclose(single.double(), encoder.double()(photo[None], everywhere), atol=1e-3)


def test_the_estimators_keep_scikit_learns_contract() -> None:
    estimator = DiagonalMixture(4, reg_covar=1e-3, random_state=3)
    assert clone(estimator).get_params() == estimator.get_params()
    steps = make_pipeline(StandardScaler(), clone(Pca(3)), clone(DiagonalMixture(2, max_iter=5)))
    assert steps.fit(rows(100)).predict_proba(rows(20)).shape == (20, 2)
    assert steps.set_params(pca__n_components=2).get_params()["pca__n_components"] == 2


def test_a_pyramid_shares_the_places_out() -> None:
    """3x1 is three rows."""
    centers = torch.tensor([[0.5, 0.1], [0.5, 0.5], [0.1, 0.9], [0.9, 0.9]])
    found = pyramid_cells(("1x1", "3x1", "2x2"), centers)
    assert count(("1x1", "3x1", "2x2")) == len(found) == 8
    assert found[0].all()
    assert found[1:4].int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]]
    assert (found[4:].sum(0) == 1).all()

"""Projections of features to two dimensions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from alexnet.errors import CommandError

PERPLEXITY = 30.0
"""Effective number of neighbors of t-SNE (van der Maaten and Hinton 2008, section 3: 5 to 50)."""
_ALIKE = 1e-6
"""Differences of this size, relative to the largest value, are those of rounding."""
FIRST_COMPONENTS = 50
"""Principal components that t-SNE starts from (van der Maaten and Hinton 2008, section 4.2: 30)."""


def principal_components(
    vectors: npt.NDArray[np.float32], count: int = 2, seed: int = 0
) -> npt.NDArray[np.float32]:
    """(N, count) from (N, D): the centered vectors along the directions of largest variance.

    Source: scikit-learn's PCA. CommandError if N or D is below `count`, or all vectors are alike.
    """

    if min(vectors.shape) < count:
        raise CommandError(
            f"{vectors.shape[0]:,} vectors of {vectors.shape[1]:,} dimensions do not have {count} components"
        )
    _refuse_alike(vectors)
    return PCA(count, random_state=seed).fit_transform(np.asarray(vectors)).astype(np.float32)


def t_sne(vectors: npt.NDArray[np.float32], seed: int = 0) -> npt.NDArray[np.float32]:
    """(N, 2) from (N, D): neighbors in D dimensions remain neighbors; large distances mean little.

    Initialized with the principal components, so the same vectors give the same map on the same machine.
    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008; scikit-learn's Barnes-Hut
    form. CommandError for fewer than four vectors, and if all are alike, with which that form crashes.
    """

    if len(vectors) < 4:
        raise CommandError(f"a map needs at least four images, not {len(vectors)}")
    components = principal_components(vectors, min(FIRST_COMPONENTS, *vectors.shape), seed)
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(components)


def _refuse_alike(vectors: npt.NDArray[np.float32]) -> None:
    largest = float(np.abs(vectors).max())
    if not np.isfinite(largest):
        raise CommandError("there are features that are not finite numbers")
    if float(np.ptp(vectors, axis=0).max()) <= _ALIKE * largest:
        raise CommandError(f"all {len(vectors):,} images have the same features")

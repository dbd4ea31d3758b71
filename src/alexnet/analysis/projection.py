"""Features as points in a plane."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alexnet.errors import CommandError

PERPLEXITY = 30.0
"""As many near images does t-SNE try to keep (van der Maaten and Hinton 2008, section 3: 5 to 50)."""
FIRST_COMPONENTS = 50
"""What t-SNE is given: the first principal components (van der Maaten and Hinton 2008, section 4.2: 30)."""


def principal_components(
    vectors: npt.NDArray[np.float32], count: int = 2, seed: int = 0
) -> npt.NDArray[np.float32]:
    """(N, count) of (N, D): where the vectors lie along the directions of most variance, centerd.

    Source: scikit-learn's PCA. CommandError where there are fewer vectors or numbers than that.
    """
    from sklearn.decomposition import PCA

    if min(vectors.shape) < count:
        raise CommandError(
            f"{vectors.shape[0]:,} vectors of {vectors.shape[1]:,} numbers have no {count} components"
        )
    return PCA(count, random_state=seed).fit_transform(np.asarray(vectors)).astype(np.float32)


def t_sne(vectors: npt.NDArray[np.float32], seed: int = 0) -> npt.NDArray[np.float32]:
    """(N, 2) of (N, D): near each other what is near in D dimensions; what is far says little.

    Begins with the principal components, so that the same vectors give the same map on the same machine.
    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008; scikit-learn's Barnes-Hut
    form. CommandError for fewer than four vectors.
    """
    from sklearn.manifold import TSNE

    if len(vectors) < 4:
        raise CommandError(f"a map needs four images at least, not {len(vectors)}")
    given = principal_components(vectors, min(FIRST_COMPONENTS, *vectors.shape), seed)
    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(given)

"""The two augmentations of the paper (section 4.1): random squares with reflections, and PCA colour noise.

Both are drawn here and applied by `Preprocessing`: a square is a position (`views.cut` cuts it), colour noise
is a shift of each channel that joins the subtraction of the mean.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alexnet.data.randomness import ImageRandomness
from alexnet.data.views import Positions

SOURCE_NOISE_DIVISOR = 1.1
"""The 2012 source divides the whole input by this while colour noise is on."""


def random_positions(side: int, crop: int, randomness: ImageRandomness, mirror: bool) -> Positions:
    """(N, 1, 3): one position (y, x, mirrored) for each image, offsets 0 .. side - crop both included.

    At 256 and 224 these are 33 x 33 x 2; the paper's count of 2048 means 32 x 32 x 2, its source has 33.
    """
    offsets = side - crop + 1
    y, x = randomness.integers("crop y", offsets), randomness.integers("crop x", offsets)
    mirrored = randomness.integers("mirror", 2) * mirror
    return np.stack([y, x, mirrored], axis=1)[:, None]


def color_shifts(
    randomness: ImageRandomness,
    eigenvalues: NDArray[np.floating],
    eigenvectors: NDArray[np.floating],
    strength: float,
    reading: Literal["source", "paper"],
) -> NDArray[np.float32]:
    """(N, 3) grey levels (of 255) to add to the channels of each image.

    `eigenvalues` (3,) and `eigenvectors` (3, 3; a row each) are those of the covariance of colours of 0..255.
    `source`: a draw of N(0, 1) x strength on each axis times its standard deviation, as the program of 2012
    does; about 7 grey levels a channel. `paper`: times its eigenvalue, as section 4.1 says. Taken literally
    that would be some 850 grey levels, so the eigenvalues are those of pixels of 0..1, the one scale on which
    the sentence gives pictures; about 3 grey levels.
    """
    spread = np.sqrt(eigenvalues) if reading == "source" else 255 * (eigenvalues / 255**2)
    draws = randomness.normal("color noise", 3) * strength * spread
    return (draws @ eigenvectors).astype(np.float32)

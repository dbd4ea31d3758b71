"""How stored images become the model's input: the data section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DataConfig:
    """How stored images become the net's input; sizes in pixels."""

    image_size: int = 256
    """Side of the stored square; the store must have been prepared with it."""
    input_size: int = 224
    """Side of the square the net sees."""
    channels: int = 3
    """3 for color, 1 for gray; the store must have been prepared with as many."""
    max_images: int = 0
    """Training images, as many of each class; 0 is all. See `data.subset`; statistics are of all images."""
    scales: tuple[int, int] = (0, 0)
    """Range of the shorter side that a training photo is resized to before it is cropped, drawn anew for each
    photo and epoch; (0, 0) crops the stored square as it is. It wants a store of whole photos."""
    test_scales: tuple[int, ...] = ()
    """Shorter sides that a whole photo is tested at (`evaluate --views dense`), if no others are typed; empty
    is `test_scale` alone."""
    cropping: Literal["random", "random-resized", "center"] = "random"
    """Training crops: a random offset (paper, section 4.1), a random area and aspect (Szegedy 2014), none."""
    resized_area: tuple[float, float] = (0.08, 1.0)
    """Range of the area fraction of `random-resized`."""
    resized_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    """Range of the aspect ratio of `random-resized`."""
    images_per_draw: int = 1
    """Consecutive images that share one crop offset and mirroring; the 2012 source drew once per 32."""
    mirror: bool = True
    """Mirror every second image, at random."""
    pca_lighting: Literal["none", "source", "paper"] = "none"
    """PCA noise: standard deviations x strength, then / 1.1 (source); eigenvalues x strength (paper)."""
    pca_lighting_strength: float = 0.1
    color_jitter: float = 0.0
    """Brightness, contrast and saturation each multiplied by a draw from 1 -+ this; 0 is off."""
    random_erasing: float = 0.0
    """Probability that a random rectangle is set to the mean (Zhong 2017)."""
    normalization: Literal["mean-image", "channel-mean", "mean-and-std", "range"] = "mean-image"
    """Subtracted from 0..255 values; `mean-and-std` also divides by the channel's standard deviation.
    `range` knows no mean: it takes 0..255 to `data.range` in a straight line."""
    range: tuple[float, float] = (-0.1, 1.175)
    """What `range` makes of black and of white. LeCun 1998, section II.B: -0.1 and 1.175, for a mean of
    about 0 (and a variance of about 1, it says; of MNIST's 28 x 28 pixels it is 0.15)."""
    mean_position: Literal["center", "crop"] = "center"
    """Part of the mean image subtracted: always its center (2012 source) or the crop's place (Caffe)."""
    order: Literal["each-epoch", "once"] = "each-epoch"
    """Shuffle anew each epoch, or once for all epochs as the 2012 source did."""

    @property
    def test_scale(self) -> int:
        """Shorter side of a photo in the test, in pixels: that of training, or the middle of its range.

        Source: Simonyan and Zisserman 2014, section 4.1.
        """
        return (self.scales[0] + self.scales[1]) // 2 if any(self.scales) else self.image_size


def default_input_size(side: int, net: str = "alexnet") -> int:
    """The crop that goes with stored squares of `side` pixels, in the proportion of 224 to 256.

    OverFeat reads whole steps of 32 pixels, 231 of 256, with up to 3 more that it need not.
    """
    if net.startswith("overfeat"):
        read = 32 * ((side - 7) // 32) + 7
        return side if side < max(71, read + 4) else read
    return min(side, max(64, 8 * round(side * 7 / 64)))

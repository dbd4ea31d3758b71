"""How stored images become the model's input: the data section of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from alexnet.serialization import Range, range_checks


@dataclass(frozen=True)
class DataConfig:
    """How stored images become the model's input; sizes in pixels."""

    image_size: int = 256
    """Side of the stored square, or shorter side of the stored image. Follows from the store unless it is
    set."""
    input_size: Annotated[int, Range(at_least=1)] = 224
    """Side of the square that the model receives; at most `image_size`. Follows from the store unless it is
    set, in the recipe's proportion."""
    channels: int = 3
    """3 for color, 1 for gray; must be that of the store."""
    max_images: Annotated[int, Range(at_least=0)] = 0
    """Number of training images to use, the same number of each class; 0 is all. Statistics, such as the mean
    image, are those of all images."""
    train_splits: tuple[str, ...] = ("train",)
    """Splits whose images are trained on together. With `val` among them no images are left to validate on:
    the validation error of such a run is a training error."""
    scales: tuple[int, int] = (0, 0)
    """Range of the shorter side to which a training image is resized before it is cropped, drawn for each
    image and epoch; [0,0] crops the stored square as it is. Needs a store of whole images."""
    test_scales: tuple[int, ...] = ()
    """Shorter sides at which a whole image is tested (`evaluate --views dense`) unless others are given;
    empty is `test_scale` alone."""
    test_size: int = 0
    """Side to which the stored square is resized in tests, before the crops are cut; 0 keeps it as it is. So
    a store may have more pixels than the model reads, with `cropping=random-resized`. That crop shows objects
    larger in training than in tests of the same size; a larger one can make up for it (Touvron et al. 2019,
    arXiv:1906.06423)."""
    cropping: Literal["random", "random-resized", "center"] = "random"
    """Training crops: a random position (paper, section 4.1), a random area and aspect ratio (Szegedy 2014),
    or the center."""
    resized_area: Annotated[tuple[float, float], Range(above=0, at_most=1)] = (0.08, 1.0)
    """`random-resized`: range of the crop's area, as a fraction of the image."""
    resized_aspect: Annotated[tuple[float, float], Range(above=0)] = (3 / 4, 4 / 3)
    """`random-resized`: range of the crop's width divided by its height."""
    images_per_draw: Annotated[int, Range(at_least=1)] = 1
    """Consecutive images that share one crop position and mirroring; the 2012 source drew once per 32."""
    mirror: bool = True
    """Mirror each training image with probability 1/2."""
    pca_lighting: Literal["none", "source", "paper"] = "none"
    """Color noise along the principal components: standard deviations x strength, and inputs divided by
    1 + strength (source), or eigenvalues x strength (paper)."""
    pca_lighting_strength: Annotated[float, Range(at_least=0)] = 0.1
    """Standard deviation of the draws that `pca_lighting` multiplies (paper, section 4.1); with `source`,
    inputs are also divided by 1 + this."""
    color_jitter: Annotated[float, Range(at_least=0, below=1)] = 0.0
    """Brightness, contrast and saturation are each multiplied by a draw from 1 -+ this; 0 is off."""
    random_erasing: Annotated[float, Range(at_least=0, at_most=1)] = 0.0
    """Probability that a random rectangle of the normalized image is set to 0 (Zhong 2017): to the mean, or
    with `normalization=range` to the gray level that `range` maps to 0."""
    normalization: Literal["mean-image", "channel-mean", "mean-and-std", "range"] = "mean-image"
    """What is subtracted from values of 0..255; `mean-and-std` also divides by each channel's standard
    deviation. `range` uses no statistics: it maps 0..255 linearly to `data.range`."""
    color_mean: tuple[float, ...] = ()
    """`channel-mean` and `mean-and-std`: what is subtracted from each channel, in gray levels 0..255; empty
    is the mean of the store's training images. With `--init-from` it is that of the model whose weights are
    copied, unless it is set."""
    color_std: tuple[float, ...] = ()
    """`mean-and-std`: what each channel is divided by, in gray levels above 0; empty and `--init-from` as for
    `color_mean`."""
    range: tuple[float, float] = (-0.1, 1.175)
    """`range`: the values of black and of white. LeCun 1998, section II.B: -0.1 and 1.175, for a mean of
    about 0 (and a variance of about 1, according to the paper; on MNIST's 28 x 28 pixels it is 0.15)."""
    mean_position: Literal["center", "crop"] = "center"
    """Part of the mean image that is subtracted: always its center (2012 source) or the part at the position
    of the crop (Caffe)."""
    order: Literal["each-epoch", "once"] = "each-epoch"
    """Whether to shuffle in each epoch, or once for all epochs, as the 2012 source did."""
    sampling: Literal["uniform", "balanced"] = "uniform"
    """`uniform`: each image once per epoch. `balanced`: equally many images per class; images of small
    classes repeat within an epoch, those of large classes alternate between epochs. See also
    `training.class_weights`."""

    @property
    def repeats_images(self) -> bool:
        """Whether an image may occur several times in an epoch: random draws then depend on its position."""
        return self.sampling == "balanced"

    @property
    def test_scale(self) -> int:
        """Shorter side of an image in tests, in pixels: `test_size`, that of training, or the middle of its
        range.

        Source: Simonyan and Zisserman 2014, section 4.1.
        """
        if self.test_size:
            return self.test_size
        return (self.scales[0] + self.scales[1]) // 2 if any(self.scales) else self.image_size


def scaled_input_size(side: int, data: DataConfig) -> int:
    """The crop of stored squares of `side` pixels, in the proportion of `input_size` to `image_size`.

    It is rounded to a multiple of 8, and at least 64 pixels, or `input_size` if that is less, so that a model
    of several poolings can read it; where the square is smaller, it is the whole square. So 224 of 256 are
    112 of 128, 64 of 72 and 48 of 48. A configuration that uses the whole square does so at all sizes, and
    at its own size it keeps its own crop.
    """
    if side == data.image_size:
        return data.input_size
    if data.input_size == data.image_size:
        return side
    return min(side, max(min(64, data.input_size), 8 * round(side * data.input_size / data.image_size / 8)))


def data_checks(data: DataConfig) -> list[tuple[bool, str]]:
    """Pairs of a condition and the message if it does not hold, for `config.validate`."""
    return [
        *range_checks(data, "data."),
        (data.channels in (1, 3), f"data.channels={data.channels} must be 3 (color) or 1 (gray)"),
        (
            data.channels == 3 or (data.pca_lighting == "none" and data.color_jitter == 0),
            "gray images have no colors to change: type data.pca_lighting=none data.color_jitter=0",
        ),
        (
            bool(data.train_splits) and len({*data.train_splits}) == len(data.train_splits),
            f'data.train_splits={list(data.train_splits)} must be different splits, such as ["train","val"]',
        ),
        *(_scale_checks(data) if any(data.scales) else ()),
        *(_test_size_checks(data) if data.test_size else ()),
        (
            max(data.test_scales, default=0) <= 2 * data.image_size,
            f"data.test_scales={list(data.test_scales)} are more than twice "
            f"data.image_size={data.image_size}: "
            f"type data.test_scales=[{data.image_size},{3 * data.image_size // 2}], or [] for that size",
        ),
        *(
            (
                len(values) in (0, data.channels) and min(values, default=least) >= least,
                f"{name} must be {data.channels} numbers of at least {least}, or [] for the store's",
            )
            for name, values, least in (
                ("data.color_mean", data.color_mean, 0.0),
                ("data.color_std", data.color_std, 1.0),
            )
        ),
        (data.range[0] < data.range[1], "data.range must be ascending: black first, then white"),
        (
            data.sampling == "uniform" or data.order == "each-epoch",
            "data.sampling=balanced needs data.order=each-epoch: otherwise most images of large classes are "
            "never used",
        ),
        (data.resized_area[0] <= data.resized_area[1], "data.resized_area must be ascending"),
        (data.resized_aspect[0] <= data.resized_aspect[1], "data.resized_aspect must be ascending"),
    ]


def _test_size_checks(data: DataConfig) -> list[tuple[bool, str]]:
    """What must hold for stored squares that are resized for tests."""
    return [
        (
            data.input_size <= data.test_size <= 2 * data.image_size,
            f"data.test_size={data.test_size} must be from data.input_size={data.input_size} to twice "
            f"data.image_size={data.image_size}, or 0 for that size",
        ),
        (
            data.normalization != "mean-image",
            "data.test_size cannot use the mean image, which has one size: "
            "type data.normalization=channel-mean",
        ),
    ]


def _scale_checks(data: DataConfig) -> list[tuple[bool, str]]:
    """What must hold for images that are resized for training."""
    return [
        (
            data.input_size <= data.scales[0] <= data.scales[1] <= data.image_size,
            f"data.scales={list(data.scales)} must rise from data.input_size={data.input_size} or more to "
            f"data.image_size={data.image_size} or less: type "
            f"data.scales=[{data.image_size},{data.image_size}] for a store of whole photos, "
            "[0,0] for one of squares",
        ),
        (data.cropping == "random", "data.scales needs data.cropping=random"),
        (
            data.normalization != "mean-image",
            "data.scales cannot use the mean image, which has one scale: "
            "type data.normalization=channel-mean",
        ),
    ]

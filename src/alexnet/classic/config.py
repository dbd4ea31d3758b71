"""The classic section of a configuration: pipelines of local descriptors, codes and linear classifiers.

A pipeline is one or more channels whose probabilities are averaged: local descriptors on a dense grid, a
learned code for each image, linear classifiers on it. `SHARED_KEYS` lists the settings that are also
settings of networks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from alexnet.serialization import Range, range_checks

SHARED_KEYS = (
    "data.image_size",
    "data.input_size",
    "data.max_images",
    "data.train_splits",
    "optimizer.lr",
    "optimizer.weight_decay",
    "schedule.epochs",
    "schedule.patience_epochs",
    "training.seed",
    "training.batch_size",
    "training.log_every_steps",
    "training.checkpoint_every_minutes",
)
"""Settings of networks that a pipeline also has. Learning rate, weight decay, epochs, patience and batch size
are those of its classifiers; a step is a shard of images."""


@dataclass(frozen=True)
class Channel:
    """One kind of local descriptor, and how an image's descriptors become one vector."""

    descriptor: Literal["sift", "root-sift", "color", "hog", "lbp"] = "root-sift"
    """What describes a patch: SIFT, its square roots, color statistics, HOG, local binary patterns."""
    step: Annotated[int, Range(at_least=1)] = 4
    """Pixels between the centers of neighboring patches."""
    patches: tuple[int, ...] = (16, 24, 32, 40)
    """Sides of the square patches in pixels; multiples of 4. Those that do not fit into an image are left
    out."""
    pca: Annotated[int, Range(at_least=0)] = 64
    """Dimensions to which a descriptor is reduced; 0 leaves it as it is."""
    encoding: Literal["fisher", "llc", "super-vector", "l1"] = "fisher"
    """The code of an image: Fisher vector, locality-constrained linear code, super-vector, or lasso."""
    codebook_size: Annotated[int, Range(at_least=1)] = 256
    """Components of the mixture, or words of the dictionary."""
    pyramid: tuple[str, ...] = ("1x1", "3x1")
    """Grids of cells, rows x columns, into which an image is divided; each cell has a code of its own."""


@dataclass(frozen=True)
class ClassicConfig:
    """A classic pipeline; what it learns of descriptors is fitted on a sample of bounded size."""

    channels: tuple[Channel, ...] = (Channel(),)
    """Each channel has its own classifiers; their calibrated probabilities are averaged."""
    sample_descriptors: Annotated[int, Range(at_least=1)] = 250_000
    """Descriptors on which a channel's reduction and codebook are fitted."""
    classifier: Literal["svm", "least-squares"] = "svm"
    """Linear classifiers: support vector machines by averaged SGD with early stopping, as published, or
    regularized least squares, solved exactly, which is better for few images: at most 10,000."""
    held_out: Annotated[float, Range(at_least=0, below=1)] = 0.1
    """Fraction of each class's training images held out for early stopping and calibration of `svm`."""
    codes: Literal["float16", "pq"] = "float16"
    """How the images' vectors are stored for the classifier: float16, or product-quantized (a byte for 8
    numbers)."""


def classic_hint(key: str, recipe: str, is_classic: bool) -> str:
    """Why a recipe has no setting `classic.KEY`; empty if the reason is not known."""
    if not is_classic:
        return f"classic.* is for pipelines such as sift-fv, which {recipe} is not"
    if key in {each.name for each in fields(Channel)}:
        return (
            f"{key} belongs to each channel: type classic.channels whole, as a JSON list, which "
            f"`alexnet config {recipe}` prints"
        )
    return ""


def classic_checks(config: ClassicConfig) -> list[tuple[bool, str]]:
    """Pairs of a condition and the message if it does not hold, for `config.validate`."""
    return [
        (len(config.channels) >= 1, "classic.channels must have at least one channel"),
        *range_checks(config, "classic."),
        *(check for channel in config.channels for check in _channel_checks(channel)),
    ]


def _channel_checks(channel: Channel) -> list[tuple[bool, str]]:
    what = f"classic.channels: {channel.descriptor} has"
    return [
        *range_checks(channel, f"{what} "),
        (
            bool(channel.patches) and all(side >= 4 and side % 4 == 0 for side in channel.patches),
            f"{what} patches={list(channel.patches)}, which must be multiples of 4",
        ),
        (
            bool(channel.pyramid)
            and all(re.fullmatch(r"[1-9]\d*x[1-9]\d*", each) for each in channel.pyramid),
            f'{what} pyramid={list(channel.pyramid)}, which must be rows x columns, such as "3x1"',
        ),
    ]

"""The part of a run's configuration that only classic pipelines have.

A pipeline is one or more channels fused late: local descriptors on a dense grid, a learned code for each
photo and linear classifiers on it. What it shares with nets keeps its name (`SHARED`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

SHARED = (
    *("data.image_size", "data.input_size", "data.max_images"),
    *("optimizer.lr", "optimizer.weight_decay", "schedule.epochs", "schedule.patience_epochs"),
    *(
        "training.seed",
        "training.batch_size",
        "training.log_every_steps",
        "training.checkpoint_every_minutes",
    ),
)
"""What a pipeline takes of the configuration of nets. Rate, decay, epochs, patience and batch are those of
its classifiers; a step is a shard of photos."""


@dataclass(frozen=True)
class Channel:
    """One kind of local descriptor, how a photo's descriptors become one vector, and of what size."""

    descriptor: Literal["sift", "root-sift", "color", "hog", "lbp"] = "root-sift"
    step: int = 4
    """Pixels between the centers of neighboring patches."""
    patches: tuple[int, ...] = (16, 24, 32, 40)
    """Sides in pixels of the square patches that are described; multiples of 4. One fits where the photo is
    larger; of several sizes those that fit are used."""
    pca: int = 64
    """Numbers that a descriptor is reduced to; 0 leaves it as it is."""
    encoding: Literal["fisher", "llc", "super-vector", "l1"] = "fisher"
    words: int = 256
    """Components of the mixture, or atoms of the dictionary."""
    pyramid: tuple[str, ...] = ("1x1", "3x1")
    """Rows x columns of cells that a photo is cut into; each cell has a code of its own."""


@dataclass(frozen=True)
class ClassicConfig:
    """A classic pipeline; the descriptors' learned parts are fitted on a sample of bounded size."""

    channels: tuple[Channel, ...] = (Channel(),)
    """Each has classifiers of its own; their calibrated probabilities are averaged."""
    sample_descriptors: int = 250_000
    """Local descriptors that the reduction and the mixture or dictionary are fitted on, a channel."""
    held_out: float = 0.1
    """Share of each class's training photos kept for stopping the classifier early and for calibration."""
    codes: Literal["float16", "pq"] = "float16"
    """How photos' vectors wait for the classifier: float16, or product-quantized (a byte for 8 numbers)."""


def classic_hint(key: str, recipe: str, is_classic: bool) -> str:
    """Why there is no field `classic.KEY` in a recipe's configuration; empty where there is more to guess."""
    if not is_classic:
        return f"classic.* is of pipelines such as sift-fv, which {recipe} is not"
    if key in {each.name for each in fields(Channel)}:
        return (
            f"{key} is of each channel: type classic.channels whole, as a JSON list, which "
            f"`alexnet recipes {recipe}` prints"
        )
    return ""


def classic_checks(config: ClassicConfig) -> list[tuple[bool, str]]:
    """(holds, what is wrong where it does not), for `config.validate`."""
    return [
        (len(config.channels) >= 1, "classic.channels must name at least one channel"),
        (config.sample_descriptors >= 1, "classic.sample_descriptors must be at least 1"),
        (0 <= config.held_out < 1, "classic.held_out must be in [0, 1)"),
        *(check for channel in config.channels for check in _channel_checks(channel)),
    ]


def _channel_checks(channel: Channel) -> list[tuple[bool, str]]:
    what = f"classic.channels: {channel.descriptor} has"
    return [
        (channel.step >= 1, f"{what} step={channel.step}, which must be at least 1"),
        (
            bool(channel.patches) and all(side >= 4 and side % 4 == 0 for side in channel.patches),
            f"{what} patches={list(channel.patches)}, which must be multiples of 4",
        ),
        (channel.pca >= 0, f"{what} pca={channel.pca}, which must be at least 0"),
        (channel.words >= 1, f"{what} words={channel.words}, which must be at least 1"),
        (
            bool(channel.pyramid)
            and all(re.fullmatch(r"[1-9]\d*x[1-9]\d*", each) for each in channel.pyramid),
            f'{what} pyramid={list(channel.pyramid)}, which must be rows x columns, such as "3x1"',
        ),
    ]

"""BVLC's AlexNet and CaffeNet: a `.caffemodel`, and the mean image that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from alexnet import published, recipes
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.exchange import caffe_file
from alexnet.exchange.foreign import NO_COLOR_STATISTICS, about, put_together
from alexnet.models.convert import from_caffe
from alexnet.models.model_file import Loaded

RECIPES = {"caffe": "alexnet-caffe", "caffenet": "caffenet"}
"""By variant."""


def read(path: Path, mean: Path | None = None, variant: str = "", classes: Sequence[Class] = ()) -> Loaded:
    """The net in a `.caffemodel`, by default with ImageNet's classes, to be shown photos as Caffe does.

    `mean` is a `.binaryproto` with the mean image; without it the mean colour of Caffe's own is subtracted.
    `variant`, `caffe` or `caffenet`, is for files that do not say which of the two they are. CommandError
    where there is no file, or where `variant` or `classes` are wanted; DataError where the file is another.
    """
    if variant and variant not in RECIPES:
        raise CommandError(f"no variant {variant!r} of Caffe's; it must be {' or '.join(RECIPES)}")
    net = caffe_file.read_net(path)
    config = recipes.get(RECIPES[variant or _variant(path, net)])
    if mean is None:
        config = replace(config, data=replace(config.data, normalization="channel-mean"))
    preprocessing = Preprocessing(
        data=config.data,
        mean=torch.tensor(published.CAFFE_CHANNEL_MEANS)
        if mean is None
        else _mean_image(mean, config.data.side),
        std=torch.ones(3),
        resized={"shape": "square", "resize": "warp", "resampling": "bilinear"},
        channels="BGR",
        **NO_COLOR_STATISTICS,
    )
    with about(path):
        weights = from_caffe({layer.name: tuple(map(torch.from_numpy, layer.blobs)) for layer in net.layers})
    return put_together(path, config, preprocessing, weights, classes)


def _variant(path: Path, net: caffe_file.Net) -> str:
    """By the order of layers, else by the net's name: CaffeNet pools before it normalises."""
    order = [layer.name for layer in net.layers if layer.name in ("norm1", "pool1")]
    if sorted(order) == ["norm1", "pool1"]:
        return "caffe" if order[0] == "norm1" else "caffenet"
    by_name = {"AlexNet": "caffe", "CaffeNet": "caffenet"}
    if net.name in by_name:
        return by_name[net.name]
    raise CommandError(
        f"{path} does not say whether it is AlexNet or CaffeNet: type --variant caffe or --variant caffenet"
    )


def _mean_image(path: Path, side: int) -> Tensor:
    """(side, side, 3), blue first, as the net sees colours."""
    found = torch.from_numpy(caffe_file.read_blob(path))
    if found.shape[-3:] != (3, side, side) or found.numel() != 3 * side * side:
        raise DataError(
            f"{path} is {tuple(found.shape)}: the mean image of this net is (1, 3, {side}, {side})"
        )
    return found.reshape(3, side, side).permute(1, 2, 0).contiguous()

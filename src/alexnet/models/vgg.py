"""VGG: small filters, many layers; the six configurations of the paper.

Source: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014
(arXiv:1409.1556), section 2.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, fx, nn

from alexnet.errors import CommandError
from alexnet.models.config import VGG_VARIANTS, VGGArchitecture, chosen
from alexnet.models.layers import init
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.linear import FullyConnected, slide
from alexnet.models.layers.local_response_norm import LocalResponseNorm

INIT_STD = 0.01
"""Standard deviation of the initial weights; `docs/deviations.md` explains how the paper's "10^-2 variance"
is interpreted."""
SMALLEST_CROP_PIXELS = 32
"""Smallest crop: five poolings reduce it to one pixel."""
FROM_A = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")
"""Layers of A from which deeper models are initialized: its first four convolutions and its last three layers
(section 3.1)."""


class VGG(nn.Module):
    """(N, 3, crop, crop) images -> (N, num_classes) logits.

    `variant` is a name in `VGG_VARIANTS`, or a `VGGArchitecture` such as
    `replace(VGG_VARIANTS["D"], batchnorm=True)`. `crop` is in pixels, 32 or more. `dropout` is the
    probability that a unit of fc6 or fc7 is dropped in training. Weights and maps are channels-last.

    CommandError if there is no such variant, or the crop is too small.
    """

    map_reduction = "mean"
    """How `class_map` is reduced to one prediction: softmax of the mean of its logits (section 3.2)."""

    def __init__(
        self,
        variant: str | VGGArchitecture = "D",
        num_classes: int = 1000,
        crop: int = 224,
        dropout: float = 0.5,
    ):
        super().__init__()
        if crop < SMALLEST_CROP_PIXELS:
            raise CommandError(f"crop {crop} is too small for VGG: use {SMALLEST_CROP_PIXELS} pixels or more")
        self.architecture = chosen(VGG_VARIANTS, variant, "vgg")
        self.num_classes, self.crop, self.dropout = num_classes, crop, dropout
        self.final_side = math.ceil(crop / self.map_step_pixels)
        self._add_layers()
        self.after = nn.ModuleDict({layer: self._stage(layer) for layer in self.layers[:-1]})
        self.initialize()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def layers(self) -> tuple[str, ...]:
        """`conv1_1` ..., `fc6`, `fc7`, `fc8`."""
        return (*self.architecture.convolutions, "fc6", "fc7", "fc8")

    @property
    def map_step_pixels(self) -> int:
        """Pixels between neighboring positions of `class_map`: 32, as each block halves its maps."""
        return 2 ** len(self.architecture.blocks)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of what `activations` returns, in order."""
        names: list[str] = []
        for layer in self.architecture.convolutions:
            names += [layer, self._pool(layer)] if self.architecture.ends_block(layer) else [layer]
        return (*names, "fc6", "fc7", "logits")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of preprocessed images (N, 3, crop, crop)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """(N, D): what fc8 reads, for preprocessed images (N, 3, crop, crop)."""
        hidden = self._maps(self._checked(images)).flatten(1)
        for layer in ("fc6", "fc7"):
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return hidden

    def forward_head(self, features: Tensor) -> Tensor:
        """Logits (N, num_classes) of `forward_features`."""
        return self.fc8(features)

    def class_map(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes, h, w) at every position of images (N, 3, H, W) of the crop's size or
        larger.

        The fully connected layers are applied as convolutions. A position corresponds to a crop of the image;
        positions are `map_step_pixels` apart, starting at the upper left corner. For an image of the crop's
        size the result is that of `forward`, as (N, num_classes, 1, 1). CommandError if the images are
        smaller.
        Source: section 3.2.
        """
        maps = self._maps(self._checked(images, larger=True))
        height, width = ((length - self.crop) // self.map_step_pixels for length in images.shape[2:])
        side = self.final_side
        maps = maps[
            :, :, : height + side, : width + side
        ]  # further windows would extend beyond the image's border
        for layer, window in (("fc6", side), ("fc7", 1)):
            maps = self.after[layer](slide(cast(nn.Linear, self.get_submodule(layer)), maps, window))
        return slide(self.fc8, maps, 1)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """The output of each layer of `layer_names` for preprocessed images (N, 3, crop, crop).

        `convN_M`, `fcN`: after ReLU, before any other step; `poolN`: the maps that the next block reads.
        """
        hidden, taps = self._checked(images), dict[str, Tensor]()
        for layer, stage in self.after.items():
            hidden = self.get_submodule(layer)(hidden.flatten(1) if layer == "fc6" else hidden)
            for word, step in stage.named_children():
                hidden = step(hidden)
                if word in ("relu", "pool"):
                    taps[layer if word == "relu" else self._pool(layer)] = hidden
        return {**taps, "logits": self.fc8(hidden)}

    def initialize(self) -> None:
        """Initializes every layer; biases are 0."""
        for name in self.layers:
            layer = cast(init.Weighted, self.get_submodule(name))
            match self.architecture.initialization:
                case "gaussian":
                    init.gaussian(layer, INIT_STD, 0.0)
                case "glorot":
                    init.glorot(layer)
                case "kaiming":
                    init.kaiming(layer)
                case "kaiming-convolutions" if isinstance(layer, nn.Conv2d):
                    init.kaiming(layer)
                case "kaiming-convolutions":
                    init.gaussian(layer, INIT_STD, 0.0)

    def _add_layers(self) -> None:
        widths, inputs = self.architecture.widths, 3
        for layer, size in self.architecture.convolutions.items():
            width = widths[self.architecture.block(layer)]
            self.add_module(layer, nn.Conv2d(inputs, width, size, padding=size // 2))
            inputs = width
        self.fc6 = FullyConnected(inputs * self.final_side**2, widths[-2])
        self.fc7 = FullyConnected(widths[-2], widths[-1])
        self.fc8 = FullyConnected(widths[-1], self.num_classes)

    def _stage(self, layer: str) -> FusedBlock:
        """The steps after `layer`."""
        return FusedBlock(OrderedDict(self._steps(layer)))

    def _steps(self, layer: str) -> Iterator[tuple[str, nn.Module]]:
        convolves = layer in self.architecture.convolutions
        if convolves and self.architecture.batchnorm:
            yield "batchnorm", nn.BatchNorm2d(self.architecture.widths[self.architecture.block(layer)])
        yield "relu", nn.ReLU(inplace=True)
        if layer == "conv1_1" and self.architecture.lrn:
            yield "lrn", LocalResponseNorm()
        if not convolves:
            yield "dropout", nn.Dropout(self.dropout)
        elif self.architecture.ends_block(layer):
            yield "pool", nn.MaxPool2d(2, stride=2, ceil_mode=True)

    def _maps(self, images: Tensor) -> Tensor:
        """(N, maps, h, w): the output of the last pooling."""
        maps = images
        for layer in self.architecture.convolutions:
            maps = self.after[layer](self.get_submodule(layer)(maps))
        return maps

    def _checked(self, images: Tensor, larger: bool = False) -> Tensor:
        """`images`, channels-last; CommandError if they are not of this model's crop, or `larger` ones."""
        if not isinstance(images, fx.Proxy):  # torch.fx follows the model without images
            self._refuse_others(images, larger)
        return images.contiguous(memory_format=torch.channels_last)

    def _refuse_others(self, images: Tensor, larger: bool) -> None:
        sides = images.shape[2:]
        fits = all(side >= self.crop if larger else side == self.crop for side in sides)
        if images.ndim != 4 or images.shape[1] != 3 or not fits:
            raise CommandError(
                f"images are {tuple(images.shape)}, this model was built for (N, 3, {self.crop}, {self.crop})"
                f"{' or larger' if larger else ''}: crop them, or build it with another crop "
                f"({SMALLEST_CROP_PIXELS} pixels or more)"
            )

    def _pool(self, layer: str) -> str:
        return f"pool{self.architecture.block(layer) + 1}"

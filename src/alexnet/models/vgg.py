"""VGG: small filters, many layers; the six configurations of the paper.

Source: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014
(arXiv:1409.1556), section 2.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from alexnet.errors import CommandError
from alexnet.models.layers import init
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.linear import FullyConnected, slide
from alexnet.models.layers.local_response_norm import LocalResponseNorm
from alexnet.models.variants import variant_of

DEVIATION = 0.01
"""Of the first weights; `docs/deviations.md` says how the paper's "10^-2 variance" is read."""
SMALLEST_CROP_PIXELS = 32
"""Five poolings leave one pixel of it."""
FROM_A = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc6", "fc7", "fc8")
"""What deeper nets begin with of A: its first four convolutions, its last three layers (section 3.1)."""


@dataclass(frozen=True)
class Variant:
    """One VGG: five blocks of convolutions with a pooling after each, then fc6, fc7, fc8."""

    blocks: tuple[tuple[int, ...], ...] = ((3,), (3,), (3, 3), (3, 3), (3, 3))
    """For each convolution of each block the side of its filters, 3 or 1 pixels."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 4096, 4096)
    """Maps of each block; units of fc6 and fc7."""
    lrn: bool = False
    """Response normalization after the first convolution, with the constants of 2012."""
    batchnorm: bool = False
    """After every convolution, which keeps its bias: not the paper's, but torchvision's `vgg11_bn` ..."""
    initialization: Literal["gaussian", "glorot", "kaiming-convolutions"] = "gaussian"
    """`gaussian`: the paper's. `glorot`: what it found later to need no pre-trained layers (section 3.1).
    `kaiming-convolutions`: He's, and for the fully connected layers the paper's, as in torchvision: with He's
    these answer so loudly that the first updates throw the net off."""

    @property
    def convolutions(self) -> dict[str, int]:
        """`conv1_1` ... `conv5_4`, in order, and the side of their filters."""
        return {
            f"conv{block}_{number}": size
            for block, sizes in enumerate(self.blocks, start=1)
            for number, size in enumerate(sizes, start=1)
        }

    def ends_block(self, layer: str) -> bool:
        """Whether a pooling follows that convolution."""
        return int(layer.partition("_")[2]) == len(self.blocks[_block(layer)])


VARIANTS = {
    "A": Variant(),
    "A-LRN": Variant(lrn=True),
    "B": Variant(5 * ((3, 3),)),
    "C": Variant(2 * ((3, 3),) + 3 * ((3, 3, 1),)),
    "D": Variant(2 * ((3, 3),) + 3 * ((3, 3, 3),)),
    "E": Variant(2 * ((3, 3),) + 3 * ((3, 3, 3, 3),)),
}
"""Table 1."""


class VGG(nn.Module):
    """(N, 3, crop, crop) images -> (N, num_classes) logits.

    `variant` is a `Variant` or a name with fields (`D`, `D batchnorm=yes`); `crop` is in pixels, 32 or more;
    `dropout` is the probability that a unit of fc6 or fc7 is silent in training. Weights and maps are laid
    out channels-last.
    """

    map_reduction = "mean"
    """How `class_map` becomes one answer: the softmax of the mean of its logits (section 3.2)."""

    def __init__(
        self, variant: str | Variant = "D", num_classes: int = 1000, crop: int = 224, dropout: float = 0.5
    ):
        super().__init__()
        if crop < SMALLEST_CROP_PIXELS:
            raise CommandError(f"crop {crop} is too small for VGG: use {SMALLEST_CROP_PIXELS} pixels or more")
        self.variant = variant_of(VARIANTS, variant, "vgg") if isinstance(variant, str) else variant
        _refuse_uneven(self.variant)
        self.num_classes, self.crop, self.dropout = num_classes, crop, dropout
        self.final_side = math.ceil(crop / self.map_step_pixels)
        self._add_layers()
        self.after = nn.ModuleDict({layer: self._stage(layer) for layer in self.layers[:-1]})
        self.initialize()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def layers(self) -> tuple[str, ...]:
        """`conv1_1` ..., `fc6`, `fc7`, `fc8`."""
        return (*self.variant.convolutions, "fc6", "fc7", "fc8")

    @property
    def map_step_pixels(self) -> int:
        """Image pixels from one place of `class_map` to the next: 32, as each block halves its maps."""
        return 2 ** len(self.variant.blocks)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of what `activations` gives, in order."""
        names: list[str] = []
        for layer in self.variant.convolutions:
            names += [layer, _pool(layer)] if self.variant.ends_block(layer) else [layer]
        return (*names, "fc6", "fc7", "logits")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of preprocessed images (N, 3, crop, crop)."""
        hidden = self._maps(self._checked(images)).flatten(1)
        for layer in ("fc6", "fc7"):
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return self.fc8(hidden)

    def class_map(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes, h, w) at every place of images (N, 3, H, W) that are the crop or larger.

        The fully connected layers are convolutions of the same weights. There is a place for each crop that
        lies in the image, `map_step_pixels` apart from the upper left corner on: at the crop itself it is
        `forward`, as (N, num_classes, 1, 1). CommandError where the images are smaller.
        Source: section 3.2.
        """
        maps = self._maps(self._checked(images, larger=True))
        height, width = ((length - self.crop) // self.map_step_pixels for length in images.shape[2:])
        side = self.final_side
        maps = maps[:, :, : height + side, : width + side]  # beyond, windows hang over the image's border
        for layer, window in (("fc6", side), ("fc7", 1)):
            maps = self.after[layer](slide(cast(nn.Linear, self.get_submodule(layer)), maps, window))
        return slide(self.fc8, maps, 1)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """What each layer of `layer_names` answers to preprocessed images (N, 3, crop, crop).

        `convN_M`, `fcN`: after ReLU, before anything else; `poolN`: the maps the next block reads.
        """
        hidden, taps = self._checked(images), dict[str, Tensor]()
        for layer, stage in self.after.items():
            hidden = self.get_submodule(layer)(hidden.flatten(1) if layer == "fc6" else hidden)
            for word, step in stage.named_children():
                hidden = step(hidden)
                if word in ("relu", "pool"):
                    taps[layer if word == "relu" else _pool(layer)] = hidden
        return {**taps, "logits": self.fc8(hidden)}

    def initialize(self) -> None:
        """Fills every layer anew; biases are 0."""
        for name in self.layers:
            layer = cast(init.Weighted, self.get_submodule(name))
            match self.variant.initialization:
                case "gaussian":
                    init.gaussian(layer, DEVIATION, 0.0)
                case "glorot":
                    init.glorot(layer)
                case "kaiming-convolutions" if isinstance(layer, nn.Conv2d):
                    init.kaiming(layer)
                case "kaiming-convolutions":
                    init.gaussian(layer, DEVIATION, 0.0)

    def _add_layers(self) -> None:
        widths, inputs = self.variant.widths, 3
        for layer, size in self.variant.convolutions.items():
            width = widths[_block(layer)]
            self.add_module(layer, nn.Conv2d(inputs, width, size, padding=size // 2))
            inputs = width
        self.fc6 = FullyConnected(inputs * self.final_side**2, widths[-2])
        self.fc7 = FullyConnected(widths[-2], widths[-1])
        self.fc8 = FullyConnected(widths[-1], self.num_classes)

    def _stage(self, layer: str) -> FusedBlock:
        """What follows `layer`."""
        return FusedBlock(OrderedDict(self._steps(layer)))

    def _steps(self, layer: str) -> Iterator[tuple[str, nn.Module]]:
        convolves = layer in self.variant.convolutions
        if convolves and self.variant.batchnorm:
            yield "batchnorm", nn.BatchNorm2d(self.variant.widths[_block(layer)])
        yield "relu", nn.ReLU(inplace=True)
        if layer == "conv1_1" and self.variant.lrn:
            yield "lrn", LocalResponseNorm()
        if not convolves:
            yield "dropout", nn.Dropout(self.dropout)
        elif self.variant.ends_block(layer):
            yield "pool", nn.MaxPool2d(2, stride=2, ceil_mode=True)

    def _maps(self, images: Tensor) -> Tensor:
        """(N, maps, h, w): what the last pooling leaves."""
        maps = images
        for layer in self.variant.convolutions:
            maps = self.after[layer](self.get_submodule(layer)(maps))
        return maps

    def _checked(self, images: Tensor, larger: bool = False) -> Tensor:
        """`images`, channels-last; CommandError where they are not of this net's crop, or `larger` ones."""
        sides = images.shape[2:]
        fits = all(side >= self.crop if larger else side == self.crop for side in sides)
        if images.ndim != 4 or images.shape[1] != 3 or not fits:
            raise CommandError(
                f"images are {tuple(images.shape)}, this net was built for (N, 3, {self.crop}, {self.crop})"
                f"{' or larger' if larger else ''}: crop them, or build it with another crop "
                f"({SMALLEST_CROP_PIXELS} pixels or more)"
            )
        return images.contiguous(memory_format=torch.channels_last)


def _block(layer: str) -> int:
    """Which block a convolution is in, from 0."""
    return int(layer.removeprefix("conv").partition("_")[0]) - 1


def _pool(layer: str) -> str:
    return f"pool{_block(layer) + 1}"


def _refuse_uneven(variant: Variant) -> None:
    if len(variant.widths) != len(variant.blocks) + 2:
        raise CommandError(
            f"a VGG of {len(variant.blocks)} blocks needs {len(variant.blocks) + 2} widths: one for each, "
            f"for fc6 and for fc7, not {len(variant.widths)}"
        )

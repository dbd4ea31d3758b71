"""AlexNet as it was run in 2012, as the paper describes it, and as others built it.

The variants are sets of constants, `ALEXNET_VARIANTS` of `alexnet.models.config`.

Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
2012; the released cuda-convnet configurations of its models.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import cast

import torch
from torch import fx, nn
from torch.nn.functional import conv2d

from alexnet.errors import CommandError
from alexnet.models.config import ALEXNET_VARIANTS, AlexNetArchitecture, BlockStep, chosen
from alexnet.models.layers import init
from alexnet.models.layers.convolution import AsymmetricPadConv2d
from alexnet.models.layers.dropout import MaskDropout
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.fused_kernel import PoolParams
from alexnet.models.layers.linear import FullyConnected, slide
from alexnet.models.layers.local_response_norm import LocalResponseNorm, SpatialResponseNorm
from alexnet.models.layers.pooling import filters_of_averages

READS_BOTH_TOWERS = ("conv1", "conv3", "conv6")
"""Convolutions that read the maps of both towers; in the others each tower reads its own. Source: section
3.5; net 146."""
POOLINGS = ("pool", "average")
"""Steps whose output is `poolN` among the activations."""
POOL_STRIDE = 2
"""Of all pooling windows, in pixels."""
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    # In place, because no operation before them needs its output for its gradient.
    "relu": lambda: nn.ReLU(inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class AlexNet(nn.Module):
    """(N, channels, crop, crop) images -> (N, num_classes) logits.

    `variant` is a name in `ALEXNET_VARIANTS`, or an `AlexNetArchitecture` such as
    `replace(ALEXNET_VARIANTS["2012"], towers=1)`. `crop` is in pixels, `AlexNetArchitecture.min_crop` or
    more, which is 64 for all named variants. `dropout` is the probability that a unit is dropped. `channels`
    is 3, or 1 for gray images. Weights and maps are channels-last, the fastest layout on CPUs and GPUs.

    CommandError if there is no such variant, or the crop is too small for it.
    """

    map_reduction = "mean"
    """How a class map is reduced to one prediction, as in `evaluation.views`."""

    def __init__(
        self,
        variant: str | AlexNetArchitecture = "2012",
        num_classes: int = 1000,
        crop: int = 224,
        dropout: float = 0.5,
        channels: int = 3,
    ):
        super().__init__()
        self.architecture = chosen(ALEXNET_VARIANTS, variant, "alexnet")
        self.num_classes, self.crop, self.dropout, self.channels = num_classes, crop, dropout, channels
        self._refuse_small()
        self.activate = _activation(self.architecture.activation)
        self.layers = self.architecture.layers
        if self.architecture.bottleneck:
            self.layers = (*self.layers[:-1], "bottleneck", "fc8")
        self._add_layers()
        self.after = nn.ModuleDict({layer: self._stage(layer) for layer in self.layers[:-1]})
        self.initialize()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of what `activations` returns, in order."""
        names: list[str] = []
        for layer in self.layers[:-1]:
            pooled = any(step in POOLINGS for step in self._steps(layer))
            names += [layer, f"pool{layer.removeprefix('conv')}"] if pooled else [layer]
        return (*names, "logits")

    @property
    def map_step_pixels(self) -> int:
        """Pixels between neighboring positions of a class map: 32, from conv1's stride of 4 and three
        poolings.
        """
        poolings = sum("pool" in self._steps(layer) for layer in self.architecture.layers[:-1])
        return self.architecture.conv1_stride * POOL_STRIDE**poolings

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of preprocessed images (N, channels, crop, crop)."""
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, D): what fc8 reads, for preprocessed images (N, channels, crop, crop)."""
        hidden = self._checked(images)
        for layer, stage in self.after.items():
            hidden = stage(self.get_submodule(layer)(hidden))
        return hidden

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of `forward_features`."""
        return self.fc8(features)

    def activations(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """The output of each layer of `layer_names` for preprocessed images (N, channels, crop, crop).

        `convN` and `fcN`: after the activation function (and batch normalization), before anything else, in
        particular before the test's dropout scaling. `poolN`: the maps the next layer reads. `bottleneck`:
        linear.
        """
        hidden, taps = self._checked(images), dict[str, torch.Tensor]()
        for layer, stage in self.after.items():
            hidden, pooled = self.get_submodule(layer)(hidden), False
            if layer == "bottleneck":
                taps[layer] = hidden
            for name, step in stage.named_children():
                if layer not in taps and name != "batchnorm":
                    taps[layer] = self.activate(hidden.clone())  # a copy: later steps work in place
                hidden = step(hidden)
                pooled = pooled or name in POOLINGS
                if pooled and name not in ("dropout", "flatten"):
                    taps[f"pool{layer.removeprefix('conv')}"] = hidden
        return {**taps, "logits": self.fc8(hidden)}

    def class_map(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes, h, w) at each position of preprocessed images (N, channels, H, W).

        H and W are the size of a crop or larger. The fully connected layers are applied as convolutions: fc6
        to each part of the last maps that is as large as those of a crop, the layers after it to each
        position. A position corresponds to a crop of the image; positions are `map_step_pixels` apart,
        starting at the upper left corner. An image of the crop's size has one position, with the logits of
        `forward` up to rounding. A position differs from `forward` of its crop only in what convolutions and
        poolings read around it: neighboring pixels instead of a border.
        Source: Sermanet et al. 2013, section 3.5. CommandError if the images are smaller than the crop.
        """
        hidden, last = self._at_least_a_crop(images), self.architecture.last_convolution
        first = self.layers.index(last) + 1  # the first fully connected layer
        for layer in self.layers[: first - 1]:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        height, width = ((length - self.crop) // self.map_step_pixels for length in images.shape[2:])
        side, maps = self._final_side(averaged=False), self._last_maps(last, hidden)
        maps = maps[
            :, :, : height + side, : width + side
        ]  # further windows would extend beyond the image's border
        places = self._at_each_place(self.layers[first], maps, side).permute(0, 2, 3, 1)
        hidden = places.flatten(0, 2)
        for layer in self.layers[first:-1]:
            hidden = hidden if layer == self.layers[first] else self.get_submodule(layer)(hidden)
            hidden = self.after[layer](hidden)
        logits = hidden if self.layers[first] == "fc8" else self.fc8(hidden)
        return logits.unflatten(0, places.shape[:3]).permute(0, 3, 1, 2)

    def initialize(self) -> None:
        """Initializes every layer as the variant's source does."""
        architecture = self.architecture
        values = zip(architecture.init_std, architecture.biases, strict=True)
        initial = dict(zip(architecture.places, values, strict=True))
        initial["bottleneck"] = initial["fc8"]
        for name in self.layers:
            std, bias = initial[name]
            layer = cast(init.Weighted, self.get_submodule(name))
            match architecture.initialization:
                case "gaussian":
                    init.gaussian(layer, std, bias)
                case "kaiming":
                    init.kaiming(layer)
                case "kaiming-with-biases":
                    init.kaiming(layer, bias)
                case "kaiming-convolutions" if isinstance(layer, nn.Conv2d):
                    init.kaiming(layer, bias)
                case "kaiming-convolutions":
                    init.gaussian(layer, std, bias)
                case "torch":
                    init.torch_default(layer)

    def _add_layers(self) -> None:
        """The convolutions and fully connected layers, without what follows them."""
        architecture, inputs = self.architecture, self.channels
        for layer in architecture.layers[:-1]:
            width = architecture.width(layer)
            bias = "batchnorm" not in self._steps(layer)  # batch normalization has its own
            if layer.startswith("conv"):
                self.add_module(layer, self._convolution(layer, inputs, width, bias))
            else:
                self.add_module(layer, FullyConnected(inputs, width, bias=bias))
            inputs = width * self._final_side() ** 2 if layer == architecture.last_convolution else width
        if architecture.bottleneck:
            self.bottleneck = FullyConnected(inputs, architecture.bottleneck)
        self.fc8 = FullyConnected(architecture.bottleneck or inputs, self.num_classes)

    def _convolution(self, layer: str, inputs: int, width: int, bias: bool) -> nn.Conv2d:
        if layer == "conv1":
            size, stride = self.architecture.conv1_size, self.architecture.conv1_stride
            if self.architecture.conv1_border == "around":
                return nn.Conv2d(inputs, width, size, stride=stride, padding=2, bias=bias)
            return AsymmetricPadConv2d(inputs, width, size, stride=stride, bias=bias)
        size = 5 if layer == "conv2" else 3
        # Paper, section 3.5: in the other layers each tower reads only its own maps.
        groups = 1 if layer in READS_BOTH_TOWERS else self.architecture.towers
        return nn.Conv2d(inputs, width, size, padding=size // 2, groups=groups, bias=bias)

    def _steps(self, layer: str) -> tuple[BlockStep, ...]:
        """The steps after `layer`; none after the bottleneck."""
        return () if layer == "bottleneck" else self.architecture.steps_after(layer)

    def _stage(self, layer: str) -> FusedBlock:
        """The steps after `layer` as modules."""
        steps: OrderedDict[str, nn.Module] = OrderedDict()
        for step in self._steps(layer):
            steps[step] = self._module(step, layer)
        if layer == self.architecture.last_convolution:
            steps["flatten"] = nn.Flatten()
        return FusedBlock(steps)

    def _module(self, step: BlockStep, layer: str) -> nn.Module:
        architecture = self.architecture
        match step:
            case "relu":
                return self.activate
            case "lrn":
                groups = architecture.towers if architecture.lrn_per_tower else 1
                return LocalResponseNorm(
                    architecture.lrn_n,
                    architecture.lrn_alpha,
                    architecture.lrn_beta,
                    architecture.lrn_k,
                    architecture.lrn_alpha_convention,
                    groups,
                )
            case "spatial":
                return SpatialResponseNorm()
            case "pool":
                pool = nn.MaxPool2d if architecture.pooling == "max" else nn.AvgPool2d
                return pool(architecture.pool_size, POOL_STRIDE, ceil_mode=architecture.ceil_mode)
            case "to6x6":
                return nn.AdaptiveAvgPool2d(6)
            case "average":
                return nn.AdaptiveAvgPool2d(1)
            case "batchnorm":
                width = architecture.width(layer)
                return nn.BatchNorm2d(width) if layer.startswith("conv") else nn.BatchNorm1d(width)
            case "dropout":
                inverted = architecture.dropout_form == "inverted"
                return nn.Dropout(self.dropout) if inverted else MaskDropout(self.dropout)

    def _last_maps(self, layer: str, hidden: torch.Tensor) -> torch.Tensor:
        """The last convolution's output as maps, before they are averaged and flattened for fc6."""
        hidden = self.get_submodule(layer)(hidden)
        for name, step in self.after[layer].named_children():
            hidden = hidden if name in ("to6x6", "average", "flatten") else step(hidden)
        return hidden

    def _at_each_place(self, layer: str, maps: torch.Tensor, side: int) -> torch.Tensor:
        """(N, C, H, W) -> (N, units, h, w): a fully connected layer applied to each part of `side` x `side`.

        If maps are averaged to 6 x 6 or 1 x 1 before it, so is each part.
        """
        linear, read = cast(FullyConnected, self.get_submodule(layer)), self._final_side()
        if side == read:
            return slide(linear, maps, side)
        weight = linear.weight.unflatten(1, (-1, read, read))
        return conv2d(maps, filters_of_averages(weight, side), linear.bias)

    def _final_side(self, averaged: bool = True) -> int:
        """Side of the maps that the first fully connected layer reads; without `averaged`, their side before
        they are averaged to 6 x 6 or 1 x 1.
        """
        around, stride = self.architecture.conv1_border == "around", self.architecture.conv1_stride
        beyond = self.crop - self.architecture.conv1_size
        side = 1 + ((beyond + 4) // stride if around else math.ceil(beyond / stride))
        pool = PoolParams(self.architecture.pool_size, POOL_STRIDE, self.architecture.ceil_mode)
        for layer in self.architecture.layers[:-1]:
            if "pool" in self._steps(layer):
                side = pool.side(side)
            if averaged and "to6x6" in self._steps(layer):
                side = 6
            if averaged and "average" in self._steps(layer):
                side = 1
        return side

    def _refuse_small(self) -> None:
        """CommandError if a crop would leave nothing for fc6 to read."""
        if self.crop < self.architecture.min_crop:
            raise CommandError(
                f"crop {self.crop} is too small for AlexNet: use {self.architecture.min_crop} pixels "
                "or more, or smaller filters in conv1, such as conv1_size=5 conv1_stride=1"
            )
        if self._final_side(averaged=False) < 1:
            raise CommandError(
                f"a crop of {self.crop} pixels leaves nothing for fc6 to read: use more pixels, or a "
                "smaller conv1_size or pool_size"
            )

    def _checked(self, images: torch.Tensor) -> torch.Tensor:
        """`images`, channels-last; CommandError if they are not a batch of this model's crop."""
        if not isinstance(images, fx.Proxy):  # torch.fx follows the model without images
            self._refuse_others(images)
        return images.contiguous(memory_format=torch.channels_last)

    def _refuse_others(self, images: torch.Tensor) -> None:
        wanted = (self.channels, self.crop, self.crop)
        if images.ndim == 3 and images.shape == wanted:
            raise CommandError(f"one image {wanted} without a batch dimension: pass images[None]")
        if images.ndim != 4 or images.shape[1:] != wanted:
            raise CommandError(
                f"images are {tuple(images.shape)}, this model was built for "
                f"(N, {', '.join(map(str, wanted))}): crop them, or build it with another crop "
                f"({self.architecture.min_crop} pixels or more)"
            )

    def _at_least_a_crop(self, images: torch.Tensor) -> torch.Tensor:
        """`images`, channels-last; CommandError if they are smaller than this model's crop."""
        if images.ndim != 4 or images.shape[1] != self.channels or min(images.shape[2:]) < self.crop:
            raise CommandError(
                f"images are {tuple(images.shape)}, a class map needs (N, {self.channels}, H, W) with "
                f"H and W of {self.crop} pixels, the model's crop, or more: enlarge them"
            )
        return images.contiguous(memory_format=torch.channels_last)


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise CommandError(f"unknown activation {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()

"""The AlexNets there are: each a set of constants, as run, as the paper has it, as others built it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import nn
from torch.nn.functional import conv2d

from alexnet.errors import CommandError
from alexnet.models.layers import init
from alexnet.models.layers.convolution import AsymmetricPadConv2d
from alexnet.models.layers.dropout import MaskDropout
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.linear import FullyConnected, slide
from alexnet.models.layers.local_response_norm import LocalResponseNorm, SpatialResponseNorm
from alexnet.models.layers.pooling import filters_of_averages
from alexnet.models.variants import variant_of


@dataclass(frozen=True)
class Variant:
    """One AlexNet: convolutions, then fc6 and fc7, then fc8, whose width is the number of classes.

    `stages` says what follows each layer but fc8, in order, joined by `+`. The words: `relu` (the
    activation function), `lrn` (across maps), `spatial` (within a map), `pool`, `batchnorm`, `dropout`, and
    `to6x6` (torchvision's adaptive average pooling).
    """

    stages: tuple[str, ...] = ("relu+lrn+pool", "relu+lrn+pool", "relu", "relu", "relu+pool") + 2 * (
        "relu+dropout",
    )
    widths: tuple[int, ...] = (96, 256, 384, 384, 256, 4096, 4096)
    towers: int = 2
    """Groups of conv2, conv4 and conv5; the others and the fully connected layers read both towers."""
    conv1_size: int = 11
    """Pixels across conv1's windows; 5, one pixel apart, suits photos of 32 pixels."""
    conv1_stride: int = 4
    conv1_border: Literal["right-bottom", "around"] = "right-bottom"
    """Zeros until the last window fits (3 pixels at 224, none at 227), or 2 on all sides (torchvision)."""
    pooling: Literal["max", "average"] = "max"
    """What `pool` takes of a window; the average is LeNet's sub-sampling without its weights."""
    pool_size: int = 3
    pool_rounds_up: bool = True
    lrn_k: float = 2.0
    lrn_alpha_convention: Literal["mean", "sum"] = "mean"
    lrn_per_tower: bool = True
    initialization: Literal["gaussian", "kaiming", "kaiming-with-biases", "torch"] = "gaussian"
    """`kaiming` begins with biases of 0, whatever `biases` say."""
    deviations: tuple[float, ...] = (0.01,) * 8
    """`gaussian`: standard deviation of each layer's first weights."""
    biases: tuple[float, ...] = (0, 1, 0, 1, 1, 1, 1, 0)
    """`gaussian` and `kaiming-with-biases`: each layer's first biases."""
    dropout_form: Literal["mask", "inverted"] = "mask"
    without: tuple[str, ...] = ()
    """Layers that are left out with what follows them: a convolution after the first, or fc7. The lists
    above keep their places."""

    @property
    def least_crop(self) -> int:
        """Pixels that a crop needs, so that something is left after three poolings: 64 with a stride of 4."""
        return 16 * self.conv1_stride

    @property
    def places(self) -> tuple[str, ...]:
        """`conv1` ... `conv5` (or `conv6`), `fc6`, `fc7`, `fc8`: what the lists' entries are of, in order."""
        return (*(f"conv{i}" for i in range(1, len(self.widths) - 1)), "fc6", "fc7", "fc8")

    @property
    def layers(self) -> tuple[str, ...]:
        """Those of `places` that the net has."""
        return tuple(place for place in self.places if place not in self.without)

    @property
    def last_convolution(self) -> str:
        """Whose maps fc6 reads."""
        return self.layers[self.layers.index("fc6") - 1]

    def width(self, layer: str) -> int:
        """Maps or units of a layer other than fc8."""
        return self.widths[self.places.index(layer)]


_NET_145 = Variant(
    stages=("lrn+pool+relu", "relu+lrn+spatial+pool", "relu", "relu", "pool+relu") + 2 * ("relu+dropout",),
    deviations=(0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
)
_CAFFE_DEVIATIONS = (0.01,) * 5 + (0.005, 0.005, 0.01)

VARIANTS: dict[str, Variant] = {
    # Net 145 of the released source: how it was run. Two normalizers in layer 2; layer 1 rectifies last.
    "2012": _NET_145,
    # Net 146, the "1 CNN*" of table 2: a sixth convolution over the last pooling layer.
    "2012-star": replace(
        _NET_145,
        stages=(*_NET_145.stages[:5], "relu", *_NET_145.stages[5:]),
        widths=(96, 256, 384, 384, 256, 256, 4096, 4096),
        deviations=(0.01, 0.01, 0.03, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
        biases=(0, 1, 0, 1, 1, 1, 1, 1, 0),
    ),
    # The text: every formula and constant of sections 3 to 5 to the letter.
    "paper": Variant(lrn_alpha_convention="sum"),
    # BVLC/caffe models/bvlc_alexnet.
    "caffe": Variant(
        lrn_k=1.0,
        lrn_per_tower=False,
        deviations=_CAFFE_DEVIATIONS,
        biases=(0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0),
        dropout_form="inverted",
    ),
    # BVLC/caffe models/bvlc_reference_caffenet: pools before it normalizes.
    "caffenet": Variant(
        stages=("relu+pool+lrn", "relu+pool+lrn", "relu", "relu", "relu+pool") + 2 * ("relu+dropout",),
        lrn_k=1.0,
        lrn_per_tower=False,
        deviations=_CAFFE_DEVIATIONS,
        dropout_form="inverted",
    ),
    # Krizhevsky 2014 (arXiv:1404.5997) as torchvision has it: one tower, no normalizers.
    "one-weird-trick": Variant(
        stages=("relu+pool", "relu+pool", "relu", "relu", "relu+pool+to6x6+dropout", "relu+dropout", "relu"),
        widths=(64, 192, 384, 256, 256, 4096, 4096),
        towers=1,
        conv1_border="around",
        pool_rounds_up=False,
        initialization="torch",
        dropout_form="inverted",
    ),
    # The same eight layers as one would build them today.
    "modern": Variant(
        stages=(
            *("batchnorm+relu+pool", "batchnorm+relu+pool", "batchnorm+relu", "batchnorm+relu"),
            *("batchnorm+relu+pool", "batchnorm+relu+dropout", "batchnorm+relu+dropout"),
        ),
        towers=1,
        initialization="kaiming",
        dropout_form="inverted",
    ),
}


def variant_named(text: str) -> Variant:
    """The variant of a name, with fields changed where the name goes on: `modern towers=2 pool_size=2`.

    Errors as `named_variants.variant_of`.
    """
    return variant_of(VARIANTS, text, "alexnet")


def refuse_uneven(variant: Variant) -> None:
    """CommandError where the variant's lists are not of one length each, or a layer is missing."""
    layers = len(variant.widths)
    found = (len(variant.stages), len(variant.deviations), len(variant.biases))
    size, stride = variant.conv1_size, variant.conv1_stride
    if not 1 <= stride <= size <= 8 * stride:
        raise CommandError(
            f"conv1_size={size} conv1_stride={stride}: windows are one stride across at least, eight at most"
        )
    if layers < 3 or found != (layers, layers + 1, layers + 1):
        raise CommandError(
            f"a variant with {layers} widths needs {layers} stages, {layers + 1} deviations and biases, "
            f"not {', '.join(map(str, found))}"
        )
    spare = {*variant.places[1 : layers - 2], "fc7"}
    needed = [layer for layer in variant.without if layer not in spare]
    if needed:
        raise CommandError(
            f"no AlexNet is without {needed[0]!r}: `without` may name {', '.join(sorted(spare))}"
        )


READS_BOTH_TOWERS = ("conv1", "conv3", "conv6")
"""Convolutions whose towers read all maps; in the others each reads its own. Source: section 3.5; net 146."""
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    # In place, because nothing upstream of them needs its output for its gradient.
    "relu": lambda: nn.ReLU(inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class AlexNet(nn.Module):
    """(N, channels, crop, crop) images -> (N, num_classes) logits; its layers are `Variant.layers`.

    `bottleneck` is the number of units of a linear layer between fc7 and fc8, for very many classes; 0 is
    none. `variant` is a `Variant` or a name (see `variant_named`); `crop` is in pixels,
    `Variant.least_crop` or more: 64 for all that have names; `dropout` is the probability that a unit is
    silent; `activation` is one of `ACTIVATIONS`, empty is ReLU; `channels` is 3, or 1 for gray images.
    Weights and maps are laid out channels-last, which is what CPUs and GPUs are fastest at.
    """

    map_reduction = "mean"
    """How the places of a class map become one answer, as in `evaluation.views`."""

    def __init__(
        self,
        variant: str | Variant = "2012",
        num_classes: int = 1000,
        crop: int = 224,
        dropout: float = 0.5,
        activation: str = "",
        bottleneck: int = 0,
        channels: int = 3,
    ):
        super().__init__()
        self.variant = variant_named(variant) if isinstance(variant, str) else variant
        refuse_uneven(self.variant)
        self.num_classes, self.crop, self.dropout, self.channels = num_classes, crop, dropout, channels
        self._refuse_small()
        self.activate = _activation(activation or "relu")
        self.layers = self.variant.layers
        if bottleneck:
            self.layers = (*self.layers[:-1], "bottleneck", "fc8")
        self._add_layers(bottleneck)
        self.after = nn.ModuleDict({layer: self._stage(layer) for layer in self.layers[:-1]})
        self.initialize()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of what `activations` gives, in order."""
        names: list[str] = []
        for layer in self.layers[:-1]:
            names += [layer, f"pool{layer[-1]}"] if "pool" in self._words(layer) else [layer]
        return (*names, "logits")

    @property
    def map_step_pixels(self) -> int:
        """From one place of a class map to the next: 32, of conv1's stride of 4 and three poolings."""
        poolings = sum("pool" in self._words(layer) for layer in self.variant.layers[:-1])
        return self.variant.conv1_stride * 2**poolings

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of preprocessed images (N, channels, crop, crop)."""
        hidden = self._checked(images)
        for layer, stage in self.after.items():
            hidden = stage(self.get_submodule(layer)(hidden))
        return self.fc8(hidden)

    def activations(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """What each layer of `layer_names` answers to preprocessed images (N, channels, crop, crop).

        `convN` and `fcN`: after the activation function (and batch normalization), before anything else, in
        particular before the test's dropout scaling. `poolN`: the maps the next layer reads. `bottleneck`:
        linear.
        """
        hidden, taps = self._checked(images), dict[str, torch.Tensor]()
        for layer, stage in self.after.items():
            hidden, pooled = self.get_submodule(layer)(hidden), False
            if layer == "bottleneck":
                taps[layer] = hidden
            for word, step in stage.named_children():
                if layer not in taps and word != "batchnorm":
                    taps[layer] = self.activate(hidden.clone())  # a copy: later steps work in place
                hidden = step(hidden)
                pooled = pooled or word == "pool"
                if pooled and word not in ("dropout", "flatten"):
                    taps[f"pool{layer[-1]}"] = hidden
        return {**taps, "logits": self.fc8(hidden)}

    def class_map(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes, h, w) at each place of preprocessed images (N, channels, H, W).

        H and W are the crop or larger.

        The net slides: fc6 reads each part of the last maps that is as large as those of a crop, the layers
        after it read each place alone. There is a place for each crop in the image, `map_step_pixels` apart
        from the upper left corner on: one at the crop itself, which is `forward` to rounding. A place differs
        from `forward` of its crop only by what convolutions and poolings see around it: neighboring pixels,
        where a crop alone has a border.
        Source: Sermanet et al. 2013, section 3.5. CommandError where the images are smaller than the crop.
        """
        hidden, sixth = self._at_least_a_crop(images), self.layers.index("fc6")
        *convolutions, last = self.layers[:sixth]
        for layer in convolutions:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        height, width = ((length - self.crop) // self.map_step_pixels for length in images.shape[2:])
        side, maps = self._final_side(averaged=False), self._last_maps(last, hidden)
        maps = maps[:, :, : height + side, : width + side]  # beyond, windows hang over the image's border
        places = self._fc6_at_each_place(maps, side).permute(0, 2, 3, 1)
        hidden = self.after["fc6"](places.flatten(0, 2))
        for layer in self.layers[sixth + 1 : -1]:
            hidden = self.after[layer](self.get_submodule(layer)(hidden))
        return self.fc8(hidden).unflatten(0, places.shape[:3]).permute(0, 3, 1, 2)

    def initialize(self) -> None:
        """Fills every layer anew, as the variant's source does."""
        variant = self.variant
        first = dict(zip(variant.places, zip(variant.deviations, variant.biases, strict=True), strict=True))
        first["bottleneck"] = first["fc8"]
        for name in self.layers:
            deviation, bias = first[name]
            layer = cast(init.Weighted, self.get_submodule(name))
            match variant.initialization:
                case "gaussian":
                    init.gaussian(layer, deviation, bias)
                case "kaiming":
                    init.kaiming(layer)
                case "kaiming-with-biases":
                    init.kaiming(layer, bias)
                case "torch":
                    init.torch_default(layer)

    def _add_layers(self, bottleneck: int) -> None:
        """The convolutions and fully connected layers, without what follows them."""
        variant, inputs = self.variant, self.channels
        for layer in variant.layers[:-1]:
            width = variant.width(layer)
            bias = "batchnorm" not in self._words(layer)  # which has one itself
            if layer.startswith("conv"):
                self.add_module(layer, self._convolution(layer, inputs, width, bias))
            else:
                self.add_module(layer, FullyConnected(inputs, width, bias=bias))
            inputs = width * self._final_side() ** 2 if layer == variant.last_convolution else width
        if bottleneck:
            self.bottleneck = FullyConnected(inputs, bottleneck)
        self.fc8 = FullyConnected(bottleneck or inputs, self.num_classes)

    def _convolution(self, layer: str, inputs: int, width: int, bias: bool) -> nn.Conv2d:
        if layer == "conv1":
            size, stride = self.variant.conv1_size, self.variant.conv1_stride
            if self.variant.conv1_border == "around":
                return nn.Conv2d(inputs, width, size, stride=stride, padding=2, bias=bias)
            return AsymmetricPadConv2d(inputs, width, size, stride=stride, bias=bias)
        size = 5 if layer == "conv2" else 3
        # Paper, section 3.5: elsewhere each tower reads its own maps only.
        groups = 1 if layer in READS_BOTH_TOWERS else self.variant.towers
        return nn.Conv2d(inputs, width, size, padding=size // 2, groups=groups, bias=bias)

    def _words(self, layer: str) -> list[str]:
        """What follows `layer`; nothing does the bottleneck."""
        if layer not in self.variant.layers:
            return []
        return self.variant.stages[self.variant.places.index(layer)].split("+")

    def _stage(self, layer: str) -> FusedBlock:
        """What follows `layer` as modules."""
        steps = OrderedDict((word, self._step(word, layer)) for word in self._words(layer))
        if layer == self.variant.last_convolution:
            steps["flatten"] = nn.Flatten()
        return FusedBlock(steps)

    def _step(self, word: str, layer: str) -> nn.Module:
        variant = self.variant
        match word:
            case "relu":
                return self.activate
            case "lrn":
                groups = variant.towers if variant.lrn_per_tower else 1
                return LocalResponseNorm(
                    k=variant.lrn_k, alpha_convention=variant.lrn_alpha_convention, groups=groups
                )
            case "spatial":
                return SpatialResponseNorm()
            case "pool":
                pool = nn.MaxPool2d if variant.pooling == "max" else nn.AvgPool2d
                return pool(variant.pool_size, stride=2, ceil_mode=variant.pool_rounds_up)
            case "to6x6":
                return nn.AdaptiveAvgPool2d(6)
            case "batchnorm":
                width = variant.width(layer)
                return nn.BatchNorm2d(width) if layer.startswith("conv") else nn.BatchNorm1d(width)
            case "dropout":
                inverted = variant.dropout_form == "inverted"
                return nn.Dropout(self.dropout) if inverted else MaskDropout(self.dropout)
            case _:
                raise CommandError(f"unknown step {word!r} after {layer}: see the words of Variant.stages")

    def _last_maps(self, layer: str, hidden: torch.Tensor) -> torch.Tensor:
        """The last convolution's answer as maps, before they are brought to fc6's size and form."""
        hidden = self.get_submodule(layer)(hidden)
        for word, step in self.after[layer].named_children():
            hidden = hidden if word in ("to6x6", "flatten") else step(hidden)
        return hidden

    def _fc6_at_each_place(self, maps: torch.Tensor, side: int) -> torch.Tensor:
        """(N, C, H, W) -> (N, units, h, w); where a crop's maps are averaged to 6 x 6, so is each part."""
        sixth, read = cast(FullyConnected, self.fc6), self._final_side()
        if side == read:
            return slide(sixth, maps, side)
        weight = sixth.weight.unflatten(1, (-1, read, read))
        return conv2d(maps, filters_of_averages(weight, side), sixth.bias)

    def _final_side(self, averaged: bool = True) -> int:
        """Pixels across a map that fc6 reads; with `averaged` off before it is averaged to 6 x 6."""
        around, stride = self.variant.conv1_border == "around", self.variant.conv1_stride
        beyond = self.crop - self.variant.conv1_size
        side = 1 + ((beyond + 4) // stride if around else math.ceil(beyond / stride))
        rounded = math.ceil if self.variant.pool_rounds_up else math.floor
        for layer in self.variant.layers[:-1]:
            if "pool" in self._words(layer):
                side = 1 + rounded((side - self.variant.pool_size) / 2)
            if averaged and "to6x6" in self._words(layer):
                side = 6
        return side

    def _refuse_small(self) -> None:
        """CommandError where nothing would be left of a crop for fc6 to read."""
        if self.crop < self.variant.least_crop:
            raise CommandError(
                f"crop {self.crop} is too small for AlexNet: use {self.variant.least_crop} pixels or more, "
                "or smaller windows in conv1, such as model.variant='2012 conv1_size=5 conv1_stride=1'"
            )
        if self._final_side(averaged=False) < 1:
            raise CommandError(
                f"nothing is left of a crop of {self.crop} pixels for fc6 to read: use more pixels, or a "
                "smaller conv1_size or pool_size"
            )

    def _checked(self, images: torch.Tensor) -> torch.Tensor:
        """`images`, channels-last; CommandError where they are not a batch of this net's crop."""
        wanted = (self.channels, self.crop, self.crop)
        if images.ndim == 3 and images.shape == wanted:
            raise CommandError(f"one image {wanted} without a batch dimension: pass images[None]")
        if images.ndim != 4 or images.shape[1:] != wanted:
            raise CommandError(
                f"images are {tuple(images.shape)}, this net was built for "
                f"(N, {', '.join(map(str, wanted))}): crop them, or build it with another crop "
                f"({self.variant.least_crop} pixels or more)"
            )
        return images.contiguous(memory_format=torch.channels_last)

    def _at_least_a_crop(self, images: torch.Tensor) -> torch.Tensor:
        """`images`, channels-last; CommandError where a crop of this net does not fit into them."""
        if images.ndim != 4 or images.shape[1] != self.channels or min(images.shape[2:]) < self.crop:
            raise CommandError(
                f"images are {tuple(images.shape)}, a class map is of (N, {self.channels}, H, W) with "
                f"H and W of {self.crop} pixels, the net's crop, or more: enlarge them"
            )
        return images.contiguous(memory_format=torch.channels_last)


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise CommandError(f"unknown activation {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()

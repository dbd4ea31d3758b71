"""AlexNet: five convolutions, three fully connected layers; as run, as the paper has it, as others built it.

Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", 2012.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import nn

from alexnet.config import from_dict
from alexnet.errors import CommandError
from alexnet.layers import initialise
from alexnet.layers.dropout import MaskDropout
from alexnet.layers.fully_connected import FullyConnected
from alexnet.layers.local_response_norm import LocalResponseNorm, SpatialResponseNorm
from alexnet.layers.overhang import OverhangingConv2d
from alexnet.layers.pooling import MaxPool
from alexnet.layers.stage import Stage
from alexnet.layers.two_towers import both_towers, own_tower

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
MINIMUM_CROP_PIXELS = 64
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    # In place, because nothing upstream of them needs its output for its gradient.
    "relu": lambda: nn.ReLU(inplace=True),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


@dataclass(frozen=True)
class Variant:
    """One AlexNet. `stages` says what follows each layer but the last, in order, joined by `+`.

    The words: `relu` (the activation function), `lrn` (across maps), `spatial` (within a map), `pool`,
    `batchnorm`, `dropout`, and `to6x6` (torchvision's adaptive average pooling).
    """

    stages: tuple[str, ...] = ("relu+lrn+pool", "relu+lrn+pool", "relu", "relu", "relu+pool") + 2 * (
        "relu+dropout",
    )
    widths: tuple[int, ...] = (96, 256, 384, 384, 256, 4096, 4096)
    towers: int = 2
    """Groups of conv2, conv4 and conv5; conv3 and the fully connected layers read both towers."""
    conv1_border: Literal["right-bottom", "around"] = "right-bottom"
    """Zeros until the last window fits (3 pixels at 224, none at 227), or 2 on all sides (torchvision)."""
    pool_size: int = 3
    pool_rounds_up: bool = True
    lrn_k: float = 2.0
    lrn_alpha_convention: Literal["mean", "sum"] = "mean"
    lrn_per_tower: bool = True
    initialisation: Literal["gaussian", "kaiming", "torch"] = "gaussian"
    deviations: tuple[float, ...] = (0.01,) * 8
    """`gaussian`: standard deviation of each layer's first weights."""
    biases: tuple[float, ...] = (0, 1, 0, 1, 1, 1, 1, 0)
    """`gaussian`: each layer's first biases."""
    dropout_form: Literal["mask", "inverted"] = "mask"


_CAFFE_DEVIATIONS = (0.01,) * 5 + (0.005, 0.005, 0.01)

VARIANTS: dict[str, Variant] = {
    # Net 145 of the released source: how it was run. Two normalisers in layer 2; layer 1 rectifies last.
    "2012": Variant(
        stages=("lrn+pool+relu", "relu+lrn+spatial+pool", "relu", "relu", "pool+relu")
        + 2 * ("relu+dropout",),
        deviations=(0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
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
    # BVLC/caffe models/bvlc_reference_caffenet: pools before it normalises.
    "caffenet": Variant(
        stages=("relu+pool+lrn", "relu+pool+lrn", "relu", "relu", "relu+pool") + 2 * ("relu+dropout",),
        lrn_k=1.0,
        lrn_per_tower=False,
        deviations=_CAFFE_DEVIATIONS,
        dropout_form="inverted",
    ),
    # Krizhevsky 2014 (arXiv:1404.5997) as torchvision has it: one tower, no normalisers.
    "one-weird-trick": Variant(
        stages=("relu+pool", "relu+pool", "relu", "relu", "relu+pool+to6x6+dropout", "relu+dropout", "relu"),
        widths=(64, 192, 384, 256, 256, 4096, 4096),
        towers=1,
        conv1_border="around",
        pool_rounds_up=False,
        initialisation="torch",
        dropout_form="inverted",
    ),
    # The same eight layers as one would build them today.
    "modern": Variant(
        stages=(
            *("batchnorm+relu+pool", "batchnorm+relu+pool", "batchnorm+relu", "batchnorm+relu"),
            *("batchnorm+relu+pool", "batchnorm+relu+dropout", "batchnorm+relu+dropout"),
        ),
        towers=1,
        initialisation="kaiming",
        dropout_form="inverted",
    ),
}


def variant_named(text: str) -> Variant:
    """The variant of a name, with fields changed where the name goes on: `modern towers=2 pool_size=2`.

    Lists are JSON without spaces: `2012 stages=["pool+relu",...]`. CommandError on unknown names.
    """
    name, *settings = text.split()
    if name not in VARIANTS:
        raise CommandError(f"unknown variant {name!r} of alexnet; it must be one of {', '.join(VARIANTS)}")
    changes: dict[str, Any] = {key: value for key, _, value in (text.partition("=") for text in settings)}
    parsed = from_dict(Variant, changes, "variant ")
    return replace(VARIANTS[name], **{key: getattr(parsed, key) for key in changes})


class AlexNet(nn.Module):
    """(N, 3, crop, crop) images -> (N, num_classes) logits; layers `conv1` ... `conv5`, `fc6`, `fc7`, `fc8`.

    `variant` is a name of `VARIANTS` (see `variant_named`) or a `Variant`; `crop` is in pixels, 64 or more;
    `dropout` is the probability that a unit is silent; `activation` is one of `ACTIVATIONS`, empty is ReLU.
    Weights and maps are laid out channels-last, which is what CPUs and GPUs are fastest at.
    """

    layer_names = (
        "conv1",
        "pool1",
        "conv2",
        "pool2",
        "conv3",
        "conv4",
        "conv5",
        "pool5",
        "fc6",
        "fc7",
        "logits",
    )

    def __init__(
        self,
        variant: str | Variant = "2012",
        num_classes: int = 1000,
        crop: int = 224,
        dropout: float = 0.5,
        activation: str = "",
    ):
        super().__init__()
        if crop < MINIMUM_CROP_PIXELS:
            raise CommandError(
                f"crop {crop} is too small for AlexNet: use {MINIMUM_CROP_PIXELS} pixels or more"
            )
        self.variant = variant_named(variant) if isinstance(variant, str) else variant
        self.num_classes, self.crop, self.dropout = num_classes, crop, dropout
        self.activate = _activation(activation or "relu")
        one, two, three, four, five, six, seven = self.variant.widths
        towers = self.variant.towers
        # A batch normalisation that follows has the bias.
        bias = ["batchnorm" not in words for words in self.variant.stages]
        if self.variant.conv1_border == "around":
            self.conv1 = both_towers(3, one, 11, stride=4, padding=2, bias=bias[0])
        else:
            self.conv1 = OverhangingConv2d(3, one, 11, stride=4, bias=bias[0])
        self.conv2 = own_tower(one, two, 5, padding=2, towers=towers, bias=bias[1])
        self.conv3 = both_towers(two, three, 3, padding=1, bias=bias[2])
        self.conv4 = own_tower(three, four, 3, padding=1, towers=towers, bias=bias[3])
        self.conv5 = own_tower(four, five, 3, padding=1, towers=towers, bias=bias[4])
        self.fc6 = FullyConnected(five * self._final_side() ** 2, six, bias=bias[5])
        self.fc7 = FullyConnected(six, seven, bias=bias[6])
        self.fc8 = FullyConnected(seven, num_classes)
        self.after = nn.ModuleDict({layer: self._stage(layer) for layer in LAYERS[:-1]})
        self.initialise()
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of preprocessed images (N, 3, crop, crop)."""
        hidden = self._checked(images)
        for layer, stage in self.after.items():
            hidden = stage(self.get_submodule(layer)(hidden))
        return self.fc8(hidden)

    def activations(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """What each layer of `layer_names` answers to preprocessed images (N, 3, crop, crop).

        `convN` and `fcN`: after the activation function (and batch normalisation), before anything else, in
        particular before the test's dropout scaling. `poolN`: the maps the next layer reads.
        """
        hidden, taps = self._checked(images), dict[str, torch.Tensor]()
        for layer, stage in self.after.items():
            hidden, pooled = self.get_submodule(layer)(hidden), False
            for word, step in stage.named_children():
                if layer not in taps and word != "batchnorm":
                    taps[layer] = self.activate(hidden.clone())  # a copy: later steps work in place
                hidden = step(hidden)
                pooled = pooled or word == "pool"
                if pooled and word not in ("dropout", "flatten"):
                    taps[f"pool{layer[-1]}"] = hidden
        return {**taps, "logits": self.fc8(hidden)}

    def initialise(self) -> None:
        """Fills every layer anew, as the variant's source does."""
        variant = self.variant
        for name, deviation, bias in zip(LAYERS, variant.deviations, variant.biases, strict=True):
            layer = cast(initialise.Weighted, self.get_submodule(name))
            match variant.initialisation:
                case "gaussian":
                    initialise.gaussian(layer, deviation, bias)
                case "kaiming":
                    initialise.kaiming(layer)
                case "torch":
                    initialise.torch_default(layer)

    def _stage(self, layer: str) -> Stage:
        """What follows `layer`: its words of `Variant.stages` as modules."""
        words = self.variant.stages[LAYERS.index(layer)].split("+")
        width = self.variant.widths[LAYERS.index(layer)]
        steps = OrderedDict((word, self._step(word, width, layer)) for word in words)
        if layer == "conv5":
            steps["flatten"] = nn.Flatten()
        return Stage(steps)

    def _step(self, word: str, width: int, layer: str) -> nn.Module:
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
                return MaxPool(variant.pool_size, stride=2, rounds_up=variant.pool_rounds_up)
            case "to6x6":
                return nn.AdaptiveAvgPool2d(6)
            case "batchnorm":
                return nn.BatchNorm2d(width) if layer.startswith("conv") else nn.BatchNorm1d(width)
            case "dropout":
                inverted = variant.dropout_form == "inverted"
                return nn.Dropout(self.dropout) if inverted else MaskDropout(self.dropout)
            case _:
                raise CommandError(f"unknown step {word!r} after {layer}: see the words of Variant.stages")

    def _final_side(self) -> int:
        """Pixels across a map that fc6 reads."""
        around = self.variant.conv1_border == "around"
        side = 1 + ((self.crop + 4 - 11) // 4 if around else math.ceil((self.crop - 11) / 4))
        rounded = math.ceil if self.variant.pool_rounds_up else math.floor
        for words in self.variant.stages:
            if "pool" in words.split("+"):
                side = 1 + rounded((side - self.variant.pool_size) / 2)
            if "to6x6" in words.split("+"):
                side = 6
        return side

    def _checked(self, images: torch.Tensor) -> torch.Tensor:
        """`images`, channels-last; CommandError where they are not a batch of this net's crop."""
        wanted = (3, self.crop, self.crop)
        if images.shape == wanted:
            raise CommandError(f"one image {wanted} without a batch dimension: pass images[None]")
        if images.ndim != 4 or images.shape[1:] != wanted:
            raise CommandError(
                f"images are {tuple(images.shape)}, this net was built for (N, 3, {self.crop}, {self.crop}): "
                f"crop them, or build it with another crop ({MINIMUM_CROP_PIXELS} pixels or more)"
            )
        return images.contiguous(memory_format=torch.channels_last)


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise CommandError(f"unknown activation {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()

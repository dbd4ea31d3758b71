"""Conversion of the weights of torchvision's and Caffe's models to our names and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from alexnet.errors import DataError
from alexnet.models.bundle import first_mismatch
from alexnet.models.config import ALEXNET_VARIANTS, VGG_VARIANTS, VGGArchitecture
from alexnet.models.layers.init import give_weights
from alexnet.optim.param_groups import parameter_layers
from alexnet.text import first_few

BATCHES_SEEN = "num_batches_tracked"
"""A buffer of torch's batch normalization."""


def _vgg(architecture: VGGArchitecture, batchnorm: bool) -> dict[str, str]:
    return {
        **dict(_features(architecture, batchnorm)),
        "classifier.0": "fc6",
        "classifier.3": "fc7",
        "classifier.6": "fc8",
    }


def _features(architecture: VGGArchitecture, batchnorm: bool) -> Iterator[tuple[str, str]]:
    """torchvision numbers all modules: convolution, batch normalization if any, ReLU, a block's pooling."""
    place = 0
    for layer in architecture.convolutions:
        yield f"features.{place}", layer
        if batchnorm:
            yield f"features.{place + 1}", f"after.{layer}.batchnorm"
        place += 2 + batchnorm + architecture.ends_block(layer)


_ALEXNET = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3",
    "features.8": "conv4",
    "features.10": "conv5",
    "classifier.1": "fc6",
    "classifier.4": "fc7",
    "classifier.6": "fc8",
}
_VGGS = {"VGG11": "A", "VGG13": "B", "VGG16": "D", "VGG19": "E"}
TORCHVISION_LAYERS = {
    "AlexNet": _ALEXNET,
    **{name: _vgg(VGG_VARIANTS[variant], batchnorm=False) for name, variant in _VGGS.items()},
    **{f"{name}_BN": _vgg(VGG_VARIANTS[variant], batchnorm=True) for name, variant in _VGGS.items()},
}
"""Our names of layers by torchvision's names, for each of its models."""
TORCHVISION_RECIPES = {
    "AlexNet": "alexnet-torchvision",
    **{name: f"vgg-{variant.lower()}" for name, variant in _VGGS.items()},
    **{f"{name}_BN": f"vgg-{variant.lower()}-batchnorm" for name, variant in _VGGS.items()},
}
"""Our recipe of each of torchvision's models."""


def model_of(names: Iterable[str]) -> str:
    """The model of `TORCHVISION_LAYERS` whose layers differ least from those of these tensors."""
    layers = {name.rpartition(".")[0] for name in names}
    return min(
        TORCHVISION_LAYERS, key=lambda model: len(layers.symmetric_difference(TORCHVISION_LAYERS[model]))
    )


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state_dict of torchvision's AlexNet, or of one of its VGGs (see `model_of`), under our names.

    Both order fc6's inputs by maps, rows and columns, so no weights have to be reordered. Batch normalization
    in old files has no batch counter; it is set to 0. DataError if a name does not belong to that model.
    """
    model = model_of(state)
    names = TORCHVISION_LAYERS[model]
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if layer not in names:
            absent = [each for each in names if f"{each}.weight" not in state]
            rename = f"; if it is {absent[0]}, type --rename {layer}={absent[0]}" if absent and layer else ""
            raise DataError(f"{name} is not in torchvision's {model}, which has {', '.join(names)}{rename}")
        renamed[f"{names[layer]}.{kind}"] = tensor
    for layer in names.values():
        if f"{layer}.running_mean" in renamed:
            renamed.setdefault(f"{layer}.{BATCHES_SEEN}", torch.tensor(0))
    return renamed


def from_caffe(blobs: Mapping[str, tuple[Tensor, ...]]) -> dict[str, Tensor]:
    """The weights and biases of a Caffe model, by its layers' names, under ours; other layers are left out.

    In files from before 2014 all blobs have four dimensions, the first of them 1: these are removed. Rows,
    columns and maps are in the same order as here. DataError if a layer is missing or has no bias.
    """
    ours: dict[str, Tensor] = {}
    for layer in ALEXNET_VARIANTS["caffe"].layers:
        if len(blobs.get(layer, ())) == 1:
            raise DataError(f"its layer {layer} has no biases: it is not a model of AlexNet's form")
        if len(blobs.get(layer, ())) != 2:
            raise DataError(
                f"it has no layer {layer} with weights and biases; it has {_known(blobs)}: if one of them is "
                f"{layer} under another name, type --rename OLD={layer}"
            )
        for kind, tensor in zip(("weight", "bias"), blobs[layer], strict=True):
            ours[f"{layer}.{kind}"] = tensor.reshape(_without_leading_ones(tensor.shape))
    return ours


def fill(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads `weights` into `model`, converted to its types; DataError names the first tensor that does not
    fit.
    """
    found = first_mismatch(weights, model.state_dict())
    if found:
        raise DataError(found)
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise DataError(f"{name} has values that are not finite")
    give_weights(model, weights, "cpu")


def in_rgb(model: nn.Module, channels: str) -> dict[str, Tensor]:
    """The state_dict of a model that reads `channels` (`RGB`, `BGR` or `L`), for images in RGB or gray."""
    weights: dict[str, Tensor] = model.state_dict()
    if channels != "BGR":
        return weights
    first = f"{parameter_layers(model)[0]}.weight"
    return {**weights, first: weights[first].flip(1)}


def normalized_as(
    weights: Mapping[str, Tensor], first: str, there: Normalized, here: Normalized
) -> dict[str, Tensor]:
    """The weights of a model whose images are normalized as `there`, for images normalized as `here`.

    The output is the same. `first`, the first layer, must not pad and must have a bias, and both must
    subtract one color, not a mean image.
    """
    weight, bias = weights[f"{first}.weight"], weights[f"{first}.bias"]
    apart = ((here.mean - there.mean) / there.divisor)[None, :, None, None]
    scaled = weight * (here.divisor / there.divisor)[None, :, None, None]
    shifted = bias + (weight * apart).sum(dim=(1, 2, 3))
    return {**weights, f"{first}.weight": scaled, f"{first}.bias": shifted}


class Normalized(Protocol):
    """How gray levels become a model's input: minus each channel's mean, divided by its divisor."""

    @property
    def mean(self) -> Tensor:
        """(C,) gray levels."""
        ...

    @property
    def divisor(self) -> Tensor:
        """(C,)"""
        ...


def _without_leading_ones(shape: torch.Size) -> list[int]:
    sizes = list(shape)
    while len(sizes) > 1 and sizes[0] == 1:
        del sizes[0]
    return sizes


def _known(blobs: Mapping[str, tuple[Tensor, ...]]) -> str:
    return first_few([name[:100] for name in blobs if blobs[name]], 30) or "none"

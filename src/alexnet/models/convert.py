"""torchvision's AlexNet and VGGs: their layers' names in a state_dict, and ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from alexnet.errors import DataError
from alexnet.models import alexnet
from alexnet.models.bundle import first_misfit
from alexnet.models.vgg import VARIANTS, Variant

BATCHES_SEEN = "num_batches_tracked"


def _vgg(variant: Variant, batchnorm: bool) -> dict[str, str]:
    return {
        **dict(_features(variant, batchnorm)),
        "classifier.0": "fc6",
        "classifier.3": "fc7",
        "classifier.6": "fc8",
    }


def _features(variant: Variant, batchnorm: bool) -> Iterator[tuple[str, str]]:
    """torchvision numbers all steps: convolution, perhaps normalizer, ReLU, and the pooling of a block."""
    place = 0
    for layer in variant.convolutions:
        yield f"features.{place}", layer
        if batchnorm:
            yield f"features.{place + 1}", f"after.{layer}.batchnorm"
        place += 2 + batchnorm + variant.ends_block(layer)


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
TORCHVISION = {
    "AlexNet": _ALEXNET,
    **{name: _vgg(VARIANTS[variant], batchnorm=False) for name, variant in _VGGS.items()},
    **{f"{name}_BN": _vgg(VARIANTS[variant], batchnorm=True) for name, variant in _VGGS.items()},
}
"""Our names of layers by torchvision's, by the net as torchvision calls it."""
RECIPES = {
    "AlexNet": "alexnet-torchvision",
    **{name: f"vgg-{variant.lower()}" for name, variant in _VGGS.items()},
    **{f"{name}_BN": f"vgg-{variant.lower()}-batchnorm" for name, variant in _VGGS.items()},
}
"""Ours, of the same nets."""


def net_of(names: Iterable[str]) -> str:
    """The net of `TORCHVISION` whose layers differ least from those of these tensors."""
    layers = {name.rpartition(".")[0] for name in names}
    return min(TORCHVISION, key=lambda net: len(layers.symmetric_difference(TORCHVISION[net])))


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state_dict of torchvision's AlexNet, or one of its VGGs (`net_of` says which), as ours.

    Maps come before rows and columns in fc6's inputs in both, so no weight has to move. Batch normalizers of
    old files did not count the batches they saw: they get a 0. DataError where a name is not one of that net.
    """
    net = net_of(state)
    names = TORCHVISION[net]
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer, _, kind = name.rpartition(".")
        if layer not in names:
            raise DataError(f"{name} is not in torchvision's {net}, which has {', '.join(names)}")
        renamed[f"{names[layer]}.{kind}"] = tensor
    for layer in names.values():
        if f"{layer}.running_mean" in renamed:
            renamed.setdefault(f"{layer}.{BATCHES_SEEN}", torch.tensor(0))
    return renamed


def from_caffe(blobs: Mapping[str, tuple[Tensor, ...]]) -> dict[str, Tensor]:
    """The weights and biases of a Caffe net, by its layers' names, as ours; other layers are left out.

    Files of before 2014 give all blobs four dimensions, the first of them 1: those are taken away. Rows,
    columns and maps are in our order. DataError where a layer is missing or has no bias.
    """
    ours: dict[str, Tensor] = {}
    for layer in alexnet.VARIANTS["caffe"].layers:
        if len(blobs.get(layer, ())) != 2:
            raise DataError(f"it has no layer {layer} with weights and biases; it has {_known(blobs)}")
        for kind, tensor in zip(("weight", "bias"), blobs[layer], strict=True):
            ours[f"{layer}.{kind}"] = tensor.reshape(_without_leading_ones(tensor.shape))
    return ours


def fill(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Puts `weights` into all of `model`, in its types; DataError names the first that does not fit."""
    found = first_misfit(weights, model.state_dict())
    if found:
        raise DataError(found)
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise DataError(f"{name} holds values that are not finite numbers")
    own = model.state_dict()
    typed = {name: weight.to(own[name].dtype) for name, weight in weights.items()}
    model.to_empty(device="cpu").load_state_dict(typed)


def in_rgb(weights: Mapping[str, Tensor], channels: str) -> dict[str, Tensor]:
    """The weights of a net that reads `channels` (`RGB` or `BGR`) as one that reads RGB has them."""
    turned = {"conv1.weight": weights["conv1.weight"].flip(1)} if channels == "BGR" else {}
    return {**weights, **turned}


def normalized_as(weights: Mapping[str, Tensor], there: Normalized, here: Normalized) -> dict[str, Tensor]:
    """The weights of a net that sees images normalized as `there`, as one has them that answers alike `here`.

    Its first layer adds up whole pixels: it must not pad. Both subtract one color, no mean image.
    """
    weight, bias = weights["conv1.weight"], weights["conv1.bias"]
    apart = ((here.mean - there.mean) / there.divisor)[None, :, None, None]
    scaled = weight * (here.divisor / there.divisor)[None, :, None, None]
    return {**weights, "conv1.weight": scaled, "conv1.bias": bias + (weight * apart).sum(dim=(1, 2, 3))}


class Normalized(Protocol):
    """How gray levels become a net's input: less the mean, over the divisor, of each channel."""

    @property
    def mean(self) -> Tensor:
        """(C,)"""
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
    return ", ".join(name for name in blobs if blobs[name]) or "none"

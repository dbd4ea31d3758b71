"""torchvision's AlexNet and VGGs: their layers' names in a state_dict, and ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
    """torchvision numbers all steps: convolution, perhaps normaliser, ReLU, and the pooling of a block."""
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

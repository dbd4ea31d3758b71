"""Nets by name: from a `ModelConfig` to a module."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from alexnet.config import RunConfig
from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ModelConfig
from alexnet.models.lenet import LeNet5, LeNet1989, ModernLeNet
from alexnet.models.overfeat import OverFeat, OverFeatDetector, OverFeatLocalizer
from alexnet.models.vgg import VGG


def _alexnet(config: ModelConfig, num_classes: int, crop: int, channels: int) -> nn.Module:
    settings = config.dropout, config.activation, config.bottleneck
    return AlexNet(config.variant, num_classes, crop, *settings, channels)


def _overfeat(config: ModelConfig, num_classes: int, crop: int, channels: int) -> nn.Module:
    if channels != 3:
        raise CommandError("overfeat is a net for color images: prepare the store with --channels 3")
    _refuse_settings(config, "OverFeat")
    return _OVERFEATS[config.name](config.variant, num_classes, crop, config.dropout)


def _lenet(config: ModelConfig, num_classes: int, crop: int, channels: int) -> nn.Module:
    _refuse_settings(config, "a LeNet")
    if config.variant == "modern":
        return ModernLeNet(num_classes, crop, channels, config.dropout)
    if config.variant not in _LENETS:
        raise CommandError(
            f"unknown variant {config.variant!r} of lenet; it must be one of {', '.join(_LENETS)}, modern"
        )
    if config.dropout:
        raise CommandError(f"lenet {config.variant} has no dropout: type model.dropout=0")
    return _LENETS[config.variant](num_classes, crop, channels)


def _vgg(config: ModelConfig, num_classes: int, crop: int, channels: int) -> nn.Module:
    if channels != 3:
        raise CommandError("vgg is a net for color images: prepare the store with --channels 3")
    _refuse_settings(config, "a VGG")
    return VGG(config.variant, num_classes, crop, config.dropout)


def _refuse_settings(config: ModelConfig, net: str) -> None:
    for setting, off in {"activation": "", "bottleneck": 0, "tower_devices": ""}.items():
        if getattr(config, setting) != off:
            raise CommandError(f"model.{setting} is AlexNet's: {net} has none")


_OVERFEATS = {
    "overfeat": OverFeat,
    "overfeat-localizer": OverFeatLocalizer,
    "overfeat-detector": OverFeatDetector,
}
_LENETS = {"1989": LeNet1989, "5": LeNet5}
_FAMILIES: dict[str, Callable[[ModelConfig, int, int, int], nn.Module]] = {
    "alexnet": _alexnet,
    "lenet": _lenet,
    **dict.fromkeys(_OVERFEATS, _overfeat),
    "vgg": _vgg,
}
PUBLISHED_CLASSES = {"alexnet": 1000, "lenet": 10, **dict.fromkeys(_OVERFEATS, 1000), "vgg": 1000}
"""Of the nets as their papers have them."""


def build(model_config: ModelConfig, num_classes: int, crop: int, channels: int = 3) -> nn.Module:
    """A freshly initialized net for `num_classes` classes and images of `channels` x `crop` x `crop`.

    It has `forward(images) -> logits`, `activations(images) -> dict` and `layer_names`, and is on one device
    whatever `tower_devices` says: a net that was trained on two devices is used on one.
    CommandError where the name, the variant or the crop does not exist, or it takes no such channels.
    """
    if model_config.name not in _FAMILIES:
        raise CommandError(f"unknown net {model_config.name!r}; it must be one of {', '.join(_FAMILIES)}")
    return _FAMILIES[model_config.name](model_config, num_classes, crop, channels)


def build_run(config: RunConfig, num_classes: int) -> nn.Module:
    """The net of a run, or its classic pipeline, as `build` gives it; errors alike."""
    if config.classic is None:
        return build(config.model, num_classes, config.data.input_size, config.data.channels)
    from alexnet.classic.pipeline import Pipeline  # it loads scikit-learn, which nets do not need

    return Pipeline(config.classic, num_classes, config.data.input_size)

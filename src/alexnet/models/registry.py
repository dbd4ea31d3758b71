"""Builds a model from its recipe or a configuration."""

from __future__ import annotations

from typing import assert_never, cast

from torch import nn

from alexnet import recipes
from alexnet.config import RunConfig
from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import (
    AlexNetArchitecture,
    LeNetArchitecture,
    ModelConfig,
    OverFeatArchitecture,
    VGGArchitecture,
)
from alexnet.models.lenet import LeNet5, LeNet1989, ModernLeNet
from alexnet.models.overfeat import OverFeat, OverFeatDetector, OverFeatLocalizer
from alexnet.models.vgg import VGG

LOGITS = "logits"
"""The name of a model's last activations."""
_OVERFEATS = {
    "overfeat": OverFeat,
    "overfeat-localizer": OverFeatLocalizer,
    "overfeat-detector": OverFeatDetector,
}


def build(model: ModelConfig, num_classes: int, crop: int, channels: int = 3) -> nn.Module:
    """A freshly initialized model for `num_classes` classes and images of `channels` x `crop` x `crop`.

    It has `forward(images) -> logits`, `activations(images) -> dict` and `layer_names`. It is on one device,
    whatever `tower_devices` is: a model trained on two devices is used on one. CommandError if it cannot have
    that crop or those channels, or does not have a setting.
    """
    architecture = model.architecture
    if model.tower_devices and model.name != "alexnet":
        raise CommandError(
            f"model.tower_devices is for AlexNet, but {model.name} has no towers: type model.tower_devices="
        )
    match architecture:
        case AlexNetArchitecture():
            return AlexNet(architecture, num_classes, crop, model.dropout, channels)
        case LeNetArchitecture():
            return _lenet(model, architecture, num_classes, crop, channels)
        case OverFeatArchitecture():
            _refuse_gray(model.name, channels)
            return _OVERFEATS[model.name](architecture, num_classes, crop, model.dropout)
        case VGGArchitecture():
            _refuse_gray(model.name, channels)
            return VGG(architecture, num_classes, crop, model.dropout)
        case _:
            assert_never(architecture)


def build_run(config: RunConfig, num_classes: int) -> nn.Module:
    """The model of a run, or its classic pipeline; errors as `build`."""
    if config.classic is None:
        return build(config.model, num_classes, config.data.input_size, config.data.channels)
    from alexnet.classic.pipeline import Pipeline  # loads scikit-learn, which networks do not need

    return Pipeline(config.classic, num_classes, config.data.input_size)


def _lenet(
    model: ModelConfig, architecture: LeNetArchitecture, num_classes: int, crop: int, channels: int
) -> nn.Module:
    if model.variant == "modern":
        return ModernLeNet(num_classes, crop, channels, architecture, model.dropout)
    if model.dropout:
        raise CommandError(f"lenet {model.variant} has no dropout: type model.dropout=0")
    paper = LeNet1989 if model.variant == "1989" else LeNet5
    return paper(num_classes, crop, channels, architecture)


def _refuse_gray(name: str, channels: int) -> None:
    if channels != 3:
        raise CommandError(f"{name} is a model for color images: prepare the store with --channels 3")


def list_models() -> list[str]:
    """The names that `create_model` and `alexnet.train` accept: those of all recipes."""
    return recipes.names()


def last_hidden_layer(model: nn.Module) -> str:
    """The layer before the logits: `fc7` of AlexNet, `F6` of LeNet-5.

    CommandError if there is none: a classic pipeline, or an exported file without named layers.
    Source: section 6 ("the last, 4096-dimensional hidden layer").
    """
    names = activation_names(model)
    if LOGITS in names[1:]:
        return names[names.index(LOGITS) - 1]
    others = [name for name in names if name != LOGITS]
    if not others:
        raise CommandError(
            "this model gives only probabilities, as ONNX files do, and has no hidden layer: use its run "
            "directory or .safetensors file"
        )
    raise CommandError(
        "this model is a classic pipeline, which has no last hidden layer: choose one of its layers with "
        f"--layer, in Python with layer=: {', '.join(others)}"
    )


def activation_names(model: nn.Module) -> tuple[str, ...]:
    """The names of the activations that a model returns, in order."""
    return tuple(cast("tuple[str, ...]", model.layer_names))

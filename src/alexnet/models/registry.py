"""Nets by name: from a `ModelConfig` to a module."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from alexnet.config import ModelConfig, RunConfig
from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet


def _alexnet(config: ModelConfig, num_classes: int, crop: int) -> nn.Module:
    return AlexNet(config.variant, num_classes, crop, config.dropout, config.activation, config.bottleneck)


_FAMILIES: dict[str, Callable[[ModelConfig, int, int], nn.Module]] = {"alexnet": _alexnet}


def build(model_config: ModelConfig, num_classes: int, crop: int) -> nn.Module:
    """A freshly initialised net for `num_classes` classes and `crop` x `crop` images.

    It has `forward(images) -> logits`, `activations(images) -> dict` and `layer_names`, and is on one device
    whatever `towers_on` says: a net that was trained on two devices is used on one.
    CommandError where the name, the variant or the crop does not exist.
    """
    if model_config.name not in _FAMILIES:
        raise CommandError(f"unknown net {model_config.name!r}; it must be one of {', '.join(_FAMILIES)}")
    return _FAMILIES[model_config.name](model_config, num_classes, crop)


def build_run(config: RunConfig, num_classes: int) -> nn.Module:
    """The net of a run, or its classic pipeline, as `build` gives it; errors alike."""
    if config.classic is None:
        return build(config.model, num_classes, config.data.crop)
    from alexnet.classic.pipeline import Pipeline  # it loads scikit-learn, which nets do not need

    return Pipeline(config.classic, num_classes, config.data.crop)

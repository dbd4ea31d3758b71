"""A net in numbers: parameters, multiply-adds and shapes, counted without computing anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from alexnet.config import RunConfig
from alexnet.models.registry import build, build_run


@dataclass(frozen=True)
class LayerSummary:
    """One convolution or fully connected layer."""

    name: str
    weights: int
    biases: int
    multiply_adds: int
    """Multiplications with a weight for one image."""
    activations: int
    """Outputs for one image."""
    output_shape: tuple[int, ...]
    """Of one image."""


@dataclass(frozen=True)
class Summary:
    """A whole net; `parameters` also counts those of normalisation layers."""

    layers: tuple[LayerSummary, ...]
    parameters: int

    @property
    def multiply_adds(self) -> int:
        """Multiplications with a weight for one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def activations(self) -> int:
        """Outputs of all layers for one image: the paper's "neurons"."""
        return sum(layer.activations for layer in self.layers)


def summarise(config: RunConfig, num_classes: int = 1000) -> Summary:
    """The net of a recipe at its own crop, counted on the meta device."""
    with torch.device("meta"):
        if config.classic is not None:
            return _summarise_classic(build_run(config, num_classes))
        return summarise_model(build(config.model, num_classes, config.data.crop), config.data.crop)


def summarise_model(model: nn.Module, crop: int, channels: int = 3) -> Summary:
    """`model` in numbers, from one pass of an image without values; its weights are on the meta device."""
    layers: list[LayerSummary] = []

    def recorder(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        return lambda layer, _, output: layers.append(_count(name, layer, output))

    hooks = [
        layer.register_forward_hook(recorder(name))
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    was_training = model.training
    model.eval()(torch.empty(1, channels, crop, crop, device="meta"))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return Summary(tuple(layers), sum(parameter.numel() for parameter in model.parameters()))


def _summarise_classic(pipeline: Any) -> Summary:
    """A layer for each channel: all numbers it has learned, and multiplications with one of them."""
    layers = [
        LayerSummary(
            name=name,
            weights=sum(value.numel() for value in channel.state_dict().values()),
            biases=0,
            multiply_adds=channel.multiply_adds(pipeline.side),
            activations=channel.size,
            output_shape=(channel.size,),
        )
        for name, channel in zip(pipeline.layer_names, pipeline, strict=True)
    ]
    return Summary(tuple(layers), sum(layer.weights for layer in layers))


def _count(name: str, layer: nn.Module, output: torch.Tensor) -> LayerSummary:
    weights, biases = layer.get_parameter("weight"), layer.bias
    shape = tuple(output.shape[1:])
    outputs = math.prod(shape)
    return LayerSummary(
        name=name,
        weights=weights.numel(),
        biases=biases.numel() if isinstance(biases, torch.Tensor) else 0,
        multiply_adds=outputs * weights[0].numel(),
        activations=outputs,
        output_shape=shape,
    )

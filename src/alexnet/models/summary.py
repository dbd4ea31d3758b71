"""A model's parameters, multiply-adds and shapes, counted on the meta device without computing anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet.config import RunConfig
from alexnet.models.layers.init import shapes_only
from alexnet.models.layers.lenet import PartialConv2d, RadialBasis, Subsampling
from alexnet.models.overfeat import OverFeat
from alexnet.models.registry import build_run

_COUNTED = nn.Conv2d | nn.Linear | PartialConv2d | Subsampling | RadialBasis


@dataclass(frozen=True)
class LayerSummary:
    """One layer with weights."""

    name: str
    weights: int
    """Trained weights, without biases."""
    biases: int
    """Trained biases."""
    multiply_adds: int
    """Multiplications by a weight for one image, at all positions; for distances, subtractions of a
    weight."""
    connections: int
    """Connections as counted in the LeNet papers: between units, and from each unit to its bias."""
    activations: int
    """Number of outputs for one image."""
    output_shape: tuple[int, ...]
    """Shape of the output for one image."""


@dataclass(frozen=True)
class Summary:
    """Summary of a whole model; `parameters` also counts those of normalization layers."""

    layers: tuple[LayerSummary, ...]
    parameters: int

    @property
    def multiply_adds(self) -> int:
        """Multiplications by a weight for one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def connections(self) -> int:
        """Between units, and from each unit to its bias."""
        return sum(layer.connections for layer in self.layers)

    @property
    def activations(self) -> int:
        """Outputs of all layers for one image: the paper's "neurons"."""
        return sum(layer.activations for layer in self.layers)


def summarize(config: RunConfig, num_classes: int | None = None) -> Summary:
    """Summary of a recipe's model at its own crop; by default with as many classes as in its paper."""
    crop, channels = config.data.input_size, config.data.channels
    num_classes = num_classes or config.model.architecture.published_classes
    with shapes_only():
        model = build_run(config, num_classes)
        if config.classic is not None:
            return _summarize_classic(model)
        return summarize_model(model, crop, channels)


def summarize_model(model: nn.Module, crop: int, channels: int = 3) -> Summary:
    """`model`, whose weights are on the meta device, from one forward pass.

    Layers that `forward` does not call (those of OverFeat's boxes and windows) are counted once per position.
    """
    layers: list[LayerSummary] = []

    def recorder(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        return lambda layer, _, output: layers.append(_count(name, layer, output))

    counted = {name: layer for name, layer in model.named_modules() if isinstance(layer, _COUNTED)}
    hooks = [layer.register_forward_hook(recorder(name)) for name, layer in counted.items()]
    was_training = model.training
    model.eval()(torch.empty(1, channels, crop, crop, device="meta"))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    for name in counted.keys() - {layer.name for layer in layers}:
        places = cast(OverFeat, model).places(crop, crop)
        width = cast(nn.Linear, counted[name]).out_features
        layers.append(_count(name, counted[name], torch.empty(1, width, *places, device="meta")))
    layers.sort(key=lambda layer: list(counted).index(layer.name))
    return Summary(tuple(layers), sum(parameter.numel() for parameter in model.parameters()))


def class_map_multiply_adds(model: nn.Module, channels: int, height: int, width: int) -> int:
    """Multiplications by a weight for the class map of one image; the model is on the meta device.

    Counts convolutions and matrix products; work that is done once for a whole batch does not count.
    """
    one, two = (_multiplications(model, (count, channels, height, width)) for count in (1, 2))
    return two - one


def _multiplications(model: nn.Module, shape: tuple[int, ...]) -> int:
    slide = cast(Callable[[torch.Tensor], torch.Tensor], model.class_map)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        slide(torch.empty(shape, device="meta"))
    return counter.get_total_flops() // 2


def _summarize_classic(pipeline: Any) -> Summary:
    """One entry per channel: all numbers that it learns, and multiplications by one of them."""
    layers = [
        LayerSummary(
            name=name,
            weights=sum(value.numel() for value in channel.state_dict().values()),
            biases=0,
            multiply_adds=channel.multiply_adds(pipeline.side),
            connections=channel.multiply_adds(pipeline.side),
            activations=channel.size,
            output_shape=(channel.size,),
        )
        for name, channel in zip(pipeline.layer_names, pipeline, strict=True)
    ]
    return Summary(tuple(layers), sum(layer.weights for layer in layers))


def _count(name: str, layer: nn.Module, output: torch.Tensor) -> LayerSummary:
    weights, trained = cast(torch.Tensor, layer.weight), dict(layer.named_parameters())
    biased, shape = "bias" in trained, tuple(output.shape[1:])
    outputs, positions = math.prod(shape), math.prod(shape[1:])
    multiply_adds = positions * weights.numel()
    return LayerSummary(
        name=name,
        weights=weights.numel() if "weight" in trained else 0,
        biases=trained["bias"].numel() if biased else 0,
        multiply_adds=multiply_adds,
        connections=multiply_adds * getattr(layer, "inputs_per_weight", 1) + biased * outputs,
        activations=outputs,
        output_shape=shape,
    )

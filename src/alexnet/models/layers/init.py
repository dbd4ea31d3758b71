"""Initialization of convolutions and fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Weighted = nn.Conv2d | nn.Linear


@contextmanager
def shapes_only() -> Generator[None]:
    """A context in which models are made on torch's device `meta`: with shapes, without weights."""
    with torch.device("meta"), _NotDrawn():
        yield


class _NotDrawn(TorchFunctionMode):
    """Leaves out random numbers, for which the device `meta` would import torch's compiler, a second long."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


def give_weights(model: nn.Module, weights: Mapping[str, Tensor], device: torch.device | str) -> None:
    """Copies weights, of any type of numbers, to a model of `shapes_only`, which is then on the device.

    `weights` have the names and shapes of the model's `state_dict`; its types and layout are kept.
    """
    made = {
        name: torch.empty_strided(each.shape, each.stride(), dtype=each.dtype, device=device)
        for name, each in model.state_dict().items()
    }
    for name, tensor in made.items():
        tensor.copy_(weights[name])
    model.load_state_dict(made, assign=True)


def gaussian(layer: Weighted, deviation: float, bias: float) -> None:
    """Normal weights of mean 0, constant biases. Source: paper, section 5."""
    nn.init.normal_(layer.weight, std=deviation)
    _constant_bias(layer, bias)


def kaiming(layer: Weighted, bias: float = 0.0) -> None:
    """Normal weights with standard deviation sqrt(2 / fan-in), which preserves the variance after a ReLU.

    Source: He et al. 2015, equation 10.
    """
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    _constant_bias(layer, bias)


def glorot(layer: Weighted, bias: float = 0.0) -> None:
    """Uniform weights within sqrt(6 / (fan-in + fan-out)).

    Source: Glorot and Bengio 2010, equation 16.
    """
    nn.init.xavier_uniform_(layer.weight)
    _constant_bias(layer, bias)


def torch_default(layer: Weighted) -> None:
    """torch's own initialization: uniform weights and biases within 1 / sqrt(fan-in)."""
    layer.reset_parameters()


def uniform_by_fan_in(parameter: nn.Parameter, inputs: int | torch.Tensor) -> None:
    """Uniform within 2.4 / fan-in: `inputs` of the unit that a weight belongs to; a tensor is broadcast.

    Source: LeCun et al. 1989, section 4; LeCun et al. 1998, appendix A.
    """
    with torch.no_grad():
        parameter.uniform_(-2.4, 2.4).div_(inputs)


def _constant_bias(layer: Weighted, bias: float) -> None:
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)

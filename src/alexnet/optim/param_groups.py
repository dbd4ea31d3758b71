"""Parameter groups: one for the weights, biases and normalization gains of each layer, with their rates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, assert_never

import torch
from torch import nn

from alexnet.config import OptimizerConfig
from alexnet.errors import CommandError
from alexnet.optim.krizhevsky_sgd import KrizhevskySGD
from alexnet.text import suggestion

ParameterKind = Literal["weight", "bias", "norm"]


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """The groups of the trained parameters for a `torch.optim.Optimizer`, in the order of the layers.

    In addition to torch's keys, a group has `layer`; `kind`; `factor`, the multiplier of the schedule's rate;
    `follows_schedule`, False if the first rate is kept. CommandError if `lr_multipliers` or
    `bias_lr_multipliers` names a layer that the model does not have.
    """
    groups: dict[tuple[str, ParameterKind], dict[str, Any]] = {}
    for layer, kind, parameter in _labeled(model):
        if (layer, kind) not in groups:
            groups[layer, kind] = _group(layer, kind, config)
        groups[layer, kind]["params"].append(parameter)
    named = (*config.lr_multipliers, *config.bias_lr_multipliers)
    check_layers((layer for layer, _ in named), [layer for layer, _ in groups])
    return list(groups.values())


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer over the model's groups, with their initial rates; CommandError as `parameter_groups`.

    Source: `KrizhevskySGD`; `torch.optim.SGD`; Loshchilov and Hutter 2019, arXiv:1711.05101 (AdamW), with
    beta1 = `momentum`, beta2 = 0.999 and eps = 1e-8.
    """
    groups = parameter_groups(model, config)
    match config.name:
        case "krizhevsky-sgd":
            return KrizhevskySGD(groups, momentum=config.momentum)
        case "sgd":
            return torch.optim.SGD(groups, config.lr, config.momentum, nesterov=config.nesterov, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, config.lr, (config.momentum, 0.999), eps=1e-8, fused=True)
        case _:
            assert_never(config.name)


def set_learning_rates(
    optimizer: torch.optim.Optimizer,
    rate: float,
    first_rate: float,
    lr_multipliers: Mapping[str, float],
    bias_factor: float = 1.0,
) -> None:
    """Sets `lr` of each group of `parameter_groups`, in place, for the next update.

    It is `rate`, the schedule's, or `first_rate` for groups that keep it (`follows_schedule`), times the
    group's `factor`. `lr_multipliers` (by layer) and `bias_factor` (of all biases and normalization gains)
    are those of events, at least 0, in addition to those of the configuration; 0 freezes.
    """
    for group in optimizer.param_groups:
        follows = group["follows_schedule"]
        factor = _reaching(lr_multipliers.get(group["layer"], 1.0), follows)
        factor *= 1.0 if group["kind"] == "weight" else bias_factor
        group["lr"] = (rate if follows else first_rate) * group["factor"] * factor


def parameter_layers(model: nn.Module) -> list[str]:
    """Names of all layers with a weight matrix or filters, in order.

    The first one reads the images, the last one gives the logits: of LeNet-5 it is `output`, whose codes are
    fixed. A name is the last part of the path: `towers.0.conv1` and `towers.1.conv1` are parts of `conv1`.
    """
    paths = [path for path, module in model.named_modules() if _has_matrix(module)]
    return list(dict.fromkeys(path.rpartition(".")[2] for path in paths))


def owner(name: str, layers: Sequence[str]) -> str:
    """The layer of `layers` that the tensor `name` of a state_dict belongs to.

    It is a part of the tensor's path, also of that of a normalization: `conv1` of
    `after.conv1.batchnorm.weight`. The path of the tensor's module if it belongs to none of them.
    """
    path = name.rpartition(".")[0]
    return next((layer for layer in layers if layer in path.split(".")), path)


def check_layers(wanted: Iterable[str], present: list[str]) -> None:
    """CommandError, with the nearest name or all of them, if a wanted layer does not exist."""
    for layer in wanted:
        if layer not in present:
            raise CommandError(f"no layer {layer!r} in this model; {suggestion(layer, present)}")


def _reaching(layer_factor: float, follows_schedule: bool) -> float:
    """The layer's factor as it applies to a group: groups that keep the initial rate can only be frozen."""
    return layer_factor if follows_schedule or layer_factor == 0 else 1.0


def _group(layer: str, kind: ParameterKind, config: OptimizerConfig) -> dict[str, Any]:
    is_weight = kind == "weight"
    factor = _reaching(dict(config.lr_multipliers).get(layer, 1.0), is_weight or config.bias_follows_schedule)
    if not is_weight:
        factor *= config.bias_lr_multiplier * dict(config.bias_lr_multipliers).get(layer, 1.0)
    return {
        "params": [],
        "layer": layer,
        "kind": kind,
        "factor": factor,
        "follows_schedule": is_weight or config.bias_follows_schedule,
        "lr": config.lr * factor,
        "weight_decay": config.weight_decay if is_weight or config.bias_weight_decay else 0.0,
    }


def _labeled(model: nn.Module) -> Iterator[tuple[str, ParameterKind, nn.Parameter]]:
    """Layer, kind and parameter of all parameters that are trained."""
    layers = parameter_layers(model)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.endswith(".bias"):
            yield owner(name, layers), "bias", parameter
        else:
            yield owner(name, layers), "weight" if parameter.ndim > 1 else "norm", parameter


def _has_matrix(module: nn.Module) -> bool:
    tensors = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return any(tensor.ndim > 1 for tensor in tensors)

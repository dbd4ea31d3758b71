"""What an optimiser remembers of each parameter, saved alike whether the net is on one device or on two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.models.towers import AlexNetOnTwoDevices, whole_name

State = Mapping[int, Mapping[str, Any]]
"""By the parameter's position in the optimiser's groups."""


def whole_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """What `optimizer` remembers of `model`, as it would of the same net on one device."""
    state: State = optimizer.state_dict()["state"]
    if not isinstance(model, AlexNetOnTwoDevices):
        return state
    names = _names(model, optimizer)
    return _renamed(state, names, _wholes(names), model.joined)


def own_state(model: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> State:
    """The inverse of `whole_state`: what `optimizer.load_state_dict` takes."""
    if not isinstance(model, AlexNetOnTwoDevices):
        return state
    names = _names(model, optimizer)
    return _renamed(state, _wholes(names), names, model.divided)


def _names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Of the parameters, in the order of the optimiser's groups."""
    named = {parameter: name for name, parameter in model.named_parameters()}
    return [named[parameter] for group in optimizer.param_groups for parameter in group["params"]]


def _wholes(names: Sequence[str]) -> list[str]:
    """The same order on one device: groups are of a layer and kind, and hold one tower after the other."""
    return list(dict.fromkeys(whole_name(name) for name in names))


def _renamed(
    state: State,
    names: Sequence[str],
    wanted: Sequence[str],
    change: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
) -> State:
    """`state`, of the parameters `names`, as that of the parameters `wanted`, which `change` makes of it."""
    slots = dict.fromkeys(slot for memory in state.values() for slot in memory)
    changed = {
        slot: change({names[at]: memory[slot] for at, memory in state.items() if slot in memory})
        for slot in slots
    }
    renamed = {
        at: {slot: tensors[name] for slot, tensors in changed.items() if name in tensors}
        for at, name in enumerate(wanted)
    }
    return {at: memory for at, memory in renamed.items() if memory}

"""What an optimiser remembers of each parameter, saved alike whether the net is on one device or on two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.models.towers import AlexNetOnTwoDevices, whole_name

State = Mapping[int, Mapping[str, Any]]
"""By the parameter's position in the optimiser's groups: tensors by their name in its rule."""


def whole_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's `state_dict()` (`state`, `param_groups`), as it would be with `model` on one device."""
    saved = optimizer.state_dict()
    if not isinstance(model, AlexNetOnTwoDevices):
        return saved
    names = _names(model, optimizer)
    wholes = _wholes(names)
    groups = [(group, _wholes([names[at] for at in group["params"]])) for group in saved["param_groups"]]
    return {
        "state": _renamed(saved["state"], names, wholes, model.joined),
        "param_groups": [{**group, "params": list(map(wholes.index, own))} for group, own in groups],
    }


def own_state(model: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> State:
    """The `state` of what `whole_state` gave, as `optimizer.load_state_dict` takes it."""
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

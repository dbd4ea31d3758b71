"""An AlexNet on two devices, a tower on each: model parallelism as in the paper (section 3.5)."""

from __future__ import annotations

import copy
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from alexnet import distributed
from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.init import Weighted, shapes_only
from alexnet.models.layers.local_response_norm import LocalResponseNorm
from alexnet.text import counted


def devices_of_towers(tower_devices: str) -> tuple[torch.device, torch.device]:
    """The devices of this process's first and second tower, for `cpu,cpu` or `cuda:0,cuda:1`.

    Under `torchrun` each process of a machine has GPUs of its own: with `cuda:0,cuda:1` process r has cuda:2r
    and cuda:2r+1, in general the devices 2r after the named ones. CommandError if the text does not name two
    devices of one kind, or names a GPU that does not exist.
    """
    found = re.fullmatch(r"cpu,cpu|cuda:(\d+),cuda:(\d+)", tower_devices)
    if found is None:
        raise CommandError(
            f"model.tower_devices={tower_devices!r} does not name two devices of one kind: "
            "type model.tower_devices=cuda:0,cuda:1 or model.tower_devices=cpu,cpu"
        )
    if tower_devices == "cpu,cpu":
        return torch.device("cpu"), torch.device("cpu")
    named, process = [int(number) for number in found.groups()], distributed.local_rank()
    first, second = (number + process * len(set(named)) for number in named)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if max(first, second) >= gpus:
        raise CommandError(
            f"model.tower_devices={tower_devices} needs cuda:{max(first, second)} in process {process} here, "
            f"torch sees {counted(gpus, 'GPU')}: start fewer processes, or type model.tower_devices= for one "
            "device"
        )
    return torch.device("cuda", first), torch.device("cuda", second)


class AlexNetOnTwoDevices(nn.Module):
    """An `AlexNet` of two towers, split in two: the same logits and gradients, up to rounding.

    Takes images on any device and returns logits on the first. Its parameters are those of each tower, such
    as `towers.0.conv1.weight` and `towers.1.conv1.weight`; but `state_dict` returns, and `load_state_dict`
    accepts, whole tensors (copies) under AlexNet's names, so that weights fit both kinds of models. Dropout
    is drawn for each tower separately.
    """

    def __init__(self, model: nn.Module, devices: Sequence[torch.device]):
        """A copy of `model`, its towers on the two `devices`. CommandError if it cannot be split."""
        super().__init__()
        whole = _of_two_towers(model)
        self.layer_names, self.num_classes, self.crop = whole.layer_names, whole.num_classes, whole.crop
        layers = _layers(whole)
        *self._inner, self._last = layers
        _, *later = self._inner  # the first layer reads the image
        self._reading_both = {name for name in later if getattr(layers[name], "groups", 1) == 1}
        # In a tuple, which hides its parameters from those of this module.
        self._plan = (copy.deepcopy(whole).to("meta"),)
        halves = (_Tower(whole, is_first) for is_first in (True, False))
        self.towers = nn.ModuleList(
            half.to_empty(device=device) for half, device in zip(halves, devices, strict=True)
        )
        self.register_state_dict_post_hook(_give_wholes)
        self.register_load_state_dict_pre_hook(_take_wholes)
        self.load_state_dict(whole.state_dict())
        self.train(whole.training)

    @property
    def devices(self) -> list[torch.device]:
        """The towers' devices, the first one first."""
        return [next(tower.parameters()).device for tower in self.towers]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes), on the first device, of preprocessed images (N, 3, crop, crop)."""
        images = self._plan[0]._checked(images)  # pyright: ignore[reportPrivateUsage]
        halves = [images.to(device, non_blocking=True) for device in self.devices]
        for layer in self._inner:
            halves = self._outputs(layer, _exchanged(halves) if layer in self._reading_both else halves)
        first, second = self._outputs(self._last, halves)
        return first + second.to(first.device)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """As `AlexNet.activations`, of `on_one_device`: no gradient flows back to this model."""
        return self.on_one_device().activations(images.to(self.devices[0]))

    def on_one_device(self) -> AlexNet:
        """The ordinary model with a copy of these weights, on the first device."""
        model = copy.deepcopy(self._plan[0])
        model.load_state_dict(self.state_dict(), assign=True)
        return model.train(self.training)

    def joined(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors under AlexNet's names, on the first device, from those under this model's own names.

        `parts` are parameters and buffers, or tensors of their shapes: gradients, an optimizer's state.
        """
        pairs: dict[str, list[Tensor]] = {}
        for name, part in parts.items():
            pairs.setdefault(whole_name(name), []).append(part)
        return {name: self._join(name, pair) for name, pair in pairs.items()}

    def divided(self, wholes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `joined`: each tower's part, copied, on the device of the whole."""
        return {
            f"towers.{number}.{name}": part.clone()
            for name, whole in wholes.items()
            for number, part in enumerate(self._divide(name, whole))
        }

    def _outputs(self, layer: str, halves: list[Tensor]) -> list[Tensor]:
        return [tower(layer, half) for tower, half in zip(self.towers, halves, strict=True)]

    def _divide(self, name: str, whole: Tensor) -> Sequence[Tensor]:
        if name == f"{self._last}.bias":
            return [whole]  # added once, on the first device
        if whole.ndim == 0:
            return [whole, whole]  # a counter
        return whole.chunk(2, self._cut(name))

    def _join(self, name: str, parts: list[Tensor]) -> Tensor:
        first, *_ = parts
        if len(parts) == 1 or first.ndim == 0:
            return first.clone()
        return torch.cat([part.to(first.device) for part in parts], self._cut(name))

    def _cut(self, name: str) -> int:
        """The dimension along which a tensor is split: inputs of the last layer, outputs of the others."""
        return 1 if name == f"{self._last}.weight" else 0


def whole_name(name: str) -> str:
    """AlexNet's name of the tensor of which `name`, such as `towers.1.conv1.weight`, is a part."""
    return name.split(".", 2)[2]


class _Tower(nn.Module):
    """Half of every layer and of the steps after it, under AlexNet's names, on the meta device."""

    def __init__(self, model: AlexNet, is_first: bool):
        super().__init__()
        layers = _layers(model)
        *inner, last = layers
        with shapes_only():
            for name in inner:
                self.add_module(name, _half_of_outputs(layers[name]))
            self.add_module(last, _half_of_inputs(layers[last], has_bias=is_first))
            self.after = nn.ModuleDict({name: _half_stage(stage) for name, stage in model.after.items()})
        dtype = layers[last].weight.dtype
        self.to(dtype=dtype, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, layer: str, hidden: Tensor) -> Tensor:
        """The output of `layer` and the steps after it, for the maps or units that it reads."""
        output = self.get_submodule(layer)(hidden)
        return self.after[layer](output) if layer in self.after else output


def _layers(model: AlexNet) -> dict[str, Weighted]:
    """The convolutions and fully connected layers by name, in the order of computation."""
    return {name: cast(Weighted, model.get_submodule(name)) for name in model.layers}


def _of_two_towers(model: nn.Module) -> AlexNet:
    """`model` itself; CommandError if it does not have two towers, or they cannot be separated."""
    steps = list(model.modules())
    across = [step.params.groups for step in steps if isinstance(step, LocalResponseNorm)]
    if (
        not isinstance(model, AlexNet)
        or model.architecture.towers != 2
        or any(groups != 2 for groups in across)
    ):
        raise CommandError(
            "model.tower_devices needs a model of two towers, each normalized separately: "
            "choose model.variant=2012 or paper, or leave model.tower_devices empty"
        )
    *inner, _ = _layers(model).items()
    odd = [f"{name} has {len(layer.weight)}" for name, layer in inner if len(layer.weight) % 2]
    if odd:
        raise CommandError(
            f"model.tower_devices halves every layer, but {odd[0]} outputs: choose an even number"
        )
    return model


def _half_of_outputs(layer: Weighted) -> nn.Module:
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return type(layer)(layer.in_features, layer.out_features // 2, bias=bias)
    inputs, outputs = layer.in_channels // layer.groups, layer.out_channels // 2
    form: Any = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
    return type(layer)(inputs, outputs, **form, bias=bias)


def _half_of_inputs(layer: Weighted, has_bias: bool) -> nn.Module:
    linear = cast(nn.Linear, layer)
    return type(linear)(linear.in_features // 2, linear.out_features, bias=has_bias)


def _half_stage(stage: nn.Module) -> FusedBlock:
    return FusedBlock(OrderedDict((word, _half_step(step)) for word, step in stage.named_children()))


def _half_step(step: nn.Module) -> nn.Module:
    if isinstance(step, nn.BatchNorm1d | nn.BatchNorm2d):
        return type(step)(step.num_features // 2, step.eps, step.momentum)
    half = copy.deepcopy(step)
    if isinstance(half, LocalResponseNorm):
        half.params = replace(half.params, groups=1)
    return half


def _exchanged(halves: list[Tensor]) -> list[Tensor]:
    """The maps or units of both towers on each device, those of the first tower first."""
    first, second = halves
    together = torch.cat([first, second.to(first.device, non_blocking=True)], 1)
    if first.device == second.device:
        return [together, together]
    return [together, torch.cat([first.to(second.device, non_blocking=True), second], 1)]


def _give_wholes(model: AlexNetOnTwoDevices, state: dict[str, Any], prefix: str, _: Any) -> None:
    """After `state_dict`: the whole tensors in place of the towers' own."""
    mine = [name for name in state if name.startswith(f"{prefix}towers.")]
    wholes = model.joined({name.removeprefix(prefix): state.pop(name) for name in mine})
    state.update({prefix + name: whole for name, whole in wholes.items()})


def _take_wholes(model: AlexNetOnTwoDevices, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Before `load_state_dict`: the towers' own tensors in place of the whole ones."""
    mine = [name for name in state if name.startswith(prefix)]
    parts = model.divided({name.removeprefix(prefix): state.pop(name) for name in mine})
    state.update({prefix + name: part for name, part in parts.items()})

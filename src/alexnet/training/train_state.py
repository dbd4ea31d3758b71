"""A moving average of the weights, which is tested in their place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from alexnet import distributed
from alexnet.config import RunConfig
from alexnet.data.boxes import BoxTable
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.models.bundle import first_mismatch
from alexnet.models.overfeat import OverFeatDetector
from alexnet.models.registry import build
from alexnet.models.two_devices import AlexNetOnTwoDevices, devices_of_towers, whole_name
from alexnet.optim.param_groups import check_layers, make_optimizer, parameter_groups
from alexnet.optim.schedules import Schedule, make_schedule
from alexnet.tasks.base import Task
from alexnet.tasks.classification import Classification
from alexnet.tasks.detection import Detection
from alexnet.tasks.localization import Localization
from alexnet.tasks.losses import LOSSES
from alexnet.training.config import BOX_NETS


class WeightAverage:
    """`model` is what to test: the average of a net's weights, or the net itself where `decay` is 0."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False) if decay else model

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Moves the average towards `model`, whose update number `step` (from 0) is done.

        In the first steps it moves faster, or the first weights would stay in it for long. Statistics of
        normalizers are averaged like weights; counters are copied.
        """
        if not self.decay:
            return
        share = 1.0 - min(self.decay, (2.0 + step) / (11.0 + step))
        for average, value in zip(_tensors(self.model), _tensors(model), strict=True):
            if average.is_floating_point():
                average.lerp_(value, share)
            else:
                average.copy_(value)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    # Not those of state_dict, which are copies where the net is on two devices.
    return [*model.parameters(), *model.buffers()]


State = Mapping[int, Mapping[str, Any]]
"""By the parameter's position in the optimizer's groups: tensors by their name in its rule."""


def whole_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimizer's `state_dict()` (`state`, `param_groups`), as it would be with `model` on one device."""
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
    """Of the parameters, in the order of the optimizer's groups."""
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


@dataclass
class TrainState:
    """A net being trained."""

    config: RunConfig
    classes: list[Class]
    preprocessing: Preprocessing
    device: torch.device
    """Where images go and losses come from: that of `model`, or of its first tower."""
    model: nn.Module
    parallel: nn.Module
    """What learns of `model`, with gradients averaged across processes where there are several."""
    task: Task
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    average: WeightAverage
    scaler: torch.amp.GradScaler
    """Keeps float16 gradients above zero; does nothing at other precisions."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the tested weights: tensors and plain values only."""
        state: dict[str, Any] = {
            "optimizer": whole_state(self.model, self.optimizer),
            "schedule": self.schedule.state(),
            "scaler": self.scaler.state_dict(),
        }
        return state | ({"model": self.model.state_dict()} if self.average.decay else {})

    def load(self, tested: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken; `tested` are the weights of `average.model`."""
        load_weights(self.average.model, tested)
        load_weights(self.model, state.get("model", tested))
        # Its state only: the groups' settings are this configuration's, which a resumed run may have changed.
        groups = self.optimizer.state_dict()["param_groups"]
        own = own_state(self.model, self.optimizer, state["optimizer"]["state"])
        self.optimizer.load_state_dict({"state": own, "param_groups": groups})
        self.schedule.load_state(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])


def check(config: RunConfig, store: Store) -> nn.Module:
    """Returns the net, on the meta device, if all fits together; else CommandError. Nothing is computed."""
    if len(store.classes) < 2:
        raise CommandError(f"{store.path} holds one class: there is nothing to tell apart")
    Preprocessing.from_store(config.data, store, config.model.name)
    with torch.device("meta"):
        model = build(config.model, len(store.classes), config.data.input_size, config.data.channels)
    _refuse_small_scales(model, config.data.test_scales)
    if config.training.loss in BOX_NETS:
        for split in sorted({"train", "val"} & {*store.splits}):
            BoxTable.of(store.split(split))  # which refuses one without boxes
    if config.model.tower_devices:
        devices_of_towers(config.model.tower_devices)
        model = AlexNetOnTwoDevices(model, 2 * [torch.device("meta")])
    layers = [group["layer"] for group in parameter_groups(model, config.optimizer)]
    check_layers((event.layer for event in config.events if event.action == "layer-factor"), layers)
    return model


def _refuse_small_scales(model: nn.Module, scales: Sequence[int]) -> None:
    """CommandError where a detector is to be tested with photos smaller than its window."""
    if isinstance(model, OverFeatDetector) and min(scales, default=model.crop) < model.crop:
        raise CommandError(f"data.test_scales must be {model.crop} or more, the pixels of the window")


def build_train_state(
    config: RunConfig, store: Store, device: torch.device, steps_per_epoch: int
) -> TrainState:
    """A learner at its beginning: first weights are a function of the seed, on one device and on two.

    CommandError where the configuration does not fit the store, the net or `device`.
    """
    check(config, store)
    torch.manual_seed(config.training.seed)
    model = build(config.model, len(store.classes), config.data.input_size, config.data.channels)
    model = _placed(model, config.model.tower_devices, device)
    preprocessing = Preprocessing.from_store(config.data, store)
    task = _task(config, preprocessing, model, len(store.classes))
    return TrainState(
        config=config,
        classes=store.classes,
        preprocessing=preprocessing,
        device=device,
        model=model,
        parallel=distributed.wrap_ddp(task.trained(model), device),
        task=task,
        optimizer=make_optimizer(model, config.optimizer),
        schedule=make_schedule(config.schedule, config.optimizer.lr, steps_per_epoch),
        average=WeightAverage(model, config.training.ema_decay),
        scaler=torch.amp.GradScaler(device.type, enabled=config.training.precision == "float16"),
    )


def _task(config: RunConfig, preprocessing: Preprocessing, model: nn.Module, classes: int) -> Task:
    loss = LOSSES[config.training.loss]
    if config.training.loss == "boxes":
        return Localization(loss, preprocessing)
    if config.training.loss == "objects":
        return Detection(loss, preprocessing, cast(OverFeatDetector, model))
    return Classification(loss, config.training, classes)


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Fills all of `model`; CommandError names the first tensor that does not fit."""
    found = first_mismatch(weights, model.state_dict())
    if found:
        raise CommandError(f"the checkpoint is of another net: {found}; train in a new folder")
    model.load_state_dict(weights)


def _placed(model: nn.Module, tower_devices: str, device: torch.device) -> nn.Module:
    """`model` on `device`, or on the two devices of `tower_devices`, of which that must be the first."""
    if not tower_devices:
        return model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    devices = devices_of_towers(tower_devices)
    if device != devices[0]:
        raise CommandError(
            f"model.tower_devices={tower_devices} begins on {devices[0]}, not on {device}: give that one"
        )
    return AlexNetOnTwoDevices(model, devices)

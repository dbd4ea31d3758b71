"""All that training changes: net, optimiser, schedule, average; built anew or from a checkpoint's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from alexnet import distributed
from alexnet.box_config import BOX_NETS
from alexnet.config import RunConfig
from alexnet.data.boxes import BoxTable
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.models.misfit import first_misfit
from alexnet.models.overfeat_detector import OverFeatDetector
from alexnet.models.registry import build
from alexnet.models.tower_devices import tower_devices
from alexnet.models.towers import AlexNetOnTwoDevices
from alexnet.optim.parameter_groups import check_layers, make_optimizer, parameter_groups
from alexnet.optim.schedules import Schedule, make_schedule
from alexnet.training.detection import Detection
from alexnet.training.localization import Localization
from alexnet.training.losses import LOSSES
from alexnet.training.optimizer_state import own_state, whole_state
from alexnet.training.tasks import Classification, Task
from alexnet.training.weight_average import WeightAverage


@dataclass
class Learner:
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
        model = build(config.model, len(store.classes), config.data.crop, config.data.channels)
    _refuse_small_scales(model, config.data.test_scales)
    if config.training.loss in BOX_NETS:
        for split in sorted({"train", "val"} & {*store.splits}):
            BoxTable.of(store.split(split))  # which refuses one without boxes
    if config.model.towers_on:
        tower_devices(config.model.towers_on)
        model = AlexNetOnTwoDevices(model, 2 * [torch.device("meta")])
    layers = [group["layer"] for group in parameter_groups(model, config.optimizer)]
    check_layers((event.layer for event in config.events if event.action == "layer-factor"), layers)
    return model


def _refuse_small_scales(model: nn.Module, scales: Sequence[int]) -> None:
    """CommandError where a detector is to be tested with photos smaller than its window."""
    if isinstance(model, OverFeatDetector) and min(scales, default=model.crop) < model.crop:
        raise CommandError(f"data.test_scales must be {model.crop} or more, the pixels of the window")


def build_learner(config: RunConfig, store: Store, device: torch.device, steps_per_epoch: int) -> Learner:
    """A learner at its beginning: first weights are a function of the seed, on one device and on two.

    CommandError where the configuration does not fit the store, the net or `device`.
    """
    check(config, store)
    torch.manual_seed(config.training.seed)
    model = build(config.model, len(store.classes), config.data.crop, config.data.channels)
    model = _placed(model, config.model.towers_on, device)
    preprocessing = Preprocessing.from_store(config.data, store)
    task = _task(config, preprocessing, model, len(store.classes))
    return Learner(
        config=config,
        classes=store.classes,
        preprocessing=preprocessing,
        device=device,
        model=model,
        parallel=distributed.synchronised(task.trained(model), device),
        task=task,
        optimizer=make_optimizer(model, config.optimizer),
        schedule=make_schedule(config.schedule, config.optimizer.learning_rate, steps_per_epoch),
        average=WeightAverage(model, config.training.weight_average),
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
    found = first_misfit(weights, model.state_dict())
    if found:
        raise CommandError(f"the checkpoint is of another net: {found}; train in a new folder")
    model.load_state_dict(weights)


def _placed(model: nn.Module, towers_on: str, device: torch.device) -> nn.Module:
    """`model` on `device`, or on the two devices of `towers_on`, of which that must be the first."""
    if not towers_on:
        return model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    devices = tower_devices(towers_on)
    if device != devices[0]:
        raise CommandError(
            f"model.towers_on={towers_on} begins on {devices[0]}, not on {device}: give that one"
        )
    return AlexNetOnTwoDevices(model, devices)

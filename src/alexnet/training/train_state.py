"""The state of training: model, optimizer, schedule and moving average, built, saved and loaded together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet import distributed
from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store, training_images
from alexnet.errors import CommandError, DataError
from alexnet.models.bundle import first_mismatch
from alexnet.models.layers.init import shapes_only
from alexnet.models.registry import build
from alexnet.models.two_devices import AlexNetOnTwoDevices, devices_of_towers, whole_name
from alexnet.optim.param_groups import check_layers, make_optimizer, parameter_groups
from alexnet.optim.schedules import Schedule, make_schedule
from alexnet.tasks.base import Task, task_of
from alexnet.text import counted
from alexnet.training.config import TrainingConfig
from alexnet.training.ema import ExponentialMovingAverage
from alexnet.training.plan import smallest_batch

_MIN_NORMALIZED = 2
"""Images in a micro-batch: with one, batch normalization has one value per channel after its first layer of
units, and elsewhere averages that evaluation does not have."""


@dataclass
class TrainState:
    """A model in training, with everything an update reads and changes."""

    config: RunConfig
    classes: list[Class]
    preprocessing: Preprocessing
    device: torch.device
    """Device of inputs and losses: that of `model`, or of its first tower."""
    model: nn.Module
    parallel: nn.Module
    """The part of `model` that is trained; averages gradients across processes where there are several."""
    task: Task[Any, Any, Any]
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    ema: ExponentialMovingAverage
    """Its `model` is validated and saved."""
    class_weights: Tensor | None
    """(K,) factors of the classes' probabilities in targets (`training.class_weights`), on `device`."""
    scaler: torch.amp.GradScaler
    """Keeps small float16 gradients from becoming zero; does nothing at other precisions."""

    def plan_steps(self, steps_per_epoch: int, total_steps: int) -> None:
        """Stretches or compresses the schedule to `total_steps` steps."""
        before = self.schedule.state()
        self.schedule = make_schedule(
            self.config.schedule, self.config.optimizer.lr, steps_per_epoch, total_steps
        )
        self.schedule.load_state(before)

    def state(self) -> dict[str, Any]:
        """The contents of a checkpoint besides the weights of `ema.model`: tensors and plain values only."""
        state: dict[str, Any] = {
            "optimizer": whole_state(self.model, self.optimizer),
            "schedule": self.schedule.state(),
            "scaler": self.scaler.state_dict(),
        }
        return state | ({"model": self.model.state_dict()} if self.ema.decay else {})

    def load(self, weights: Mapping[str, Tensor], state: Mapping[str, Any] | None) -> None:
        """Restores what `state` returned, if there is one; `weights` are those of `ema.model`."""
        load_weights(self.ema.model, weights)
        load_weights(self.model, weights if state is None else state.get("model", weights))
        if state is None:
            return
        # Only the state: a resumed run's configuration may have other settings for the groups.
        groups = self.optimizer.state_dict()["param_groups"]
        own = own_state(self.model, self.optimizer, state["optimizer"]["state"])
        self.optimizer.load_state_dict({"state": own, "param_groups": groups})
        self.schedule.load_state(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])


def check_network(config: RunConfig, store: Store) -> nn.Module:
    """The model on the meta device, if configuration, store and number of processes fit together.

    CommandError if they do not; DataError if all training images are alike.
    """
    if len(store.classes) < 2:
        raise CommandError(f"{store.path} has one class: training needs two or more")
    Preprocessing.from_store(config.data, store, config.model.architecture.scaled_input_size)
    with shapes_only():
        model = build(config.model, len(store.classes), config.data.input_size, config.data.channels)
    task_of(config, len(store.classes)).check(model, store)
    _refuse_single_images(config.training, model, len(training_images(store, config.data)))
    refuse_alike(store)
    if config.model.tower_devices:
        devices_of_towers(config.model.tower_devices)
        model = AlexNetOnTwoDevices(model, 2 * [torch.device("meta")])
    layers = [group["layer"] for group in parameter_groups(model, config.optimizer)]
    check_layers((event.layer for event in config.events if event.action == "layer-factor"), layers)
    return model


_LEAST_VARIANCE = 1e-6
"""In gray levels squared; rounding alone gives about 1e-11."""


def _refuse_single_images(training: TrainingConfig, model: nn.Module, images: int) -> None:
    """CommandError if batch normalization would get micro-batches of one of the `images` images.

    A process's share of a batch, and a micro-batch of that share, may be smaller by one than others.
    """
    if not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in model.modules()):
        return
    processes, batch, pieces = distributed.world_size(), training.batch_size, training.grad_accum_steps
    smallest, enough = smallest_batch(training, images), processes * pieces * _MIN_NORMALIZED
    if smallest >= enough:
        return
    fewer = smallest // (processes * _MIN_NORMALIZED)
    # A batch is never smaller than half of this, in a run that keeps all images.
    larger = (size for size in range(enough, 2 * enough) if _smallest(training, size, images) >= enough)
    works = (
        f"training.grad_accum_steps={fewer}" if fewer else f"training.batch_size={next(larger, 2 * enough)}"
    )
    raise CommandError(
        f"training.batch_size={batch} on {counted(processes, 'process')}, each in "
        f"{counted(pieces, 'micro-batch')}, leaves one image in a micro-batch, over which batch "
        "normalization cannot average",
        hint=f"type {works}",
    )


def _smallest(training: TrainingConfig, batch_size: int, images: int) -> int:
    return smallest_batch(replace(training, batch_size=batch_size), images)


def refuse_alike(store: Store) -> None:
    """DataError if all training images are of one color, as may be in a store of an earlier version."""
    if store.color_covariance.diagonal().max() < _LEAST_VARIANCE:
        raise DataError(
            f"all photos of {store.manifest.statistics_split} in {store.path} are alike: there is nothing to "
            "learn; check the photos and prepare them again"
        )


def build_train_state(
    config: RunConfig, store: Store, device: torch.device, steps_per_epoch: int
) -> TrainState:
    """The state before the first update; the initial weights are a function of the seed.

    CommandError if the configuration does not fit the store, the model or `device`.
    """
    check_network(config, store)
    torch.manual_seed(config.training.seed)
    model = build(config.model, len(store.classes), config.data.input_size, config.data.channels)
    model = _placed(model, config.model.tower_devices, device)
    preprocessing = Preprocessing.from_store(config.data, store)
    task = task_of(config, len(store.classes))
    return TrainState(
        config=config,
        classes=store.classes,
        preprocessing=preprocessing,
        device=device,
        model=model,
        parallel=distributed.wrap_ddp(task.trained_module(model), device),
        task=task,
        optimizer=make_optimizer(model, config.optimizer),
        schedule=make_schedule(config.schedule, config.optimizer.lr, steps_per_epoch),
        ema=ExponentialMovingAverage(model, config.training.ema_decay),
        class_weights=_class_weights(config, store, device),
        scaler=torch.amp.GradScaler(device.type, enabled=config.training.precision == "float16"),
    )


def _class_weights(config: RunConfig, store: Store, device: torch.device) -> Tensor | None:
    if config.training.class_weights == "none":
        return None
    labels = training_images(store, config.data).labels
    return balanced_weights(labels, len(store.classes)).to(device)


def balanced_weights(labels: npt.NDArray[np.integer[Any]], num_classes: int) -> Tensor:
    """(K,) float32 weights in inverse proportion to the classes' numbers of images; their mean over all
    images is 1.

    The weight of a class without images is 1. Source: King and Zeng 2001, section 3.2; scikit-learn's
    `class_weight="balanced"`.
    """
    counts = np.bincount(labels, minlength=num_classes)
    weights = np.ones(num_classes, np.float32)
    weights[counts > 0] = len(labels) / ((counts > 0).sum() * counts[counts > 0])
    return torch.from_numpy(weights)


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads all tensors of `model`; CommandError names the first one that does not fit."""
    found = first_mismatch(weights, model.state_dict())
    if found:
        raise CommandError(f"the checkpoint is that of another model: {found}; train in a new folder")
    model.load_state_dict(weights)


def _placed(model: nn.Module, tower_devices: str, device: torch.device) -> nn.Module:
    """`model` on `device`, or on the two devices of `tower_devices`; `device` must be the first of them."""
    if not tower_devices:
        return model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    devices = devices_of_towers(tower_devices)
    if device != devices[0]:
        raise CommandError(
            f"model.tower_devices={tower_devices} starts on {devices[0]}, not on {device}: type --device "
            f"{devices[0]}"
        )
    return AlexNetOnTwoDevices(model, devices)


OptimizerState = Mapping[int, Mapping[str, Any]]
"""The optimizer's tensors by name, by the parameter's position in the optimizer's groups."""


def whole_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimizer's `state_dict()` as it would be with `model` on one device."""
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


def own_state(model: nn.Module, optimizer: torch.optim.Optimizer, state: OptimizerState) -> OptimizerState:
    """The `state` that `whole_state` returned, as `optimizer.load_state_dict` expects it for `model`."""
    if not isinstance(model, AlexNetOnTwoDevices):
        return state
    names = _names(model, optimizer)
    return _renamed(state, _wholes(names), names, model.divided)


def _names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of the parameters, in the order of the optimizer's groups."""
    named = {parameter: name for name, parameter in model.named_parameters()}
    return [named[parameter] for group in optimizer.param_groups for parameter in group["params"]]


def _wholes(names: Sequence[str]) -> list[str]:
    """The names on one device, in the same order: a group has the parts of one layer in both towers."""
    return list(dict.fromkeys(whole_name(name) for name in names))


def _renamed(
    state: OptimizerState,
    names: Sequence[str],
    wanted: Sequence[str],
    change: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
) -> OptimizerState:
    """The state of the parameters `names` as that of the parameters `wanted`, converted by `change`."""
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

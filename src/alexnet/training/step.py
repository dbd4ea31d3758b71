"""One update, from a batch of images to new weights, and the meter that sums the measurements of updates."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from alexnet import distributed
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.errors import Diverged
from alexnet.tasks.base import Task
from alexnet.training.train_state import TrainState

_Item = TypeVar("_Item")
AUTOCAST = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Outcome:
    """Sums over this process's share of a batch, on its device: reading them waits for a GPU."""

    loss: Tensor
    """(), the sum of the images' losses."""
    errors: Tensor
    """(), the number of wrong predictions, as counted by the task."""
    images: int


def update(state: TrainState, batch: Batch, epoch: int, step: int, color_noise: bool) -> Outcome:
    """Makes update number `step`, from 0, with this process's share of the global batch; returns its sums.

    The gradient is that of the mean loss over the global batch, however it is divided among processes and
    micro-batches. The dropout masks are a function of (seed, step, process), so that a resumed run draws the
    same. `state` is changed: weights, their moving average, and the optimizer. `color_noise` is whether
    `data.pca_lighting` is on.
    """
    images, targets = training_batch(state, batch, epoch, color_noise)
    _seed_dropout(state, step)
    outcome = _accumulate_gradients(state, images, targets, batch.labels.to(state.device), batch.size)
    _apply_gradients(state)
    state.ema.update(state.model, step)
    return outcome


def training_batch(state: TrainState, batch: Batch, epoch: int, color_noise: bool) -> tuple[Tensor, Tensor]:
    """The augmented float32 inputs (N, C, crop, crop) of a batch and their targets, on the model's device.

    The targets are those of the task, of a classifier (N, K), times the class weights if there are any.
    `epoch`, from 0, and the images (or their positions in it) decide the random draws.
    """
    on_device = replace(batch, images=batch.images.to(state.device, non_blocking=True))
    inputs, targets = augmented(state.task, state.preprocessing, on_device, epoch, color_noise)
    return inputs, targets if state.class_weights is None else targets * state.class_weights


def augmented(
    task: Task[Any, Any, Any], preprocessing: Preprocessing, batch: Batch, epoch: int, color_noise: bool
) -> tuple[Tensor, Tensor]:
    """The same on the device of the batch's images, before classes are weighted."""
    positions = batch.positions.numpy()
    drawn = positions if task.config.data.repeats_images else batch.indices.numpy()
    randomness = ImageRandomness(task.config.training.seed, epoch, drawn, positions)
    images = preprocessing.train_input(batch.images, randomness, color_noise)
    return task.targets(images, batch, randomness, preprocessing)


def _accumulate_gradients(
    state: TrainState, images: Tensor, targets: Tensor, labels: Tensor, batch_size: int
) -> Outcome:
    """`batch_size` counts images over all processes."""
    count = state.config.training.grad_accum_steps
    pieces = list(zip(*(t.tensor_split(count) for t in (images, targets, labels)), strict=True))
    # Gradients of processes are averaged, not summed, hence the factor.
    scale = distributed.world_size() / batch_size
    state.parallel.train()
    if state.config.training.frozen_statistics:
        for module in state.model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    for number, (inputs, wanted, classes) in enumerate(pieces, start=1):
        with distributed.without_sync(state.parallel, number < len(pieces)):
            with _autocast(state):
                outputs = state.parallel(inputs).float()
            loss = state.task.loss.forward(outputs, wanted)
            state.scaler.scale(loss * scale).backward()
        losses.append(loss.detach())
        errors.append(state.task.num_errors(outputs.detach(), wanted, classes))
    return Outcome(torch.stack(losses).sum(), torch.stack(errors).sum(), len(images))


def _apply_gradients(state: TrainState) -> None:
    state.scaler.unscale_(state.optimizer)
    clip = state.config.optimizer.gradient_clip
    if clip:
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)


def _autocast(state: TrainState) -> torch.autocast:
    precision = state.config.training.precision
    return torch.autocast(state.device.type, AUTOCAST[precision], enabled=precision != "float32")


def _seed_dropout(state: TrainState, step: int) -> None:
    """Seeds dropout. Each device of a model on two devices has its own seed; otherwise both towers would drop
    the same units.
    """
    text = f"dropout/{state.config.training.seed}/{step}/{distributed.rank()}"
    torch.manual_seed(_seed(text))
    _, *others = dict.fromkeys(parameter.device for parameter in state.model.parameters())
    for number, device in enumerate(others, start=1):
        with torch.cuda.device(device):
            torch.cuda.manual_seed(_seed(f"{text}/{number}"))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())


@dataclass(frozen=True)
class Reading:
    """Means over the images of all processes since the last reading."""

    loss: float
    error: float
    """Training error, a fraction."""
    images_per_second: float
    data_wait_share: float
    """Fraction of the time that this process waited for images."""
    indices: Tensor
    """Indices of the images that this process used."""


class Meter:
    """Sums outcomes; only `read` waits for a GPU."""

    def __init__(self, seconds: float = 0.0):
        """`seconds` is the training time of earlier processes."""
        self.seconds = seconds
        self._clear()

    def timed(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """The same items; measures how long each one took to arrive."""
        iterator = iter(items)
        while True:
            self._mark = time.perf_counter()
            item = next(iterator, None)
            self._waited += time.perf_counter() - self._mark
            if item is None:
                return
            yield item

    def add(self, step: int, outcome: Outcome, indices: Tensor) -> None:
        """Adds update number `step`, of the images `indices`; its time includes the wait for them."""
        self._indices.append(indices)
        self._outcomes.append((step, outcome))
        self._busy += time.perf_counter() - self._mark

    def read(self) -> Reading:
        """The means since the last reading; Diverged names the update whose loss was not finite."""
        start = time.perf_counter()
        values = [torch.stack([each.loss.double(), each.errors.double()]) for _, each in self._outcomes]
        counts = torch.tensor([each.images for _, each in self._outcomes], dtype=torch.float64)
        table = torch.cat([torch.stack(values), counts[:, None].to(values[0].device)], dim=1)
        table = distributed.sum_across(table).cpu()
        self._busy += time.perf_counter() - start
        self._refuse_non_finite(table[:, 0])
        loss, errors, images = table.sum(dim=0).tolist()
        self.seconds += self._busy
        reading = Reading(
            loss=loss / images,
            error=errors / images,
            images_per_second=images / self._busy,
            data_wait_share=self._waited / self._busy,
            indices=torch.cat(self._indices),
        )
        self._clear()
        return reading

    def _refuse_non_finite(self, losses: Tensor) -> None:
        bad = [
            step for (step, _), ok in zip(self._outcomes, losses.isfinite().tolist(), strict=True) if not ok
        ]
        if bad:
            raise Diverged(f"the loss of update {bad[0] + 1:,} is not finite")

    def _clear(self) -> None:
        self._outcomes: list[tuple[int, Outcome]] = []
        self._indices: list[Tensor] = []
        self._busy = self._waited = self._mark = 0.0

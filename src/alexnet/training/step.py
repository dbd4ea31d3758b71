"""One update: images in, new weights out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from alexnet import distributed
from alexnet.data.loader import Batch
from alexnet.data.randomness import ImageRandomness
from alexnet.errors import Diverged
from alexnet.training.train_state import TrainState

AUTOCAST = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Outcome:
    """Sums over this process's share of a batch, on its device: reading them waits for a GPU."""

    loss: Tensor
    """(), the sum of the images' losses."""
    errors: Tensor
    """(), how many images were answered wrong, as the task counts."""
    images: int


def update(learner: TrainState, batch: Batch, epoch: int, step: int, color_noise: bool) -> Outcome:
    """Update number `step`, from this process's share of the global batch.

    The gradient is that of the mean loss over the global batch, however it is shared out between processes
    and micro-batches. What dropout silences is a function of (seed, step, process), so that a resumed run
    silences the same units.
    """
    images, targets = training_batch(learner, batch, epoch, color_noise)
    _seed_dropout(learner, step)
    outcome = _accumulate_gradients(learner, images, targets, batch.labels.to(learner.device))
    _apply_gradients(learner)
    learner.average.update(learner.model, step)
    return outcome


def training_batch(learner: TrainState, batch: Batch, epoch: int, color_noise: bool) -> tuple[Tensor, Tensor]:
    """The net's input (N, C, crop, crop) and what it should answer to each, on the learner's device."""
    seed = learner.config.training.seed
    randomness = ImageRandomness(seed, epoch, batch.indices.numpy(), batch.positions.numpy())
    uint8 = batch.images.to(learner.device, non_blocking=True)
    images = learner.preprocessing.train_input(uint8, randomness, color_noise)
    return learner.task.targets(images, batch, randomness)


def _accumulate_gradients(learner: TrainState, images: Tensor, targets: Tensor, labels: Tensor) -> Outcome:
    training = learner.config.training
    pieces = list(
        zip(*(t.tensor_split(training.grad_accum_steps) for t in (images, targets, labels)), strict=True)
    )
    # Processes' gradients are averaged, not summed: hence their number.
    scale = distributed.world_size() / training.batch_size
    learner.parallel.train()
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    for number, (inputs, wanted, classes) in enumerate(pieces, start=1):
        with distributed.without_sync(learner.parallel, number < len(pieces)):
            with _autocast(learner):
                answers = learner.parallel(inputs).float()
            loss = learner.task.loss.of(answers, wanted)
            learner.scaler.scale(loss * scale).backward()
        losses.append(loss.detach())
        errors.append(learner.task.wrong(answers.detach(), wanted, classes))
    return Outcome(torch.stack(losses).sum(), torch.stack(errors).sum(), len(images))


def _apply_gradients(learner: TrainState) -> None:
    learner.scaler.unscale_(learner.optimizer)
    clip = learner.config.optimizer.gradient_clip
    if clip:
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    learner.optimizer.zero_grad(set_to_none=True)


def _autocast(learner: TrainState) -> torch.autocast:
    precision = learner.config.training.precision
    return torch.autocast(learner.device.type, AUTOCAST[precision], enabled=precision != "float32")


def _seed_dropout(learner: TrainState, step: int) -> None:
    """Each device of a net on two has its own seed, or both towers would lose the same units."""
    text = f"dropout/{learner.config.training.seed}/{step}/{distributed.rank()}"
    torch.manual_seed(_seed(text))
    _, *others = dict.fromkeys(parameter.device for parameter in learner.model.parameters())
    for number, device in enumerate(others, start=1):
        with torch.cuda.device(device):
            torch.cuda.manual_seed(_seed(f"{text}/{number}"))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())


Item = TypeVar("Item")


@dataclass(frozen=True)
class Reading:
    """Means over the images of all processes since the last reading."""

    loss: float
    error: float
    """Training error, a fraction."""
    images_per_second: float
    data_wait_share: float
    """Share of the time that this process's net waited for images."""
    indices: Tensor
    """The images this process has seen."""


class Meter:
    """Adds up outcomes without waiting for a GPU; only `read` does."""

    def __init__(self, seconds: float = 0.0):
        """`seconds` were trained before."""
        self.seconds = seconds
        self._clear()

    def timed(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items, with the time that each took to come."""
        iterator = iter(items)
        while True:
            self._mark = time.perf_counter()
            item = next(iterator, None)
            self._waited += time.perf_counter() - self._mark
            if item is None:
                return
            yield item

    def add(self, step: int, outcome: Outcome, indices: Tensor) -> None:
        """One update, of the images `indices`, was done; its time runs from when they were asked for."""
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
            raise Diverged(f"the loss of update {bad[0]} is not finite")

    def _clear(self) -> None:
        self._outcomes: list[tuple[int, Outcome]] = []
        self._indices: list[Tensor] = []
        self._busy = self._waited = self._mark = 0.0

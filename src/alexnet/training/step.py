"""One update: images in, new weights out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet import distributed
from alexnet.data.loader import Batch
from alexnet.data.randomness import ImageRandomness
from alexnet.training.learner import Learner

AUTOCAST = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Outcome:
    """Sums over this process's share of a batch, on its device: reading them waits for a GPU."""

    loss: Tensor
    """(), the sum of the images' losses."""
    errors: Tensor
    """(), how many images were answered wrong, as the task counts."""
    images: int


def update(learner: Learner, batch: Batch, epoch: int, step: int, color_noise: bool) -> Outcome:
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


def training_batch(learner: Learner, batch: Batch, epoch: int, color_noise: bool) -> tuple[Tensor, Tensor]:
    """The net's input (N, C, crop, crop) and what it should answer to each, on the learner's device."""
    seed = learner.config.training.seed
    randomness = ImageRandomness(seed, epoch, batch.indices.numpy(), batch.positions.numpy())
    uint8 = batch.images.to(learner.device, non_blocking=True)
    images = learner.preprocessing.train_input(uint8, randomness, color_noise)
    return learner.task.targets(images, batch, randomness)


def _accumulate_gradients(learner: Learner, images: Tensor, targets: Tensor, labels: Tensor) -> Outcome:
    training = learner.config.training
    pieces = list(
        zip(*(t.tensor_split(training.accumulation) for t in (images, targets, labels)), strict=True)
    )
    # Processes' gradients are averaged, not summed: hence their number.
    scale = distributed.world_size() / training.batch
    learner.parallel.train()
    losses: list[Tensor] = []
    errors: list[Tensor] = []
    for number, (inputs, wanted, classes) in enumerate(pieces, start=1):
        with distributed.without_synchronisation(learner.parallel, number < len(pieces)):
            with _autocast(learner):
                answers = learner.parallel(inputs).float()
            loss = learner.task.loss.of(answers, wanted)
            learner.scaler.scale(loss * scale).backward()
        losses.append(loss.detach())
        errors.append(learner.task.wrong(answers.detach(), wanted, classes))
    return Outcome(torch.stack(losses).sum(), torch.stack(errors).sum(), len(images))


def _apply_gradients(learner: Learner) -> None:
    learner.scaler.unscale_(learner.optimizer)
    clip = learner.config.optimizer.gradient_clip
    if clip:
        torch.nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    learner.optimizer.zero_grad(set_to_none=True)


def _autocast(learner: Learner) -> torch.autocast:
    precision = learner.config.training.precision
    return torch.autocast(learner.device.type, AUTOCAST[precision], enabled=precision != "float32")


def _seed_dropout(learner: Learner, step: int) -> None:
    """Each device of a net on two has its own seed, or both towers would lose the same units."""
    text = f"dropout/{learner.config.training.seed}/{step}/{distributed.rank()}"
    torch.manual_seed(_seed(text))
    _, *others = dict.fromkeys(parameter.device for parameter in learner.model.parameters())
    for number, device in enumerate(others, start=1):
        with torch.cuda.device(device):
            torch.cuda.manual_seed(_seed(f"{text}/{number}"))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())

"""What one update of an arm's net takes: seconds, and the most memory that is held for its gradients."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from alexnet.claims.measure import Value
from alexnet.claims.trial import Trial
from alexnet.config import RunConfig
from alexnet.data.loader import Batch, Loader
from alexnet.data.store import Store
from alexnet.data.subset import training_images
from alexnet.training.learner import Learner, build_learner
from alexnet.training.plan import make_plan
from alexnet.training.step import update

WARM_UP, TIMED = 2, 7


@dataclass(frozen=True)
class UpdateSeconds:
    """The median of a few updates, with the photos' reading."""

    words: str = "seconds of an update"
    unit: str = "seconds"

    def of(self, trial: Trial) -> Value:
        """In seconds, now and on this machine."""
        return Value(update_seconds(trial.config, trial.store, trial.device))


@dataclass(frozen=True)
class PeakMegabytes:
    """Memory of an update: on a CPU all that is kept for the gradients; on a GPU the most that is taken."""

    words: str = "megabytes of an update"
    unit: str = "megabytes"

    def of(self, trial: Trial) -> Value:
        """In millions of bytes."""
        return Value(update_bytes(trial.config, trial.store, trial.device) / 1e6)


def update_seconds(
    config: RunConfig, store: Store, device: torch.device, timed: int = TIMED, warm_up: int = WARM_UP
) -> float:
    """Median seconds of real updates of a configuration, after a few that warm up."""
    seconds: list[float] = []
    for do in _updates(config, store, device, warm_up + timed):
        began = time.perf_counter()
        do()
        _finish(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[warm_up:])


def update_bytes(config: RunConfig, store: Store, device: torch.device) -> int:
    """Bytes at the height of one update: on a CPU of the values kept for the backward pass, each once.

    On a GPU the most that torch has taken for the update, parameters and all.
    """
    for number, do in enumerate(_updates(config, store, device, 2)):
        if number == 0:
            do()  # makes the optimiser's state
        elif device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            do()
            return torch.cuda.max_memory_allocated(device)
        else:
            with kept_for_gradients() as kept:
                do()
            return sum(kept.values())
    return 0


@contextmanager
def kept_for_gradients() -> Generator[dict[int, int]]:
    """While it lasts, bytes of each memory that is kept for a backward pass, by its address."""
    kept: dict[int, int] = {}
    held: list[Tensor] = []  # so that no address is given twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in kept:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def _updates(
    config: RunConfig, store: Store, device: torch.device, count: int
) -> Iterator[Callable[[], object]]:
    """The first updates of a run, each when it is called."""
    images = training_images(store, config.data)
    learner = build_learner(config, store, device, make_plan(config, len(images)).steps_per_epoch)
    loader = Loader(images, config.training.batch, seed=config.training.seed, device=device, drop_last=True)
    for step, (epoch, batch) in enumerate(islice(_batches(loader), count)):
        yield lambda step=step, epoch=epoch, batch=batch: _update(learner, batch, epoch, step)


def _batches(loader: Loader) -> Iterator[tuple[int, Batch]]:
    epoch = 0
    while True:
        for batch in loader.batches(epoch, 0):
            yield epoch, batch
        epoch += 1


def _update(learner: Learner, batch: Batch, epoch: int, step: int) -> object:
    return update(learner, batch, epoch, step, color_noise=True)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

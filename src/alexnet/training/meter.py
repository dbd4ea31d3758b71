"""What training measures about itself between two lines of the log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from alexnet import distributed
from alexnet.errors import WorkError
from alexnet.training.step import Outcome

Item = TypeVar("Item")
LOWER_RATE = (
    "the last checkpoint, if there is one yet, is from before it: "
    "--resume with a lower optimizer.learning_rate, or with optimizer.gradient_clip=1"
)
"""What to do about numbers that are not finite."""


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
        """The means since the last reading; WorkError names the update whose loss was not finite."""
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
            raise WorkError(f"the loss of update {bad[0]} is not finite; {LOWER_RATE}")

    def _clear(self) -> None:
        self._outcomes: list[tuple[int, Outcome]] = []
        self._indices: list[Tensor] = []
        self._busy = self._waited = self._mark = 0.0

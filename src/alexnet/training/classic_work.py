"""What the stages of fitting a classic pipeline share: the photos, the log, and when to stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet.classic.pipeline import ChannelModel, Pipeline
from alexnet.classic_config import ClassicConfig
from alexnet.config import RunConfig
from alexnet.data.pixels import read_square
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store
from alexnet.data.subset import training_images
from alexnet.data.views import centre
from alexnet.errors import Stopped
from alexnet.machine import cores
from alexnet.runs.metrics_log import MetricsLog
from alexnet.training.classic_state import Workplace
from alexnet.training.interruption import Interruption

SHARD = 64
"""Photos that are encoded and saved together."""


@dataclass
class Work:
    """One run's fitting."""

    config: RunConfig
    classic: ClassicConfig
    store: Store
    device: torch.device
    model: Pipeline
    place: Workplace
    interruption: Interruption
    say: Callable[[str], None]
    lines: MetricsLog
    advance: Callable[..., None] = field(default=lambda count=1, note="": None)

    @property
    def channel(self) -> ChannelModel:
        """The one at work."""
        return list(self.model)[self.place.standing.channel]

    @cached_property
    def split(self) -> Split:
        """What the run is trained on."""
        return training_images(self.store, self.config.data)

    @cached_property
    def labels(self) -> Tensor:
        """(N,) int64 of the training photos, on the CPU."""
        return torch.from_numpy(self.split.labels).long()

    @property
    def step(self) -> int:
        """Photos encoded so far, over all channels."""
        return self.place.standing.channel * len(self.labels) + self.place.standing.images

    def photos(self, numbers: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Training photos with these numbers, SHARD at a time: their numbers (n,), and (n, 3, S, S)."""
        preprocessing = Preprocessing.from_store(self.config.data, self.store)
        middle = centre(preprocessing.side, preprocessing.crop)[None]
        read, side = partial(read_square, self.split), preprocessing.side
        with ThreadPoolExecutor(cores()) as readers:
            for few in numbers.split(SHARD) if len(numbers) else ():
                squares = np.empty((len(few), side, side, 3), np.uint8)
                deque(readers.map(read, few.tolist(), squares), maxlen=0)  # raises what went wrong in any
                yield few, preprocessing.test_input(torch.from_numpy(squares).to(self.device), middle)

    def log(self, event: str, **values: Any) -> None:
        """One line of the log, at this moment."""
        self.lines.write(event, self.step, self.place.standing.passes, **values)

    def stop_if_asked(self, save: Callable[[], None] = lambda: None) -> None:
        """Stopped, after `save` and saving where it stands, where a signal or the time limit asks for it."""
        if self.interruption.wanted(0):
            save()
            self.place.save()
            self.log("stopped", reason=self.interruption.reason)
            raise Stopped(
                f"stopped {self.interruption.reason} {self._where()}, "
                "and saved; the same command with --resume goes on"
            )

    def _where(self) -> str:
        if self.place.standing.channel == len(self.classic.channels):
            return "before the validation photos"
        return f"while {self.place.name} is at {self.place.standing.stage!r}"

"""One trained net of an arm: where it lies and what its log says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from alexnet.claims.claim import Arm
from alexnet.config import RunConfig
from alexnet.data.store import Store
from alexnet.runs.folder import RunFolder
from alexnet.runs.metrics_log import has_finished, read_metrics, training_seconds

DIVERGED = "diverged.txt"
"""Beside a run's log, with the reason, where its loss was no longer a number."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A run of an arm with a seed; finished, unless `finished` says otherwise."""

    arm: Arm
    seed: int
    run: RunFolder
    config: RunConfig
    store: Store
    """What it is trained on."""
    target: Store | None
    """The classes that a net of other classes is asked about."""
    device: torch.device

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.run.path.name

    @property
    def diverged(self) -> bool:
        """Whether its loss was no longer a number: it has no errors."""
        return (self.run.path / DIVERGED).is_file()

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.diverged or has_finished(self.run.metrics_file)

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """What the log says of each test while it was trained, the oldest first."""
        return [line for line in read_metrics(self.run.metrics_file) if line["event"] == "validation"]

    @property
    def epochs(self) -> float:
        """That it is trained for."""
        return float(self.config.schedule.epochs)

    def facts(self) -> dict[str, Any]:
        """What is kept of it for the record; errors are fractions."""
        kept = (
            "step",
            "epoch",
            "images",
            "top1_error",
            "top5_error",
            "nll",
            "training_error",
            "training_nll",
        )
        return {
            "run": self.name,
            "arm": self.arm.name,
            "seed": self.seed,
            "diverged": self.diverged,
            "seconds": training_seconds(self.run.metrics_file),
            "tests": [] if self.diverged else [{key: line[key] for key in kept} for line in self.tests],
        }

"""A trained net and the photos that pictures show it with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from alexnet.data.image_reader import read_square
from alexnet.data.store import Split, Store, training_images
from alexnet.evaluation.predictor import Predictor, load
from alexnet.report.plots.words import short
from alexnet.runs.run_dir import RunDir

SPLIT = "val"
"""What pictures show photos of."""
Answers = Sequence[tuple[str, float]]
"""Names and probabilities, the most probable first."""


class Drawn(NamedTuple):
    """A figure, and in words what is seen on it."""

    figure: Figure
    seen: str


@dataclass(frozen=True, eq=False)
class Opened:
    """A run folder's or exported file's net, and a store."""

    path: Path
    store: Store
    device: torch.device | str = "cpu"

    @cached_property
    def classifier(self) -> Predictor:
        """The net with its preprocessing; read when it is first asked for."""
        return load(self.path, self.device)

    @property
    def name(self) -> str:
        """What titles call the run."""
        return self.path.name

    @property
    def run(self) -> RunDir:
        """The folder, or the file in its place."""
        return RunDir(self.path)

    @property
    def photos(self) -> Split:
        """What pictures show: the validation photos."""
        return self.store.split(SPLIT)

    @property
    def data(self) -> str:
        """What titles call these photos."""
        return f"{self.store.path.name} {SPLIT}"

    @property
    def training_images(self) -> int:
        """How many images the net was trained on."""
        return len(training_images(self.store, self.classifier.config.data))

    def some(self, count: int) -> list[int]:
        """Numbers of `count` photos, evenly through the classes: nothing is picked for its looks."""
        order = np.argsort(self.photos.labels, kind="stable")
        return order[np.linspace(0, len(order) - 1, count + 2)[1:-1].astype(int)].tolist()

    def squares(self, numbers: Sequence[int]) -> npt.NDArray[np.uint8]:
        """(N, side, side, C) of the photos with these numbers."""
        store = self.store
        squares = np.empty((len(numbers), store.side, store.side, store.channels), np.uint8)
        for number, square in zip(numbers, squares, strict=True):
            read_square(self.photos, number, square)
        return squares

    def names(self, numbers: Sequence[int]) -> list[str]:
        """The true classes of the photos with these numbers; empty where nobody told one."""
        labels: list[int] = self.photos.labels[list(numbers)].tolist()
        return [self.store.classes[label].name if label >= 0 else "" for label in labels]

    def best(self, probabilities: npt.NDArray[np.floating]) -> tuple[str, float]:
        """The most probable class of (K,) and its probability."""
        label = int(probabilities.argmax())
        return self.classifier.classes[label].name, float(probabilities[label])


def told(true_names: Iterable[str], answers: Iterable[Answers]) -> str:
    """Each photo and what was said of it, in a sentence: `tench: tench 0.93; church: parachute 0.40`."""
    pairs = zip(true_names, answers, strict=True)
    return "; ".join(f"{short(true)}: {short(best[0][0])} {best[0][1]:.2f}" for true, best in pairs if best)

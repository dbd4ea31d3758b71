"""One-against-rest linear classifiers by stochastic gradient descent on the regularised hinge loss.

For each class: weight_decay / 2 * |w|^2 + mean over photos of max(0, 1 - t * (w . x + b)), t = 1 for photos
of the class and -1 for others. Rates fall as learning_rate / (1 + learning_rate * weight_decay * step), and
the averaged weights are those used. Source: Bottou, COMPSTAT 2010; for Fisher vectors of ImageNet: Sanchez
and Perronnin, CVPR 2011.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Read = Callable[[Tensor], Tensor]
"""Numbers of photos (B,) -> their vectors (B, F)."""
AVERAGED_A_PASS = 20
"""Weights of so many moments of a pass go into the average: of all would take longer than training."""
SMALLEST_SCALE = 1e-4
"""Weights are kept as scale times direction, so that decay costs nothing; below, they are multiplied out."""


class HingeSgd:
    """Classifiers in training: `weights` (K, F), `biases` (K,), and their averages over the steps so far."""

    def __init__(self, classes: int, size: int, learning_rate: float, weight_decay: float, batch: int):
        self.learning_rate, self.weight_decay, self.batch = learning_rate, weight_decay, batch
        self.step, self.passes = 0, 0
        self._direction, self._scale = torch.zeros(classes, size), 1.0
        self.biases = torch.zeros(classes)
        self.average, self.average_biases, self.averaged = torch.zeros(classes, size), torch.zeros(classes), 0

    @property
    def weights(self) -> Tensor:
        """(K, F) of the last step."""
        return self._scale * self._direction

    def to(self, device: torch.device | str) -> HingeSgd:
        """The same, moved."""
        for name in ("_direction", "biases", "average", "average_biases"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def one_pass(self, read: Read, order: Tensor, labels: Tensor) -> float:
        """Sees each photo of `order` (M,) once; `labels` (N,) of all photos. Returns the mean hinge loss.

        The first pass is not averaged: it only finds the place.
        """
        total, batches = 0.0, order.split(self.batch)
        every = max(1, len(batches) // AVERAGED_A_PASS)
        for number, photos in enumerate(batches):
            total += self._update(read(photos), labels[photos])
            if self.passes > 0 and number % every == 0:
                self._take_into_average()
        self.passes += 1
        return total / max(1, len(order))

    def classifiers(self) -> tuple[Tensor, Tensor]:
        """(K, F) and (K,): the averages, or the last ones where nothing is averaged yet."""
        return (self.average, self.average_biases) if self.averaged else (self.weights, self.biases)

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors."""
        numbers = torch.tensor([self.step, self.passes, self.averaged, self._scale], dtype=torch.float64)
        return {
            "direction": self._direction,
            "biases": self.biases,
            "average": self.average,
            "average_biases": self.average_biases,
            "numbers": numbers,
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """What `state` gave, back again."""
        self._direction, self.biases = state["direction"], state["biases"]
        self.average, self.average_biases = state["average"], state["average_biases"]
        step, passes, averaged, self._scale = state["numbers"].tolist()
        self.step, self.passes, self.averaged = int(step), int(passes), int(averaged)

    def _update(self, vectors: Tensor, labels: Tensor) -> float:
        rate = self.learning_rate / (1 + self.learning_rate * self.weight_decay * self.step)
        signs = torch.full((len(vectors), len(self.biases)), -1.0, device=vectors.device)
        signs[torch.arange(len(vectors)), labels.to(vectors.device)] = 1
        margins = signs * torch.addmm(self.biases, vectors, self._direction.T, alpha=self._scale)
        pull = torch.where(margins < 1, signs, 0) * (rate / len(vectors))
        self._scale *= 1 - rate * self.weight_decay
        if self._scale < SMALLEST_SCALE:
            self._direction, self._scale = self.weights, 1.0
        self._direction.addmm_(pull.T, vectors, alpha=1 / self._scale)
        self.biases += pull.sum(0)
        self.step += 1
        return float((1 - margins).clamp_min(0).sum(1).mean()) * len(vectors)

    def _take_into_average(self) -> None:
        self.averaged += 1
        self.average.lerp_(self.weights, 1 / self.averaged)
        self.average_biases.lerp_(self.biases, 1 / self.averaged)

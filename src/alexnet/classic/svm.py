"""Linear classifiers of feature vectors: training by averaged SGD, early stopping, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from alexnet.classic.arrays import as_matrix, generator
from alexnet.data.subset import hold_out_least

Read = Callable[[Tensor], Tensor]
"""Reads the feature vectors (B, F) of photos with indices (B,)."""
AVERAGED_PER_PASS = 20
"""Number of steps per pass whose weights are averaged: averaging all would take longer than training."""
SMALLEST_SCALE = 1e-4
"""Weights are stored as scale times direction, so that weight decay is cheap; below this scale they are
multiplied out."""


class HingeSgd:
    """One-versus-rest linear SVMs by averaged SGD on the hinge loss: `weights` (K, F), `biases` (K,).

    Unlike `sklearn.linear_model.SGDClassifier` it streams its rows from a file, runs on a GPU and resumes.
    Source: Bottou, Large-Scale Machine Learning with Stochastic Gradient Descent, 2010.
    """

    def __init__(
        self, classes: int, size: int, *, learning_rate: float, weight_decay: float, batch_size: int
    ):
        self.learning_rate, self.weight_decay, self.batch_size = learning_rate, weight_decay, batch_size
        self.step, self.passes = 0, 0
        self._direction, self._scale = torch.zeros(classes, size), 1.0
        self.biases = torch.zeros(classes)
        self.average, self.average_biases, self.averaged = torch.zeros(classes, size), torch.zeros(classes), 0

    @property
    def weights(self) -> Tensor:
        """(K, F) after the last step."""
        return self._scale * self._direction

    def to(self, device: torch.device | str) -> HingeSgd:
        """Moves the classifiers to `device`."""
        for name in ("_direction", "biases", "average", "average_biases"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def train_epoch(self, read: Read, order: Tensor, labels: Tensor) -> float:
        """Trains on each photo of `order` (M,) once; returns the mean hinge loss.

        `labels` (N,) are of all photos. The weights of the first pass are not averaged: they are still far
        from the optimum.
        """
        total, batches = 0.0, order.split(self.batch_size)
        every = max(1, len(batches) // AVERAGED_PER_PASS)
        for number, photos in enumerate(batches):
            total += self._update(read(photos), labels[photos])
            if self.passes > 0 and number % every == 0:
                self._take_into_average()
        self.passes += 1
        return total / max(1, len(order))

    def classifiers(self) -> tuple[Tensor, Tensor]:
        """(K, F) and (K,): the averages, or the last weights if nothing has been averaged yet."""
        return (self.average, self.average_biases) if self.averaged else (self.weights, self.biases)

    def state(self) -> dict[str, Tensor]:
        """Everything that changes in training, as tensors."""
        numbers = torch.tensor([self.step, self.passes, self.averaged, self._scale], dtype=torch.float64)
        return {
            "direction": self._direction,
            "biases": self.biases,
            "average": self.average,
            "average_biases": self.average_biases,
            "numbers": numbers,
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Restores what `state` returned."""
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


READ_AT_ONCE = 256
"""Photos whose feature vectors are in memory at once when they are scored."""


@dataclass(frozen=True)
class Pass:
    """The result of one pass over the photos."""

    number: int
    loss: float
    """Mean hinge loss during the pass, summed over classes."""
    error: float
    """Top-1 error on the held-out photos, a fraction; on the training photos if none are held out."""


class EarlyStopping:
    """Passes of SGD until the error on the held-out photos has not fallen for `patience` passes.

    `train` and `held` are indices of photos. `best` are the classifiers, (K, F) and (K,), of the pass with
    the lowest error, number `best_pass`.
    """

    def __init__(
        self, sgd: HingeSgd, train: Tensor, held: Tensor, *, max_passes: int, patience: int, seed: int
    ):
        self.sgd, self.train, self.test = sgd, train, held if len(held) else train
        self.max_passes, self.patience, self.seed = max_passes, patience, seed
        self.best = sgd.classifiers()
        self.best_error, self.best_pass = 2.0, 0

    def run(self, read: Read, labels: Tensor) -> Iterator[Pass]:
        """The remaining passes, one at a time; `labels` (N,) int64 are of all photos."""
        while not self.finished:
            order = torch.randperm(len(self.train), generator=generator(self.seed + self.sgd.passes))
            loss = self.sgd.train_epoch(read, self.train[order], labels)
            error = error_of(self.sgd.classifiers(), read, self.test, labels)
            if error < self.best_error:
                self.best_error, self.best_pass = error, self.sgd.passes
                weights, biases = self.sgd.classifiers()
                self.best = weights.clone(), biases.clone()
            yield Pass(self.sgd.passes, loss, error)

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return self.sgd.passes >= self.max_passes or self.sgd.passes - self.best_pass >= self.patience

    def state(self) -> dict[str, Tensor]:
        """Everything that changes in training, as tensors."""
        numbers = torch.tensor([self.best_error, self.best_pass], dtype=torch.float64)
        best = {"best": self.best[0], "best_biases": self.best[1], "best_numbers": numbers}
        return {**self.sgd.state(), **best}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restores what `state` returned."""
        self.sgd.load(state)
        self.best = state["best"], state["best_biases"]
        self.best_error, best_pass = state["best_numbers"].tolist()
        self.best_pass = int(best_pass)


def scores(classifiers: tuple[Tensor, Tensor], read: Read, photos: Tensor) -> Tensor:
    """(M, K) scores of the photos with these indices (M,), read a few at a time."""
    weights, biases = classifiers
    rows = [torch.addmm(biases, read(few), weights.T) for few in photos.split(READ_AT_ONCE)]
    return torch.cat([biases.new_zeros(0, len(biases)), *rows])


def error_of(classifiers: tuple[Tensor, Tensor], read: Read, photos: Tensor, labels: Tensor) -> float:
    """Fraction of the photos whose highest score is of a wrong class."""
    wrong = scores(classifiers, read, photos).argmax(1).cpu() != labels[photos]
    return float(wrong.double().mean())


def random_split(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the training photos and of the held-out ones, both ascending; a function of the seed.

    The fraction `share` of each class is held out, rounded down, but at least one photo if `share` is above
    0. At least one photo of each class is used for training.
    """
    order = torch.randperm(len(labels), generator=generator(seed))
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    counts = np.maximum(int(share > 0), (share * np.bincount(labels.numpy())).astype(np.int64))
    train, held = hold_out_least(place.numpy(), labels.numpy(), counts)
    return torch.from_numpy(train), torch.from_numpy(held)


LARGEST = 1e3
"""Largest scale: if all scores were right, the best scale would be infinite."""


class SoftmaxCalibration(BaseEstimator):
    """Temperature scaling: softmax(`scale_` * scores) has the least mean negative log-likelihood of `y`.

    Source: Guo, Pleiss, Sun, Weinberger, ICML 2017.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's names
        """Fits scores (N, K) and labels (N,); without a row the scale is 1."""
        scores = as_matrix(X).double()
        labels = torch.as_tensor(y, device=scores.device).long()
        self.scale_ = _best_scale(scores, labels) if len(scores) else 1.0
        return self


def _best_scale(scores: Tensor, labels: Tensor) -> float:
    """The scale with the lowest loss, by bisection: the loss is convex in the scale."""
    low, high = -math.log(LARGEST), math.log(LARGEST)
    right = scores.gather(1, labels[:, None])[:, 0]
    for _ in range(50):
        middle = (low + high) / 2
        expected = (torch.softmax(math.exp(middle) * scores, 1) * scores).sum(1)
        low, high = (low, middle) if float((expected - right).mean()) > 0 else (middle, high)
    return math.exp((low + high) / 2)

"""Which training photos are kept from the classifiers, to stop them early and to calibrate them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from alexnet.classic.arrays import as_matrix, generator, in_kind


def split(labels: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of the photos to train on and of those held out, both rising; a function of the seed.

    Of each class `share` of its photos is held out, rounded down: a class with a single photo keeps it. With
    `share` above 0 at least one photo of each class with more than one is held out.
    """
    order = torch.randperm(len(labels), generator=generator(seed))
    held: list[Tensor] = [order[:0]]
    for label in labels.unique():
        own = order[labels[order] == label]
        count = min(len(own) - 1, max(int(share > 0), int(share * len(own))))
        held.append(own[:count])
    kept = torch.ones(len(labels), dtype=torch.bool)
    kept[torch.cat(held)] = False
    return kept.nonzero()[:, 0], (~kept).nonzero()[:, 0]


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


READ_AT_ONCE = 256


@dataclass(frozen=True)
class Pass:
    """What one pass over the photos did."""

    number: int
    loss: float
    """Mean hinge loss, summed over classes, while it was going on."""
    error: float
    """Top-1 error on the photos held out, a fraction; on those trained on where none are."""


class EarlyStopping:
    """Passes of SGD until the error on photos held out has not fallen for `patience` passes.

    `best` are the classifiers, (K, F) and (K,), of the pass with the lowest error.
    """

    def __init__(self, sgd: HingeSgd, train: Tensor, held: Tensor, passes: int, patience: int, seed: int):
        self.sgd, self.train, self.test = sgd, train, held if len(held) else train
        self.passes, self.patience, self.seed = passes, patience, seed
        self.best = sgd.classifiers()
        self.best_error, self.best_pass = 2.0, 0

    def run(self, read: Read, labels: Tensor) -> Iterator[Pass]:
        """Goes on, a pass at a time; `labels` (N,) int64 of all photos."""
        while not self.finished:
            order = torch.randperm(len(self.train), generator=generator(self.seed + self.sgd.passes))
            loss = self.sgd.one_pass(read, self.train[order], labels)
            error = error_of(self.sgd.classifiers(), read, self.test, labels)
            if error < self.best_error:
                self.best_error, self.best_pass = error, self.sgd.passes
                weights, biases = self.sgd.classifiers()
                self.best = weights.clone(), biases.clone()
            yield Pass(self.sgd.passes, loss, error)

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to gain."""
        return self.sgd.passes >= self.passes or self.sgd.passes - self.best_pass >= self.patience

    def state(self) -> dict[str, Tensor]:
        """All that changes, as tensors."""
        numbers = torch.tensor([self.best_error, self.best_pass], dtype=torch.float64)
        best = {"best": self.best[0], "best_biases": self.best[1], "best_numbers": numbers}
        return {**self.sgd.state(), **best}

    def load(self, state: dict[str, Tensor]) -> None:
        """What `state` gave, back again."""
        self.sgd.load(state)
        self.best = state["best"], state["best_biases"]
        self.best_error, best_pass = state["best_numbers"].tolist()
        self.best_pass = int(best_pass)


def scores(classifiers: tuple[Tensor, Tensor], read: Read, photos: Tensor) -> Tensor:
    """(M, K) of the photos with those numbers, read a few at a time."""
    weights, biases = classifiers
    rows = [torch.addmm(biases, read(few), weights.T) for few in photos.split(READ_AT_ONCE)]
    return torch.cat([biases.new_zeros(0, len(biases)), *rows])


def error_of(classifiers: tuple[Tensor, Tensor], read: Read, photos: Tensor, labels: Tensor) -> float:
    """Share of the photos whose highest score is not their class's."""
    wrong = scores(classifiers, read, photos).argmax(1).cpu() != labels[photos]
    return float(wrong.double().mean())


class LinearSvm(ClassifierMixin, BaseEstimator):
    """Trains on rows (N, F), an array (also a memory-mapped one of any type) or a tensor, on its device.

    Names are those of `sklearn.linear_model.SGDClassifier`; `alpha` corresponds to liblinear's 1 / (C * N).
    Learned: `classes_`, `coef_` (K, F), `intercept_` (K,), `n_iter_`, all in numpy; there is a classifier for
    each class, also of two.
    """

    def __init__(
        self,
        alpha: float = 1e-5,
        *,
        eta0: float = 4.0,
        batch: int = 32,
        max_iter: int = 50,
        n_iter_no_change: int = 5,
        validation_fraction: float = 0.1,
        random_state: int = 0,
    ):
        self.alpha = alpha
        self.eta0 = eta0
        self.batch = batch
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Passes until the held-out error stops falling; ValueError where there is one class."""
        self.classes_, numbers = np.unique(_numpy(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"there is one class ({self.classes_}): nothing to tell apart")
        labels = torch.from_numpy(numbers.astype(np.int64))
        rows = X if isinstance(X, Tensor) else np.asanyarray(X)
        device = rows.device if isinstance(rows, Tensor) else "cpu"
        train, held = split(labels, self.validation_fraction, self.random_state)
        sgd = HingeSgd(len(self.classes_), rows.shape[1], self.eta0, self.alpha, self.batch).to(device)
        stopping = EarlyStopping(sgd, train, held, self.max_iter, self.n_iter_no_change, self.random_state)
        for done in stopping.run(_reader(rows), labels):
            self.n_iter_ = done.number
        self.coef_, self.intercept_ = map(_numpy, stopping.best)
        return self

    def decision_function(self, X: Any) -> Any:  # noqa: N803
        """(N, K) scores."""
        rows = as_matrix(X)
        weights, biases = (torch.from_numpy(each).to(rows) for each in (self.coef_, self.intercept_))
        return in_kind(torch.addmm(biases, rows, weights.T), X)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """(N,) the classes with the highest scores."""
        return self.classes_[_numpy(self.decision_function(X)).argmax(1)]


def _reader(rows: Any) -> Read:
    if isinstance(rows, Tensor):
        return lambda photos: rows[photos.to(rows.device)].float()
    return lambda photos: torch.from_numpy(np.asarray(rows[photos.numpy()], np.float32))


def _numpy(values: Any) -> Any:
    """Of a tensor on any device, or of anything numpy takes."""
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


LARGEST = 1e3
"""Scale beyond which it does not matter: scores that are always right would want an infinite one."""


class SoftmaxCalibration(BaseEstimator):
    """Learned: `scale_`, which makes the mean negative log-likelihood of `y` least."""

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's names
        """From scores (N, K) and the right columns (N,); without a row the scale is 1."""
        scores = as_matrix(X).double()
        labels = torch.as_tensor(y, device=scores.device).long()
        self.scale_ = _best_scale(scores, labels) if len(scores) else 1.0
        return self

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """(N, K) probabilities."""
        return in_kind(torch.softmax(self.scale_ * as_matrix(X), 1), X)


def _best_scale(scores: Tensor, labels: Tensor) -> float:
    """The loss is convex in the scale: its logarithm is found by halving an interval."""
    low, high = -math.log(LARGEST), math.log(LARGEST)
    right = scores.gather(1, labels[:, None])[:, 0]
    for _ in range(50):
        middle = (low + high) / 2
        expected = (torch.softmax(math.exp(middle) * scores, 1) * scores).sum(1)
        low, high = (low, middle) if float((expected - right).mean()) > 0 else (middle, high)
    return math.exp((low + high) / 2)

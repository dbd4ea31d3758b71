"""Linear one-against-rest support vector machines by scikit-learn's contract."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from alexnet.classic import held_out
from alexnet.classic.arrays import as_matrix, generator, in_kind
from alexnet.classic.hinge_sgd import HingeSgd, Read

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
        train, held = held_out.split(labels, self.validation_fraction, self.random_state)
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

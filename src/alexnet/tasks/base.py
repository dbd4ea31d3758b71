"""The contract of a task: everything that depends on what a model is trained to predict, in one object.

The trainer, the loop over a split, the prediction cache, `alexnet evaluate` and `alexnet predict` call these
methods and do not depend on which task they have.

How to add a task
-----------------
1. Write one module with a frozen dataclass that extends `Task`, or an existing task, whose methods it
   overrides where they differ. `self.config` is the run's configuration and `self.num_classes` the number of
   classes. For instance `alexnet/tasks/hinge.py`, which only trains a classifier with another loss::

       from __future__ import annotations

       from dataclasses import dataclass

       from torch import Tensor
       from torch.nn.functional import multi_margin_loss

       from alexnet.tasks.base import Loss
       from alexnet.tasks.classification import Classification


       def hinge(outputs: Tensor, targets: Tensor) -> Tensor:
           # () from logits (N, K) and target probabilities (N, K), of which the label's is the largest.
           return multi_margin_loss(outputs, targets.argmax(1), reduction="sum")


       @dataclass(frozen=True)
       class Hinge(Classification):
           @property
           def loss(self) -> Loss:
               return Loss(forward=hinge, at_chance=lambda num_classes: 1 - 1 / num_classes)

2. Add an entry to `TASKS` in `alexnet/tasks/config.py`::

       TaskInfo(
           implementation="alexnet.tasks.hinge:Hinge",
           losses=("hinge",),
           logged=LoggedErrors("top-1 error", "one view", "training error"),
       )

`alexnet train alexnet-2012 training.loss=hinge ...` then trains it. The run's configuration names the loss,
so `evaluate`, `predict`, `serve` and `report` need nothing else.

What a task that extends `Task` itself implements
-------------------------------------------------
`tests/unit/tasks/extra_task.py` is a complete example: it predicts the brightness of an image.

- Training: `loss`, `targets` and `num_errors`. Outputs and targets have a row for each image, in float32,
  because batches are split into micro-batches. Override `trained_module` if not the model's `forward` is
  trained, and `check` for requirements on model or store. With `predicts_boxes` in its `TaskInfo`, a task
  gets batches with boxes.
- Testing: `infer` returns a row (anything that can be pickled) for each image of a batch. The images are
  uint8; the model's inputs (N * P, C, crop, crop) are the crops at P positions, which a function of
  `alexnet.data.crops` returns, such as `center`::

       with testing(bundle.model) as device:  # alexnet.evaluation.inference.testing
           inputs = bundle.preprocessing.test_input(images[0].to(device), positions)
           outputs = bundle.model(inputs)

  `collect` turns all rows of a split into one value of type `saved_type`, a frozen, keyword-only dataclass
  that extends `SplitPredictions` with arrays. It is saved as `RUN/predictions/<split>-<views><suffix>.npz`.
  `metrics` evaluates it; `watch` returns the values that training logs at each validation.
- `alexnet evaluate` counts the errors of class probabilities. For other metrics, `own_views` returns the
  views for which the task's own rows are inferred, and `add_metrics` adds its numbers to the `EvalResult`: to
  `measures`, by identifiers, if there is no field for them. `evaluate`, `compare` and the report show them in
  a table. A task with `own_views` needs a `suffix`.
- With `classifies=False` in its `TaskInfo`, `evaluate` and the report show these numbers only: no errors of
  classes, no confusions and no photos with class probabilities. `alexnet serve` refuses such a model, because
  the web demo shows classes.
- Predicting for photos: `predictions` turns a row into the predictions that `alexnet predict` prints:
  `ClassPrediction`s or, with `predicts_boxes`, `BoxPrediction`s. `check_photos` and `for_photos` refuse or
  apply options.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.crops import default_views
from alexnet.data.loader import Batch
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Split, Store
from alexnet.errors import CommandError
from alexnet.evaluation.views import ScaledView
from alexnet.models.bundle import ModelBundle
from alexnet.runs.calibration import Calibration
from alexnet.runs.predictions import SplitPredictions
from alexnet.runs.results import EvalResult, ViewSet
from alexnet.tasks.config import TaskInfo, task_info

_Row = TypeVar("_Row")
_Saved = TypeVar("_Saved", bound=SplitPredictions)
_Metrics = TypeVar("_Metrics")


@dataclass(frozen=True)
class Loss:
    """A loss, and its value at chance level."""

    forward: Callable[[Tensor, Tensor], Tensor]
    """() from outputs and targets: the sum over the images."""
    at_chance: Callable[[int], float]
    """The loss at chance level by the number of classes: the mean over the images for the best output that is
    the same for all images, or a lower value, if all classes are equally frequent. Infinite if unknown."""

    def mean(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(), the mean over the images."""
        return self.forward(outputs, targets) / len(outputs)


class ClassPrediction(NamedTuple):
    """A predicted class of a photo."""

    wnid: str
    name: str
    probability: float


class BoxPrediction(NamedTuple):
    """A predicted object of a photo."""

    wnid: str
    name: str
    score: float
    """Sum of the class's probabilities at the windows whose boxes were merged."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the photo, within it."""

    @classmethod
    def of(cls, kind: Class, score: float, box: Sequence[float]) -> BoxPrediction:
        """An object of a class."""
        x0, y0, x1, y1 = box
        return cls(kind.wnid, kind.name, float(score), (x0, y0, x1, y1))


Prediction: TypeAlias = ClassPrediction | BoxPrediction


@dataclass(frozen=True, eq=False)
class TestedSplit:
    """The images of a split and how they were tested; `collect` needs this in addition to the rows."""

    bundle: ModelBundle
    store: Store
    split: Split
    views: ViewSet
    scaled: Sequence[ScaledView]
    columns: npt.NDArray[np.int64]
    """(K,) position of each of the store's classes among the model's."""
    seconds: float
    """Duration of the test, reading included."""
    multiply_adds: float = 0.0
    """Multiply-adds per image, on average; 0 if they were not counted."""

    @property
    def store_labels(self) -> npt.NDArray[np.int64]:
        """(K,) the store's label of each of the model's classes: the inverse of `columns`."""
        return np.argsort(self.columns)

    def common(self) -> dict[str, Any]:
        """The fields that all `SplitPredictions` have."""
        return {
            "split": self.split.name,
            "views": self.views,
            "keys": np.array(self.split.keys(), np.str_),
            "classes": np.array([each.wnid for each in self.store.classes]),
            "store_digest": self.store.digest,
        }


@dataclass(frozen=True)
class Task(ABC, Generic[_Row, _Saved, _Metrics]):
    """The task of a model with this configuration and number of classes: what it is trained to predict."""

    config: RunConfig
    num_classes: int

    suffix = ""
    """Suffix in the names of files with saved predictions. The empty one is that of class probabilities; a
    task with rows of its own needs another one, such as `-boxes`."""
    batches_photos = True
    """Whether photos that become inputs of one size are predicted in one pass; this affects rounding."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.own_views is not Task.own_views and not cls.suffix:
            raise TypeError(
                f"{cls.__name__} has views of its own, so it needs a suffix, such as "
                f'suffix = "-{cls.__name__.lower()}": without one its predictions would be saved in the file '
                "of the class probabilities"
            )

    @property
    def info(self) -> TaskInfo:
        """The task's entry in the table of tasks."""
        return task_info(self.config.training.loss)

    # Training

    @property
    def reads_boxes(self) -> bool:
        """Whether training batches carry boxes."""
        return self.info.predicts_boxes

    @property
    @abstractmethod
    def loss(self) -> Loss:
        """The loss of outputs and targets."""

    def trained_module(self, model: nn.Module) -> nn.Module:
        """The module whose outputs for images (N, C, crop, crop) enter the loss; with `model`'s weights."""
        return model

    @abstractmethod
    def targets(
        self, inputs: Tensor, batch: Batch, randomness: ImageRandomness, preprocessing: Preprocessing
    ) -> tuple[Tensor, Tensor]:
        """The model's inputs, changed if the task changes them, and the targets, a row for each image.

        `inputs` are what `preprocessing.train_input` made of `batch` with the same `randomness`.
        """

    @abstractmethod
    def num_errors(self, outputs: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
        """(), the number of images with a wrong output."""

    def check(self, model: nn.Module, store: Store) -> None:
        """CommandError, before training, if the model (on the meta device) or the store does not suit the
        task.
        """

    # Testing

    @abstractmethod
    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> Sequence[_Row]:
        """A row for each of N images; `images` are uint8 (N, H, W, C), one tensor for each view.

        CommandError for a model that cannot do this.
        """

    @abstractmethod
    def collect(self, rows: Sequence[_Row], tested: TestedSplit) -> _Saved:
        """The rows of all images of a split, in the store's order, as one value that can be saved."""

    @property
    @abstractmethod
    def saved_type(self) -> type[_Saved]:
        """What `collect` returns."""

    @abstractmethod
    def metrics(self, saved: _Saved, store: Store) -> _Metrics:
        """The metrics of the predictions for a split; raises an error if there is no ground truth."""

    @abstractmethod
    def watch(self, saved: _Saved, store: Store) -> Mapping[str, Any]:
        """The values that training logs at each validation: `top1_error`, the watched metric, of which a
        lower value is better, and `images`, their number, which the report shows.
        """

    def own_views(self, views: ViewSet) -> ViewSet | None:
        """The views for which `evaluate` infers the task's rows in addition to class probabilities; None for
        no rows.
        """
        return None

    def add_metrics(self, result: EvalResult, saved: _Saved, store: Store) -> EvalResult:
        """`result`, which has the errors of class probabilities, with the task's own metrics."""
        return result

    # Predicting for photos

    def default_views(self, mirror: bool) -> str:
        """Name of the views that are used if none are named; `mirror`: training mirrored images."""
        return self.info.default_views or default_views(mirror)

    def check_photos(self, bundle: ModelBundle, views: ViewSet) -> None:
        """CommandError if photos cannot be predicted with this model and these views."""

    def for_photos(self, top: int | None, min_score: float | None) -> Task[_Row, _Saved, _Metrics]:
        """This task, set to predict at most `top` classes or objects, of at least `min_score`."""
        if min_score is not None:
            raise CommandError(
                f"{self.config.recipe} has no minimum score: only classifiers and detectors have one"
            )
        return self

    def calibrated(self, calibration: Calibration | None) -> Task[_Row, _Saved, _Metrics]:
        """This task, set to predict calibrated class probabilities, if it predicts such."""
        return self

    @abstractmethod
    def predictions(
        self, row: _Row, classes: Sequence[Class], scaled: Sequence[ScaledView], size: tuple[int, int]
    ) -> list[Prediction]:
        """The predictions in a row of `infer`, for a photo of `size` (height, width); the best one first."""


def task_of(config: RunConfig, num_classes: int) -> Task[Any, Any, Any]:
    """The task of a configuration."""
    module, _, name = task_info(config.training.loss).implementation.partition(":")
    return getattr(importlib.import_module(module), name)(config, num_classes)

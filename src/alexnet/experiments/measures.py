"""Measures of trained models that claims use, mostly numbers in the run's log.

Errors are fractions of images; the unit `points` says that a difference of them is shown in points.
"""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import Any, ClassVar, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from alexnet.analysis.features import features_of
from alexnet.data.crops import center, default_views
from alexnet.data.sources.base import Labels
from alexnet.data.store import TRAIN
from alexnet.data.subset import stratified_order
from alexnet.errors import WorkError
from alexnet.evaluation import ensemble
from alexnet.evaluation.inference import InferenceOptions
from alexnet.evaluation.metrics import true_ranks
from alexnet.evaluation.run_evaluation import class_predictions
from alexnet.experiments.arms import ArmRun
from alexnet.experiments.claim_results import MeasuredValue
from alexnet.experiments.cost import update_bytes, update_seconds
from alexnet.experiments.validation import ERROR, TRAINING_ERROR, VALIDATION
from alexnet.models import bundle
from alexnet.models.alexnet import AlexNet
from alexnet.models.layers.dropout import MaskDropout
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.init import Weighted
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import find_weights

_Array = npt.NDArray[np.float64]


class Measure(Protocol):
    """A number of one trained model."""

    @property
    def id(self) -> str:
        """Id of the number in files."""
        ...

    @property
    def words(self) -> str:
        """A description of the number."""
        ...

    @property
    def unit(self) -> str:
        """`points` for errors, `epochs`, `seconds`, ...; empty for a bare number."""
        ...

    of_trained: ClassVar[bool]
    """Whether it is about models that have finished learning, and not about how they learn, or about no
    training at all."""

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """The number; None if the run diverged."""
        ...


@dataclass(frozen=True)
class Last:
    """The validation error at the end of training."""

    of_trained: ClassVar[bool] = True
    id: str = "validation-error"
    words: str = "validation error"
    unit: str = "points"

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """A fraction."""
        return None if run.diverged else MeasuredValue(run.tests[-1][ERROR])


@dataclass(frozen=True)
class Gap:
    """Overfitting: how much larger the error is on images that the model was not trained on."""

    of_trained: ClassVar[bool] = True
    id: str = "overfitting"
    words: str = "validation error minus training error"
    unit: str = "points"

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """A difference of fractions, at the end of training."""
        if run.diverged:
            return None
        last = run.tests[-1]
        return MeasuredValue(last[ERROR] - last[TRAINING_ERROR])


@dataclass(frozen=True)
class After:
    """The training error early in training."""

    of_trained: ClassVar[bool] = False
    epochs: float
    """Number of epochs of the common model."""
    unit: str = "points"

    @property
    def id(self) -> str:
        """With the number of epochs."""
        return f"training-error-after-{self.epochs:g}"

    @property
    def words(self) -> str:
        """With the number of epochs."""
        return f"training error after epoch {self.epochs:g}"

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """A fraction, from the last validation up to that epoch, or the first one; None for a shorter run."""
        if run.diverged or run.epochs < self.epochs:
            return None
        early = [line for line in run.tests if line["epoch"] <= self.epochs]
        return MeasuredValue((early or run.tests)[-1 if early else 0][TRAINING_ERROR])


@dataclass(frozen=True)
class EpochsTo:
    """Epochs until the training error has fallen to a threshold, interpolated between two validations."""

    of_trained: ClassVar[bool] = False
    error: float
    unit: str = "epochs"

    @property
    def id(self) -> str:
        """With the threshold in percent."""
        return f"epochs-to-{100 * self.error:g}"

    @property
    def words(self) -> str:
        """With the threshold."""
        return f"epochs to a training error of {100 * self.error:g} %"

    def of(self, run: ArmRun) -> MeasuredValue:
        """Censored if the threshold was not reached or the run diverged: more than the epochs of the run."""
        lines = [] if run.diverged else run.tests
        return epochs_to(lines, self.error, run.epochs)


def epochs_to(lines: Sequence[Mapping[str, Any]], error: float, epochs: float) -> MeasuredValue:
    """The epoch at which the `training_error` of `lines`, sorted by `epoch`, fell to `error`; else more than
    `epochs`.

    Before training the error counts as 1 (no prediction correct) at epoch 0.
    """
    before = {"epoch": 0.0, TRAINING_ERROR: 1.0}
    for line in lines:
        if line[TRAINING_ERROR] <= error:
            share = (before[TRAINING_ERROR] - error) / (before[TRAINING_ERROR] - line[TRAINING_ERROR])
            return MeasuredValue(before["epoch"] + share * (line["epoch"] - before["epoch"]))
        before = line
    return MeasuredValue(epochs, at_least=True, missed_by=before[TRAINING_ERROR] - error)


def predictions(run: ArmRun, views: str) -> Predictions:
    """The trained model's predictions for the validation images, saved in the run directory."""
    return class_predictions(
        run.run, run.store, VALIDATION, ViewSet(views), InferenceOptions(device=run.device)
    )


@dataclass(frozen=True)
class ErrorOf:
    """The validation error with some views of each image."""

    of_trained: ClassVar[bool] = True
    views: str
    unit: str = "points"

    @property
    def id(self) -> str:
        """With the views."""
        return f"error-{self.views}"

    @property
    def words(self) -> str:
        """With the views."""
        return f"validation error, {self.views} view" + ("s" if self.views == "ten" else "")

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """A fraction."""
        return None if run.diverged else MeasuredValue(float(_wrong(predictions(run, self.views)).mean()))


@dataclass(frozen=True)
class EnsembleGain:
    """The error of one model minus the error of `models` averaged models, image by image.

    With the default views: ten crops, or the center crop of models trained without mirroring.
    """

    of_trained: ClassVar[bool] = True
    models: int
    unit: str = "points"

    @property
    def id(self) -> str:
        """With the number of models."""
        return f"gain-of-{self.models}"

    @property
    def words(self) -> str:
        """With the number of models."""
        return f"error of one model minus that of {self.models} averaged"

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """None: several models are needed."""
        return None

    def of_photos(self, runs: Sequence[ArmRun]) -> list[float] | None:
        """For each image, the fraction of wrong models minus the fraction of wrong subsets; None for too few
        models.
        """
        made = [predictions(run, default_views(run.config.data.mirror)) for run in runs if not run.diverged]
        if len(made) < self.models:
            return None
        alone = np.mean([_wrong(each) for each in made], axis=0)
        subsets = [_wrong(ensemble.mean(list(some))) for some in combinations(made, self.models)]
        return (alone - np.mean(subsets, axis=0)).tolist()


def _wrong(made: Predictions) -> npt.NDArray[np.bool_]:
    return true_ranks(made.probabilities, made.labels) > 0


NOISE_IMAGES = 64
INPUTS, EXAMPLES = 8, 40
"""Size of the linear model: so few inputs that all dropout masks can be enumerated."""


@dataclass(frozen=True)
class InvertedDropout:
    """The difference between predictions with units halved at test time and those of inverted dropout."""

    of_trained: ClassVar[bool] = False
    id: str = "inverted-dropout"
    words: str = "difference of probabilities"
    unit: str = ""

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """The largest difference over random images in the model's input range; None for a model without
        dropout.
        """
        if run.diverged:
            return None
        loaded = bundle.load(find_weights(run.run.path), "cpu", needs_weights=True)
        if not isinstance(loaded.model, AlexNet) or not loaded.model.dropout:
            return None
        side, crop = loaded.preprocessing.side, loaded.preprocessing.crop
        shape = (NOISE_IMAGES, side, side, loaded.preprocessing.data.channels)
        noise = torch.Generator().manual_seed(run.seed)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise)
        inputs = loaded.preprocessing.test_input(images, center(side, crop))
        return MeasuredValue(probabilities_apart(loaded.model, inputs))


def probabilities_apart(model: AlexNet, images: torch.Tensor) -> float:
    """The largest difference of probabilities between a model and its `inverted` version.

    `images` are preprocessed.

    WorkError if the model has no dropout layer that halves units.
    """
    twin = inverted(model).eval()
    with torch.no_grad():
        first, second = (each(images).softmax(1) for each in (model.eval(), twin))
    return float((first - second).abs().max())


def inverted(model: AlexNet) -> AlexNet:
    """The same model with inverted dropout, which does nothing at test time, and scaled weights after it.

    Source: Krizhevsky et al. 2012, section 4.2; Srivastava et al. 2014, section 10. WorkError as above.
    """
    twin = copy.deepcopy(model)
    halved = 0
    for layer, reader in pairwise(model.layers):
        steps = OrderedDict(twin.after[layer].named_children())
        for word, step in steps.items():
            if isinstance(step, MaskDropout):
                steps[word] = nn.Dropout(step.probability)
                with torch.no_grad():
                    cast(Weighted, twin.get_submodule(reader)).weight.mul_(1 - step.probability)
                halved += 1
        twin.after[layer] = FusedBlock(steps)
    if not halved:
        raise WorkError(
            "the model has no dropout that halves units at test time: there is nothing to compare"
        )
    return twin


@dataclass(frozen=True)
class LinearDropout:
    """The difference between the weights of a linear model with dropout of its inputs and those of ridge
    regression.
    """

    of_trained: ClassVar[bool] = False
    id: str = "linear-dropout"
    words: str = "relative difference of weights"
    unit: str = ""

    def of(self, run: ArmRun) -> MeasuredValue:
        """The difference for synthetic inputs and targets drawn with the run's seed; the trained model is not
        used.
        """
        random = np.random.default_rng(run.seed)
        inputs = random.normal(size=(EXAMPLES, INPUTS)) * random.uniform(0.5, 2.0, INPUTS)
        targets = random.normal(size=EXAMPLES)
        return MeasuredValue(weights_apart(inputs, targets, kept=0.5))


def weights_apart(inputs: _Array, targets: _Array, kept: float) -> float:
    """The relative difference of `minimum_under_dropout` and `ridge`: its norm divided by that of the
    weights.
    """
    slow, closed = minimum_under_dropout(inputs, targets, kept), ridge(inputs, targets, kept)
    return float(np.linalg.norm(slow - closed) / np.linalg.norm(closed))


def minimum_under_dropout(inputs: _Array, targets: _Array, kept: float) -> _Array:
    """(D,) weights with the least expected squared error if each input of (N, D) is kept with probability
    `kept`.

    The expectation is a sum over all 2^D masks; the minimum is the solution of the normal equations.
    """
    count = inputs.shape[1]
    curvature, slope = np.zeros((count, count)), np.zeros(count)
    for bits in product((0.0, 1.0), repeat=count):
        mask = np.array(bits)
        probability = kept ** mask.sum() * (1 - kept) ** (count - mask.sum())
        masked = inputs * mask
        curvature += probability * masked.T @ masked
        slope += probability * masked.T @ targets
    return np.asarray(np.linalg.solve(curvature, slope), np.float64)


def ridge(inputs: _Array, targets: _Array, kept: float) -> _Array:
    """(D,) the same in closed form: L2 regularization of each weight, scaled by its input's size.

    The expected squared error is |y - p X w|^2 + p (1 - p) |diag(X^T X)^(1/2) w|^2.
    Source: Srivastava et al. 2014, section 9.1.
    """
    gram = inputs.T @ inputs
    penalty = kept * (1 - kept) * np.diag(np.diag(gram))
    return np.asarray(np.linalg.solve(kept**2 * gram + penalty, kept * inputs.T @ targets), np.float64)


ITERATIONS = 2000


@dataclass(frozen=True)
class FeaturesError:
    """The validation error of a linear classifier on the last hidden layer of a model trained on other
    classes.
    """

    of_trained: ClassVar[bool] = True
    per_class: int
    unit: str = "points"

    @property
    def id(self) -> str:
        """With the number of training photos of each class."""
        return f"features-error-{self.per_class}"

    @property
    def words(self) -> str:
        """With the number of training photos of each class."""
        return f"error of a linear classifier on features, {self.per_class} photos per class"

    def of(self, run: ArmRun) -> MeasuredValue | None:
        """A fraction; None as for `wrong`."""
        wrong = self.wrong(run)
        return None if wrong is None else MeasuredValue(float(wrong.mean()))

    def wrong(self, run: ArmRun) -> npt.NDArray[np.bool_] | None:
        """(N,) whether each validation image of the target classes is misclassified; None if the run diverged
        or there are no target classes.
        """
        if run.diverged or run.target is None:
            return None
        target = run.target
        train, test = target.split(TRAIN), target.split(VALIDATION)
        chosen = np.sort(stratified_order(train.keys(), train.labels)[: self.per_class * len(target.classes)])
        options = InferenceOptions(device=run.device)
        training = features_of(run.run, target, TRAIN, options=options)[chosen]
        testing = features_of(run.run, target, VALIDATION, options=options)
        return linear_mistakes(training, train.labels[chosen], testing, test.labels)


def linear_mistakes(
    training: npt.NDArray[np.float32],
    labels: Labels,
    testing: npt.NDArray[np.float32],
    true_labels: Labels,
) -> npt.NDArray[np.bool_]:
    """(M,) whether logistic regression fitted to (N, D) labeled vectors is wrong on each of (M, D) others."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few vectors in many dimensions: close enough
        classifier.fit(training, labels)
    return np.asarray(classifier.predict(testing) != true_labels)


@dataclass(frozen=True)
class UpdateSeconds:
    """The median duration of a few updates, including reading the images."""

    of_trained: ClassVar[bool] = False
    id: str = "update-seconds"
    words: str = "seconds of an update"
    unit: str = "seconds"

    def of(self, run: ArmRun) -> MeasuredValue:
        """Seconds, measured now on this machine."""
        return MeasuredValue(update_seconds(run.config, run.store, run.device))


@dataclass(frozen=True)
class UpdateMegabytes:
    """Memory of an update: on a CPU all that is kept for the gradients; on a GPU the peak allocation."""

    of_trained: ClassVar[bool] = False
    id: str = "update-megabytes"
    words: str = "megabytes of an update"
    unit: str = "megabytes"

    def of(self, run: ArmRun) -> MeasuredValue:
        """Megabytes (millions of bytes)."""
        return MeasuredValue(update_bytes(run.config, run.store, run.device) / 1e6)

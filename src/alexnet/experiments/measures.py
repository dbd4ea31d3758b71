"""What looking ten times, and asking several nets, is worth: from predictions kept in the runs' folders."""

from __future__ import annotations

import copy
import statistics
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, islice, pairwise, product
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet.analysis.features import features_of
from alexnet.config import RunConfig
from alexnet.data.crops import center, default_views
from alexnet.data.loader import Batch, Loader
from alexnet.data.sources.base import Labels
from alexnet.data.store import TRAIN, Store, balanced, training_images
from alexnet.errors import WorkError
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import true_ranks
from alexnet.evaluation.run_evaluation import predictions_of
from alexnet.experiments.claims import ArmRun, Value
from alexnet.models import bundle
from alexnet.models.alexnet import AlexNet
from alexnet.models.layers.dropout import MaskDropout
from alexnet.models.layers.fused_block import Stage
from alexnet.models.layers.init import Weighted
from alexnet.runs.predictions import Predictions
from alexnet.runs.run_dir import find_weights
from alexnet.training.plan import make_plan
from alexnet.training.step import update
from alexnet.training.train_state import TrainState, build_train_state

SPLIT = "val"


def predicted(trial: ArmRun, views: str) -> Predictions:
    """What the trained net says of the validation photos, kept in its folder."""
    return predictions_of(trial.run, trial.store, SPLIT, views, device=trial.device)


@dataclass(frozen=True)
class ErrorOf:
    """The validation error with some views of each photo."""

    views: str
    unit: str = "points"

    @property
    def words(self) -> str:
        """Which views."""
        return f"validation error, {self.views} view" + ("s" if self.views == "ten" else "")

    def of(self, trial: ArmRun) -> Value | None:
        """A fraction."""
        return None if trial.diverged else Value(float(_wrong(predicted(trial, self.views)).mean()))


@dataclass(frozen=True)
class EnsembleGain:
    """How many more errors a net alone makes than `nets` of them averaged, photo by photo.

    With the usual views: ten crops, or the central one of nets that were not trained on mirrored photos.
    """

    nets: int
    unit: str = "points"

    @property
    def words(self) -> str:
        """How many nets."""
        return f"errors of one net less those of {self.nets} averaged"

    def of(self, trial: ArmRun) -> Value | None:
        """Nothing: it is of several nets."""
        return None

    def of_photos(self, trials: Sequence[ArmRun]) -> list[float] | None:
        """For each photo the share of nets that are wrong, less that of choices of them; None if too few."""
        made = [
            predicted(trial, default_views(trial.config.data.mirror))
            for trial in trials
            if not trial.diverged
        ]
        if len(made) < self.nets:
            return None
        alone = np.mean([_wrong(each) for each in made], axis=0)
        choices = [_wrong(ensemble.mean(list(some))) for some in combinations(made, self.nets)]
        return (alone - np.mean(choices, axis=0)).tolist()


def _wrong(made: Predictions) -> npt.NDArray[np.bool_]:
    return true_ranks(made.probabilities, made.labels) > 0


Array = npt.NDArray[np.float64]
IMAGES = 64
INPUTS, EXAMPLES = 8, 40
"""Of the linear model: few enough inputs that all of dropout's masks can be gone through, one by one."""


@dataclass(frozen=True)
class InvertedDropout:
    """How far the answers of a net that halves in the test are from those of the inverted form."""

    words: str = "difference of probabilities"
    unit: str = ""

    def of(self, trial: ArmRun) -> Value | None:
        """The largest difference over random images in the net's own range; None of a net without dropout."""
        if trial.diverged:
            return None
        loaded = bundle.load(find_weights(trial.run.path))
        if not isinstance(loaded.model, AlexNet) or not loaded.model.dropout:
            return None
        side, crop = loaded.preprocessing.side, loaded.preprocessing.crop
        shape = (IMAGES, side, side, loaded.preprocessing.data.channels)
        noise = torch.Generator().manual_seed(trial.seed)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise)
        return Value(answers_apart(loaded.model, loaded.preprocessing.test_input(images, center(side, crop))))


def answers_apart(net: AlexNet, images: torch.Tensor) -> float:
    """The largest difference of probabilities between a net and its `inverted` twin, on preprocessed images.

    WorkError where the net has no layer that halves.
    """
    twin = inverted(net).eval()
    with torch.no_grad():
        answers = [each(images).softmax(1) for each in (net.eval(), twin)]
    return float((answers[0] - answers[1]).abs().max())


def inverted(net: AlexNet) -> AlexNet:
    """The same net with inverted dropout, which does nothing in the test: what reads it has smaller weights.

    Source: Krizhevsky et al. 2012, section 4.2; Srivastava et al. 2014, section 10. WorkError as above.
    """
    twin = copy.deepcopy(net)
    halved = 0
    for layer, reader in pairwise(net.layers):
        steps = OrderedDict(twin.after[layer].named_children())
        for word, step in steps.items():
            if isinstance(step, MaskDropout):
                steps[word] = nn.Dropout(step.probability)
                with torch.no_grad():
                    cast(Weighted, twin.get_submodule(reader)).weight.mul_(1 - step.probability)
                halved += 1
        twin.after[layer] = Stage(steps)
    if not halved:
        raise WorkError("the net has no dropout that halves in the test: there is nothing to compare")
    return twin


@dataclass(frozen=True)
class LinearDropout:
    """How far the weights that dropout of a linear model's inputs leads to are from the ridge's."""

    words: str = "relative difference of weights"
    unit: str = ""

    def of(self, trial: ArmRun) -> Value:
        """On made-up inputs and targets of the trial's seed; nothing of the net is used."""
        random = np.random.default_rng(trial.seed)
        inputs = random.normal(size=(EXAMPLES, INPUTS)) * random.uniform(0.5, 2.0, INPUTS)
        targets = random.normal(size=EXAMPLES)
        return Value(weights_apart(inputs, targets, kept=0.5))


def weights_apart(inputs: Array, targets: Array, kept: float) -> float:
    """Of `minimum_under_dropout` and `ridge`, the length of the difference over that of the weights."""
    slow, closed = minimum_under_dropout(inputs, targets, kept), ridge(inputs, targets, kept)
    return float(np.linalg.norm(slow - closed) / np.linalg.norm(closed))


def minimum_under_dropout(inputs: Array, targets: Array, kept: float) -> Array:
    """(D,) weights of least expected squared error where each input of (N, D) is `kept` with a probability.

    The expectation is a sum over all 2^D masks; its minimum the solution of the normal equations.
    """
    count = inputs.shape[1]
    curvature, slope = np.zeros((count, count)), np.zeros(count)
    for bits in product((0.0, 1.0), repeat=count):
        mask = np.array(bits)
        probability = kept ** mask.sum() * (1 - kept) ** (count - mask.sum())
        seen = inputs * mask
        curvature += probability * seen.T @ seen
        slope += probability * seen.T @ targets
    return np.asarray(np.linalg.solve(curvature, slope), np.float64)


def ridge(inputs: Array, targets: Array, kept: float) -> Array:
    """(D,) the same in closed form: L2 regularization, each weight by its input's size.

    The expected squared error is |y - p X w|^2 + p (1 - p) |diag(X^T X)^(1/2) w|^2.
    Source: Srivastava et al. 2014, section 9.1.
    """
    gram = inputs.T @ inputs
    penalty = kept * (1 - kept) * np.diag(np.diag(gram))
    return np.asarray(np.linalg.solve(kept**2 * gram + penalty, kept * inputs.T @ targets), np.float64)


TRANSFER_SPLIT = "val"
ITERATIONS = 2000


@dataclass(frozen=True)
class FeaturesError:
    """The validation error of a linear classifier of the last hidden layer of a net of other classes."""

    per_class: int
    unit: str = "points"

    @property
    def words(self) -> str:
        """From how many photos it learns."""
        return f"error of a linear classifier of features, {self.per_class} photos a class"

    def of(self, trial: ArmRun) -> Value | None:
        """A fraction; None where the net diverged or there is nothing to ask it about."""
        if trial.diverged or trial.target is None:
            return None
        target = trial.target
        train, test = target.split(TRAIN), target.split(TRANSFER_SPLIT)
        chosen = balanced(train)[: self.per_class * len(target.classes)]
        seen = features_of(trial.run, target, TRAIN, device=trial.device)[np.sort(chosen)]
        asked = features_of(trial.run, target, TRANSFER_SPLIT, device=trial.device)
        return Value(linear_error(seen, train.labels[np.sort(chosen)], asked, test.labels))


def linear_error(
    seen: npt.NDArray[np.float32], labels: Labels, asked: npt.NDArray[np.float32], truth: Labels
) -> float:
    """The share of (M, D) vectors that logistic regression on (N, D) labeled ones gets wrong."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of few vectors in many dimensions: it is near
        classifier.fit(seen, labels)
    return float((classifier.predict(asked) != truth).mean())


WARM_UP, TIMED = 2, 7


@dataclass(frozen=True)
class UpdateSeconds:
    """The median of a few updates, with the photos' reading."""

    words: str = "seconds of an update"
    unit: str = "seconds"

    def of(self, trial: ArmRun) -> Value:
        """In seconds, now and on this machine."""
        return Value(update_seconds(trial.config, trial.store, trial.device))


@dataclass(frozen=True)
class PeakMegabytes:
    """Memory of an update: on a CPU all that is kept for the gradients; on a GPU the most that is taken."""

    words: str = "megabytes of an update"
    unit: str = "megabytes"

    def of(self, trial: ArmRun) -> Value:
        """In millions of bytes."""
        return Value(update_bytes(trial.config, trial.store, trial.device) / 1e6)


def update_seconds(
    config: RunConfig, store: Store, device: torch.device, timed: int = TIMED, warm_up: int = WARM_UP
) -> float:
    """Median seconds of real updates of a configuration, after a few that warm up."""
    seconds: list[float] = []
    for do in _updates(config, store, device, warm_up + timed):
        began = time.perf_counter()
        do()
        _finish(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[warm_up:])


def update_bytes(config: RunConfig, store: Store, device: torch.device) -> int:
    """Bytes at the height of one update: on a CPU of the values kept for the backward pass, each once.

    On a GPU the most that torch has taken for the update, parameters and all.
    """
    for number, do in enumerate(_updates(config, store, device, 2)):
        if number == 0:
            do()  # makes the optimizer's state
        elif device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            do()
            return torch.cuda.max_memory_allocated(device)
        else:
            with kept_for_gradients() as kept:
                do()
            return sum(kept.values())
    return 0


@contextmanager
def kept_for_gradients() -> Generator[dict[int, int]]:
    """While it lasts, bytes of each memory that is kept for a backward pass, by its address."""
    kept: dict[int, int] = {}
    held: list[Tensor] = []  # so that no address is given twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in kept:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def _updates(
    config: RunConfig, store: Store, device: torch.device, count: int
) -> Iterator[Callable[[], object]]:
    """The first updates of a run, each when it is called."""
    images = training_images(store, config.data)
    learner = build_train_state(config, store, device, make_plan(config, len(images)).steps_per_epoch)
    loader = Loader(
        images, config.training.batch_size, seed=config.training.seed, device=device, drop_last=True
    )
    for step, (epoch, batch) in enumerate(islice(_batches(loader), count)):
        yield lambda step=step, epoch=epoch, batch=batch: _update(learner, batch, epoch, step)


def _batches(loader: Loader) -> Iterator[tuple[int, Batch]]:
    epoch = 0
    while True:
        for batch in loader.batches(epoch, 0):
            yield epoch, batch
        epoch += 1


def _update(learner: TrainState, batch: Batch, epoch: int, step: int) -> object:
    return update(learner, batch, epoch, step, color_noise=True)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

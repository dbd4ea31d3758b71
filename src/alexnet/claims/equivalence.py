"""Dropout's equivalences: halving in the test and the inverted form; and, of a linear model, a ridge."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise, product
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from alexnet.claims.measure import Value
from alexnet.claims.trial import Trial
from alexnet.data.views import centre
from alexnet.errors import WorkError
from alexnet.layers.dropout import MaskDropout
from alexnet.layers.initialise import Weighted
from alexnet.layers.stage import Stage
from alexnet.models import model_file
from alexnet.models.alexnet import AlexNet
from alexnet.runs.weights import find_weights

Array = npt.NDArray[np.float64]
IMAGES = 64
INPUTS, EXAMPLES = 8, 40
"""Of the linear model: few enough inputs that all of dropout's masks can be gone through, one by one."""


@dataclass(frozen=True)
class InvertedDropout:
    """How far the answers of a net that halves in the test are from those of the inverted form."""

    words: str = "difference of probabilities"
    unit: str = ""

    def of(self, trial: Trial) -> Value | None:
        """The largest difference over random images in the net's own range; None of a net without dropout."""
        if trial.diverged:
            return None
        loaded = model_file.load(find_weights(trial.run.path), "cpu")
        if not isinstance(loaded.model, AlexNet) or not loaded.model.dropout:
            return None
        side, crop = loaded.preprocessing.side, loaded.preprocessing.crop
        shape = (IMAGES, side, side, loaded.preprocessing.data.channels)
        noise = torch.Generator().manual_seed(trial.seed)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise)
        return Value(answers_apart(loaded.model, loaded.preprocessing.test_input(images, centre(side, crop))))


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

    def of(self, trial: Trial) -> Value:
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
    """(D,) the same in closed form: L2 regularisation, each weight by its input's size.

    The expected squared error is |y - p X w|^2 + p (1 - p) |diag(X^T X)^(1/2) w|^2.
    Source: Srivastava et al. 2014, section 9.1.
    """
    gram = inputs.T @ inputs
    penalty = kept * (1 - kept) * np.diag(np.diag(gram))
    return np.asarray(np.linalg.solve(kept**2 * gram + penalty, kept * inputs.T @ targets), np.float64)

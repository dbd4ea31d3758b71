"""How fast this machine trains the candidates of `fit`, measured in a second or two."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from alexnet import recipes
from alexnet.classic.codebooks import DiagonalMixture
from alexnet.classic.config import ClassicConfig
from alexnet.classic.pipeline import ChannelModel, Pipeline
from alexnet.hardware import synchronize
from alexnet.models.registry import build

TIMED_BATCH = 32
REPEATS = 3
"""How often each time is measured: the shortest counts, since other programs may have disturbed the rest."""
TIMED_PHOTOS, TIMED_ROWS, TIMED_MATRIX = 2, 64, 300
TIMED_FEATURES, TIMED_PASSES = 256, 10
"""Features of a photo below the last layer, and iterations of a logistic regression on them."""
LONG_SECONDS = 0.5
"""What takes longer is not repeated."""


@dataclass(frozen=True)
class FisherSpeed:
    """Of the channels of a pipeline with classifiers by least squares together, in seconds."""

    per_descriptor: float
    """Of the sample that its codebooks are learned from, all rounds."""
    per_photo: float
    """To be described and encoded."""
    per_pair: float
    """Of photos, to be compared for the classifiers."""
    per_cube: float
    """Of the number of photos, to solve for the classifiers."""
    descriptors: float = math.inf
    """Of a photo, not seconds: of few photos there are fewer than the sample may have."""

    def seconds(self, photos: int, descriptors: int, predicted: int = 0) -> float:
        """Estimated time of training on `photos`, and of predicting `predicted` other photos."""
        return (
            self.per_descriptor * min(descriptors, self.descriptors * photos)
            + self.per_photo * (photos + predicted)
            + self.per_pair * photos**2 / 2
            + self.per_cube * photos**3
        )

    def slowed(self, factor: float) -> FisherSpeed:
        """Of a machine on which everything takes `factor` times as long."""
        return FisherSpeed(
            factor * self.per_descriptor,
            factor * self.per_photo,
            factor * self.per_pair,
            factor * self.per_cube,
            self.descriptors,
        )


def network_speed(device: torch.device, input_size: int) -> float:
    """Photos per second that train the small network, measured on random pixels."""
    model = build(recipes.get("alexnet-small").model, 10, input_size, 3)
    model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images = torch.randn(TIMED_BATCH, 3, input_size, input_size, device=device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.zeros(TIMED_BATCH, dtype=torch.long, device=device)

    def update() -> None:
        cross_entropy(model(images), labels).backward()

    update()  # the first one also chooses algorithms
    return TIMED_BATCH / _seconds(update, device)


@torch.no_grad()
def fisher_speed(classic: ClassicConfig, side: int, device: torch.device) -> FisherSpeed:
    """The speed of a pipeline on squares of `side` pixels, measured on random ones."""
    images = torch.rand(TIMED_PHOTOS, 3, side, side, device=device)
    channels = list(Pipeline(classic, 2, side).to(device))
    matrix = torch.rand(TIMED_MATRIX, TIMED_MATRIX, dtype=torch.float64)
    solve = len(channels) * _seconds(lambda: torch.linalg.eigh(matrix @ matrix.T), torch.device("cpu"))
    per_descriptor = sum(_seconds_per_descriptor(channel, images) for channel in channels)
    encode = sum(_seconds(lambda: channel.features(images), device) for channel in channels)  # noqa: B023
    rows = torch.rand(TIMED_ROWS, sum(channel.size for channel in channels), device=device)
    compare = _seconds(lambda: rows @ rows.T, device)
    patches = max(len(channel.descriptor.centers(side)) for channel in channels)
    pairs, cubes = compare / TIMED_ROWS**2, solve / TIMED_MATRIX**3
    return FisherSpeed(per_descriptor, encode / TIMED_PHOTOS, pairs, cubes, patches)


def _seconds_per_descriptor(channel: ChannelModel, images: torch.Tensor) -> float:
    """Learns the channel's codebook from the descriptors of `images`, repeated as often as it takes."""
    sample = channel.descriptor.describe(images).flatten(0, 1)
    number = torch.arange(max(len(sample), channel.channel.codebook_size)) % len(sample)
    rows = sample[number] + 1e-3 * torch.rand_like(sample[number])
    ends: list[float] = []

    def on_round(_: int) -> None:
        ends.append(time.perf_counter())
        if len(ends) > 1 and ends[-1] - ends[0] > LONG_SECONDS:
            raise _EnoughError

    with suppress(_EnoughError):
        channel.learn(rows, 0, on_round)
    per_round = (ends[-1] - ends[0]) / max(1, len(ends) - 1)
    return per_round * DiagonalMixture().max_iter / len(rows)


class _EnoughError(Exception):
    """Enough was measured."""


def last_layer_speed(classes: int) -> float:
    """Seconds in which a logistic regression of so many classes passes once over the features of a photo."""
    generator, photos = np.random.default_rng(0), max(512, classes)
    features = generator.normal(size=(photos, TIMED_FEATURES)).astype(np.float32)
    model = LogisticRegression(C=0.01, max_iter=TIMED_PASSES, tol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = np.arange(photos) % classes
        seconds = _seconds(lambda: model.fit(features, labels), torch.device("cpu"))
    return seconds / (photos * TIMED_PASSES)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest time of a few calls, or of fewer long ones."""
    found: list[float] = []
    while len(found) < REPEATS and sum(found) < LONG_SECONDS:
        start = time.perf_counter()
        work()
        synchronize(device)
        found.append(time.perf_counter() - start)
    return min(found)

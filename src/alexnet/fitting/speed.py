"""How fast this machine trains the candidates of `fit`, measured in a second or two."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
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

    def seconds(self, photos: int, descriptors: int, predicted: int = 0) -> float:
        """Estimated time of training on `photos`, and of predicting `predicted` other photos."""
        return (
            self.per_descriptor * descriptors
            + self.per_photo * (photos + predicted)
            + self.per_pair * photos**2 / 2
            + self.per_cube * photos**3
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
    return FisherSpeed(
        per_descriptor, encode / TIMED_PHOTOS, compare / TIMED_ROWS**2, solve / TIMED_MATRIX**3
    )


def _seconds_per_descriptor(channel: ChannelModel, images: torch.Tensor) -> float:
    """Learns the channel's codebook from the descriptors of `images`, repeated as often as it takes."""
    sample = channel.descriptor.describe(images).flatten(0, 1)
    number = torch.arange(max(len(sample), channel.channel.codebook_size)) % len(sample)
    rows = sample[number] + 1e-3 * torch.rand_like(sample[number])
    ends: list[float] = []
    channel.learn(rows, 0, lambda _: ends.append(time.perf_counter()))
    per_round = (ends[-1] - ends[0]) / max(1, len(ends) - 1)
    return per_round * DiagonalMixture().max_iter / len(rows)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest time of a few calls."""
    found: list[float] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        synchronize(device)
        found.append(time.perf_counter() - start)
    return min(found)

"""A classic pipeline as a module: photos in, logits out.

Photo -> local descriptors -> PCA -> encoder, for each cell of a spatial pyramid -> feature vector -> linear
classifiers -> calibrated probabilities, averaged over channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn

from alexnet.classic.codebooks import OnRound, ignore_round
from alexnet.classic.compression import Pca
from alexnet.classic.config import Channel, ClassicConfig
from alexnet.classic.descriptors import DESCRIPTORS, Descriptor
from alexnet.classic.encoders import ENCODERS
from alexnet.errors import CommandError

PHOTOS_AT_ONCE = 8
"""Photos whose descriptors are in memory at once."""


class Pipeline(nn.Module):
    """All channels, averaged; called like a network: `forward(images (N, 3, S, S)) -> logits (N, K)`."""

    def __init__(self, config: ClassicConfig, num_classes: int, side: int):
        super().__init__()
        self.channels = nn.ModuleList(ChannelModel(channel, num_classes) for channel in config.channels)
        self.side = side
        for channel in self:
            if len(channel.descriptor.centers(side)) == 0:
                patch = f"{channel.channel.descriptor} patch of {min(channel.channel.patches)}"
                raise CommandError(
                    f"photos of {side} pixels are no larger than a {patch}: "
                    "prepare a store of a larger --side, or use smaller patches in classic.channels"
                )

    def __iter__(self) -> Iterator[ChannelModel]:
        return iter(cast("list[ChannelModel]", self.channels))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The keys of `activations`."""
        return tuple(f"channel{number}" for number in range(1, len(self.channels) + 1))

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """(N, F) feature vectors of each channel."""
        return {name: each.features(images) for name, each in zip(self.layer_names, self, strict=True)}

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) the logarithm of the mean of the channels' probabilities."""
        return mean_log_probabilities([each.scores(each.features(images)) for each in self])


def mean_log_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """(N, K) the logarithm of the mean of the probabilities that the logits (N, K) of each channel give."""
    return torch.stack([torch.log_softmax(each, 1) for each in logits]).logsumexp(0) - math.log(len(logits))


class ChannelModel(nn.Module):
    """One channel: descriptors, PCA, encoder, linear classifiers and the scale of their scores."""

    mean: Tensor
    components: Tensor
    scale: Tensor

    def __init__(self, channel: Channel, num_classes: int):
        super().__init__()
        self.channel, self.descriptor = channel, DESCRIPTORS[channel.descriptor](channel)
        given = self.descriptor.dimension
        if channel.pca > given:
            raise CommandError(
                f"pca={channel.pca} is more than the {given} numbers of {channel.descriptor}: type less"
            )
        self.register_buffer("mean", torch.zeros(given if channel.pca else 0))
        self.register_buffer("components", torch.zeros(channel.pca, given if channel.pca else 0))
        self.encoder = ENCODERS[channel.encoding](channel.codebook_size, channel.pca or given)
        self.size = self.encoder.size * count(channel.pyramid)
        self.classifier = nn.Linear(self.size, num_classes).requires_grad_(False)
        self.register_buffer("scale", torch.ones(()))

    def learn(self, sample: Tensor, seed: int, on_round: OnRound = ignore_round) -> None:
        """Fits PCA and codebook to a sample (M, raw D) of raw descriptors; to be called without gradients."""
        if self.channel.pca:
            components, mean = Pca(self.channel.pca, whiten=self.encoder.whitened).fit(sample).projection()
            self.components.copy_(components)
            self.mean.copy_(mean)
        self.encoder.learn(self.reduce(sample), seed, on_round)

    def describe(self, images: Tensor) -> Tensor:
        """(n, P, D) descriptors of photos (n, 3, S, S) after the PCA."""
        return self.reduce(self.descriptor.describe(images))

    def reduce(self, descriptors: Tensor) -> Tensor:
        """(..., D) from raw descriptors (..., raw D), by the PCA."""
        return (descriptors - self.mean) @ self.components.T if self.channel.pca else descriptors

    def features(self, images: Tensor) -> Tensor:
        """(N, F) feature vectors of photos (N, 3, S, S): of length one, or zero if all descriptors are."""
        cells = _cells(self.descriptor, self.channel.pyramid, images.shape[-1]).to(images.device)
        rows = [self.encoder(self.describe(few), cells) for few in images.split(PHOTOS_AT_ONCE)]
        codes = torch.cat(rows) if rows else images.new_zeros(0, self.size)
        return nn.functional.normalize(codes, dim=1)

    def scores(self, features: Tensor) -> Tensor:
        """(N, K) logits: their softmax gives the calibrated probabilities."""
        return self.scale * cast(Tensor, self.classifier(features))

    def multiply_adds(self, side: int) -> int:
        """Multiply-adds with learned numbers for one photo: PCA, encoder and classifiers."""
        places = len(self.descriptor.centers(side))
        coded = self.encoder.multiply_adds(places)
        return places * self.components.numel() + coded + self.classifier.weight.numel()


@lru_cache(maxsize=32)
def _cells(descriptor: Descriptor, levels: tuple[str, ...], side: int) -> Tensor:
    return pyramid_cells(levels, descriptor.centers(side))


def count(pyramid: Sequence[str]) -> int:
    """Number of cells in all levels together; a level is "rows x columns", such as "3x1"."""
    return sum(rows * columns for rows, columns in map(_size, pyramid))


def pyramid_cells(pyramid: Sequence[str], centers: Tensor) -> Tensor:
    """(C, P; bool) whether each of the `centers` (P, 2; x, y in [0, 1]) lies in each cell.

    Cells come level by level, row by row. Each center is in one cell of each level.
    Source: Lazebnik, Schmid, Ponce, CVPR 2006; 1x1 and 3x1: Sanchez and Perronnin, CVPR 2011.
    """
    members: list[Tensor] = []
    for rows, columns in map(_size, pyramid):
        row = (centers[:, 1] * rows).long().clamp(0, rows - 1)
        column = (centers[:, 0] * columns).long().clamp(0, columns - 1)
        number = torch.arange(rows * columns, device=centers.device)
        members.append(row * columns + column == number[:, None])
    return torch.cat(members)


def _size(level: str) -> tuple[int, int]:
    rows, columns = map(int, level.split("x"))
    return rows, columns

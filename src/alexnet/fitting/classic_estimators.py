"""The systems before AlexNet as scikit-learn estimators of images in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from alexnet import recipes
from alexnet.classic.arrays import generator
from alexnet.classic.config import Channel
from alexnet.classic.pipeline import ChannelModel
from alexnet.fitting.image_classifier import ImageClassifier
from alexnet.hardware import choose_device

_BATCH = 64
"""Images that are resized at once."""
DESCRIPTORS_PER_WORD = 4
"""Fewest descriptors in the sample for each word of a codebook."""


class _ClassicClassifier(ImageClassifier):
    """Descriptors on a dense grid, a learned code for each image, linear classifiers on it, by channel."""

    recipe: ClassVar[str]

    def __init__(
        self,
        side: int = 96,
        codebook_size: int | None = None,
        sample_descriptors: int = 50_000,
        C: float = 10.0,  # noqa: N803 - scikit-learn's name
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        """`side`: pixels to which images are resized, square. `codebook_size`: words or components of each
        channel, by default the recipe's. `sample_descriptors`: descriptors to which PCA and codebook of a
        channel are fitted. `C`: the inverse of the classifiers' penalty, as in scikit-learn.
        """
        self.side = side
        self.codebook_size = codebook_size
        self.sample_descriptors = sample_descriptors
        self.C = C
        self.device = device
        self.random_state = random_state

    @torch.no_grad()
    def _fit_images(self, images: npt.NDArray[Any], codes: npt.NDArray[np.int64]) -> None:
        device = choose_device(self.device)
        self.mean_ = self._mean(images)
        classic = recipes.get(self.recipe).classic
        assert classic is not None
        self.channels_: list[ChannelModel] = []
        self.classifiers_: list[LogisticRegression] = []
        for channel in classic.channels:
            model = self._learned(channel, images, device)
            classifier = LogisticRegression(C=self.C, max_iter=500)
            classifier.fit(self._features(model, images, device), codes)
            self.channels_.append(model.cpu())
            self.classifiers_.append(classifier)

    @torch.no_grad()
    def _probabilities(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        device = choose_device(self.device)
        found = [
            classifier.predict_proba(self._features(model.to(device), images, device))
            for model, classifier in zip(self.channels_, self.classifiers_, strict=True)
        ]
        return np.mean(found, axis=0)

    def _learned(self, channel: Channel, images: npt.NDArray[Any], device: torch.device) -> ChannelModel:
        """The channel with its PCA and codebook, which are no larger than the sample allows."""
        sample = self._sample(ChannelModel(channel, 1), images, device)
        words = min(self.codebook_size or channel.codebook_size, max(1, len(sample) // DESCRIPTORS_PER_WORD))
        dimensions = min(channel.pca, *sample.shape)
        model = ChannelModel(replace(channel, codebook_size=words, pca=dimensions), 1).to(device)
        model.learn(sample, self.random_state)
        return model

    def _sample(self, model: ChannelModel, images: npt.NDArray[Any], device: torch.device) -> Tensor:
        """(M, raw D) descriptors of random places in random images."""
        places = len(model.descriptor.centers(self.side))
        if not places:
            raise ValueError(f"side={self.side} is smaller than the described patches: use 32 or more")
        randomness = generator(self.random_state)
        per_image = min(places, max(1, -(-self.sample_descriptors // len(images))))
        chosen = torch.randperm(len(images), generator=randomness)[: -(-self.sample_descriptors // per_image)]
        parts: list[Tensor] = []
        for batch in self._batches(images[chosen.numpy()], device):
            for image in batch.split(1):
                drawn = torch.randperm(places, generator=randomness)[:per_image]
                parts.append(model.descriptor.describe(image)[0][drawn.to(device)].clone())
        return torch.cat(parts)

    def _features(
        self, model: ChannelModel, images: npt.NDArray[Any], device: torch.device
    ) -> npt.NDArray[np.float32]:
        """(N, F); they do not depend on which other images are coded."""
        # One by one: in a batch, rounding and the codes of the lasso depend on the other images.
        each_alone = (image for batch in self._batches(images, device) for image in batch.split(1))
        return torch.cat([model.features(image) for image in each_alone]).cpu().numpy()

    def _batches(self, images: npt.NDArray[Any], device: torch.device) -> Iterator[Tensor]:
        """(n, 3, side, side) float32: gray levels minus the mean color of the training images."""
        for start in range(0, len(images), _BATCH):
            yield self._resized(images[start : start + _BATCH], device) - self.mean_.to(device)

    def _mean(self, images: npt.NDArray[Any]) -> Tensor:
        """(3, 1, 1) mean color, in gray levels."""
        sums = torch.zeros(3, 1, 1, dtype=torch.float64)
        for start in range(0, len(images), _BATCH):
            sums += self._pixels(images[start : start + _BATCH]).double().mean((2, 3)).sum(0)[:, None, None]
        return (sums / len(images)).float()

    def _resized(self, images: npt.NDArray[Any], device: torch.device) -> Tensor:
        size = (self.side, self.side)
        pixels = self._pixels(images).to(device)
        return torch.nn.functional.interpolate(pixels, size, mode="bilinear", antialias=True)


class SiftFisherClassifier(_ClassicClassifier):
    """SIFT and colors as Fisher vectors with logistic regression, for images in memory: the recipe `sift-fv`.

    `fit(X, y)` takes images and labels as `AlexNetClassifier`. Images are resized to a square of `side`
    pixels, descriptors, PCA, codebooks and pyramid are the recipe's (docs/classic.md). The linear
    classifiers are logistic regressions instead of support vector machines, and their probabilities are
    averaged over the channels. Codebooks have at most a fourth as many words as there are sampled
    descriptors.

    Source: Sanchez and Perronnin, CVPR 2011; Perronnin, Sanchez and Mensink, ECCV 2010.
    """

    recipe = "sift-fv"


class SparseCodingClassifier(_ClassicClassifier):
    """HOG, local binary patterns and SIFT as sparse codes and super-vectors: the recipe `sparse-coding`.

    As `SiftFisherClassifier`, with the recipe's six channels. Of scikit-learn's `check_estimator` it fails
    `check_classifiers_train`, whose points in the plane become images of two pixels, since it normalizes
    brightness and contrast.

    Source: Lin, Lv, Zhu, Yang, Cour, Yu, Cao, Huang, CVPR 2011.
    """

    recipe = "sparse-coding"

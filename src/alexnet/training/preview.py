"""Training photos as the model receives them: stored, augmented in several epochs, and as test crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.config import RunConfig
from alexnet.data.crops import center, default_views, ten
from alexnet.data.decode import Pixels
from alexnet.data.image_reader import read_square
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Split, Store, training_images
from alexnet.tasks.base import task_of
from alexnet.training.step import augmented
from alexnet.training.train_state import check_network
from alexnet.training.trainer import training_loader


@dataclass(frozen=True)
class PreviewedPhoto:
    """A training photo in all its forms, each uint8 (H, W, C)."""

    name: str
    """Of its class."""
    stored: Pixels
    augmented: list[Pixels]
    """In the first epochs, one each."""
    tested: list[Pixels]
    """The crops of a test, without mirror images."""


def preview(config: RunConfig, store: Store, photos: int, epochs: int) -> list[PreviewedPhoto]:
    """The first photos of the first epoch, if possible of different classes, in the first `epochs` epochs.

    They are augmented as in a run with this configuration, and normalized and back. Only with mixup or CutMix
    are they mixed with each other instead of with the rest of their batches. Errors as `check_network`.
    """
    check_network(config, store)
    split, preprocessing = training_images(store, config.data), Preprocessing.from_store(config.data, store)
    task = task_of(config, len(store.classes))
    loader = training_loader(config, store, torch.device("cpu"), task.reads_boxes)
    chosen = _of_different_classes(loader.order_of(0), split.labels, photos)
    in_epochs: list[list[Pixels]] = []
    for epoch in range(epochs):
        batch = loader.batch_of(epoch, chosen)
        inputs, _ = augmented(task, preprocessing, batch, epoch, color_noise=True)
        in_epochs.append(_pixels(inputs, preprocessing))
    tested = _tested(split, preprocessing, chosen)
    made: list[PreviewedPhoto] = []
    for number, index in enumerate(chosen.tolist()):
        stored = np.empty((store.side, store.side, store.channels), np.uint8)
        read_square(split, index, stored)
        name = store.classes[split.labels[index]].name
        made.append(PreviewedPhoto(name, stored, [each[number] for each in in_epochs], tested[number]))
    return made


def _of_different_classes(
    order: npt.NDArray[np.int64], labels: npt.NDArray[np.int32], photos: int
) -> npt.NDArray[np.int64]:
    """(photos,) the first images of the order of classes that have not come, then the first others."""
    order = np.array(list(dict.fromkeys(order.tolist())))  # an image may come several times
    _, firsts = np.unique(labels[order], return_index=True)
    others = np.setdiff1d(np.arange(len(order)), firsts)
    return order[np.concatenate([np.sort(firsts), others])[:photos]]


def _tested(split: Split, preprocessing: Preprocessing, chosen: npt.NDArray[np.int64]) -> list[list[Pixels]]:
    """The crops of a test of each chosen image: four corners and the center, or the center alone."""
    side, crop = preprocessing.side, preprocessing.crop
    views = default_views(preprocessing.data.mirror)
    positions = ten(side, crop)[:5] if views == "ten" else center(side, crop)
    squares = np.empty((len(chosen), side, side, preprocessing.data.channels), np.uint8)
    for index, square in zip(chosen.tolist(), squares, strict=True):
        read_square(split, index, square)
    crops = _pixels(preprocessing.test_input(torch.from_numpy(squares), positions), preprocessing)
    return [crops[start : start + len(positions)] for start in range(0, len(crops), len(positions))]


def _pixels(inputs: Tensor, preprocessing: Preprocessing) -> list[Pixels]:
    """Inputs (N, C, crop, crop) as uint8 pictures (crop, crop, C): the normalization undone, and clipped."""
    levels = inputs * preprocessing.divisor[:, None, None] + preprocessing.central_mean()
    return list(levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())

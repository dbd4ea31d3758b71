"""Windows of training crops: an object painted into a square is where its box is in the crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from alexnet.config import override
from alexnet.data.boxes import to_window
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("windows")
    return tiny.store(folder)


@pytest.mark.parametrize(
    "settings",
    [
        ["data.cropping=center"],
        ["data.cropping=random", "data.images_per_draw=2"],
        ["data.cropping=random-resized", "data.resized_area=[0.6,1]", "data.resized_aspect=[1,1]"],
        ["data.cropping=random-resized", "data.resized_area=[0.6,1]", "data.mirror=no"],
    ],
)
def test_a_painted_object_is_at_its_box(store: Store, settings: list[str]) -> None:
    config = override(tiny.config(), ["data.pca_lighting=none", "data.normalization=channel-mean", *settings])
    preprocessing, count = Preprocessing.from_store(config.data, store), 12
    randomness = ImageRandomness(3, 1, np.arange(count), np.arange(count))
    images = torch.zeros(count, 72, 72, 3, dtype=torch.uint8)
    images[:, 30:42, 24:40] = 255
    box = np.array([24, 30, 40, 42]) / 72
    windows, mirrored = preprocessing.train_windows(72, randomness)
    wanted = to_window(box, windows, mirrored) * config.data.input_size
    inputs = preprocessing.train_input(images, randomness)[:, 0].numpy()
    bright = inputs > (inputs.max() + inputs.min()) / 2
    for picture, (x0, y0, x1, y1) in zip(bright, wanted, strict=True):
        rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert found == pytest.approx([x0, y0, x1, y1], abs=1.0)

"""A data set and a net so small that training takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.data.prepare import Settings, prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store

CLASSES, TRAIN_PER_CLASS, VAL_PER_CLASS, SIDE_PIXELS = 3, 16, 7, 72
RECIPE = "alexnet-one-weird-trick"
SETTINGS = (
    "data.side=72",
    "data.crop=64",
    "model.variant=one-weird-trick widths=[8,8,8,8,8,32,32]",
    "training.batch=8",
    "training.log_every_steps=1",
    "schedule.epochs=3",
)

TOWERS = "model.variant=2012 widths=[8,16,24,24,16,32,32] initialisation=kaiming"
"""A setting: the same with two towers."""


def photos(folder: Path) -> Path:
    """Noise of three brightnesses, in `train/` and `val/` folders of class folders."""
    generator = np.random.default_rng(0)
    for split, count in (("train", TRAIN_PER_CLASS), ("val", VAL_PER_CLASS)):
        for label in range(CLASSES):
            (folder / split / f"class{label}").mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(-40, 40, (SIDE_PIXELS, SIDE_PIXELS, 3))
                pixels = (70 + 50 * label + noise).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / f"class{label}" / f"{number}.png")
    return folder


def store(folder: Path) -> Store:
    """The photos as a raw store."""
    source = open_source(photos(folder / "photos"))
    return prepare(source, folder / "store", Settings(side=SIDE_PIXELS, encoding="raw"), workers=1)


def config(*settings: str) -> RunConfig:
    """A run of 18 updates in 3 epochs, with dropout and colour noise."""
    return override(recipes.get(RECIPE), [*SETTINGS, *settings])

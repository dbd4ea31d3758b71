"""The pictures of trained runs: curves, first-layer filters, and images with what a net says about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.data.pixels import read_square
from alexnet.data.store import Store
from alexnet.evaluation.classifier import load
from alexnet.figures.curves import draw_curves
from alexnet.figures.filters import draw_filters
from alexnet.figures.predictions import draw_predictions
from alexnet.figures.save import save
from alexnet.models.alexnet import AlexNet
from alexnet.runs.metrics_log import read_metrics

IMAGES = 8
"""In a picture of answers."""


def draw_curves_of(runs: Sequence[Path], picture: Path) -> Path:
    """Training loss and validation error of the runs; returns the path it was given."""
    return save(draw_curves({run.name: read_metrics(run / "metrics.jsonl") for run in runs}), picture)


def draw_filters_of(run: Path, picture: Path) -> Path:
    """The kernels of a run's first layer, its towers apart."""
    model = load(run, device="cpu").model
    towers = model.variant.towers if isinstance(model, AlexNet) else 1
    return save(draw_filters(model.get_parameter("conv1.weight").detach().numpy(), towers), picture)


def draw_answers_of(run: Path, store: Path, picture: Path) -> Path:
    """Some of the store's validation images, evenly through the classes, with the run's best answers."""
    classifier, opened = load(run), Store.open(store)
    split = opened.split("val")
    indices = np.linspace(0, len(split) - 1, IMAGES).astype(int).tolist()
    squares = np.empty((len(indices), opened.side, opened.side, opened.channels), np.uint8)
    for index, square in zip(indices, squares, strict=True):
        read_square(split, index, square)
    names = [opened.classes[int(split.labels[index])].name for index in indices]
    answers = classifier.classify(list(squares))
    top = [[(name, probability) for _, name, probability in each] for each in answers]
    return save(draw_predictions(list(squares), names, top), picture)

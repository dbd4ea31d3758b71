"""The pictures of trained runs: curves, first-layer filters, and photos with what a net says about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

PHOTOS = 8


def draw_runs(runs: Sequence[Path], folder: Path) -> list[Path]:
    """Writes `curves.png` of all runs and `filters.png` of the first; returns their paths."""
    import alexnet
    from alexnet.figures.curves import draw_curves
    from alexnet.figures.filters import draw_filters
    from alexnet.figures.save import save
    from alexnet.models.alexnet import AlexNet
    from alexnet.runs.metrics_log import read_metrics

    curves = draw_curves({run.name: read_metrics(run / "metrics.jsonl") for run in runs})
    model = alexnet.load(runs[0], device="cpu").model
    towers = model.variant.towers if isinstance(model, AlexNet) else 1
    filters = draw_filters(model.get_parameter("conv1.weight").detach().numpy(), towers)
    return [save(curves, folder / "curves.png"), save(filters, folder / "filters.png")]


def draw_answers(run: Path, store_path: Path, folder: Path) -> Path:
    """Writes `predictions.png`: some of the store's validation images with the run's five best answers."""
    import alexnet
    from alexnet.data.pixels import read_square
    from alexnet.figures.predictions import draw_predictions
    from alexnet.figures.save import save

    classifier, store = alexnet.load(run), alexnet.Store.open(store_path)
    split = store.split("val")
    indices = np.linspace(0, len(split) - 1, PHOTOS).astype(int).tolist()
    squares = np.empty((len(indices), store.side, store.side, 3), np.uint8)
    for index, square in zip(indices, squares, strict=True):
        read_square(split, index, square)
    names = [store.classes[int(split.labels[index])].name for index in indices]
    answers = classifier.classify(list(squares))
    top = [[(name, probability) for _, name, probability in each] for each in answers]
    return save(draw_predictions(list(squares), names, top), folder / "predictions.png")

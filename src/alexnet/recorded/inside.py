"""Pictures of what a run sees: where it looks, what its layers answer, what it takes for alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from alexnet.data.store import Store
from alexnet.evaluation.classifier import Classifier, load
from alexnet.evaluation.score import score_crops, testing
from alexnet.evaluation.views import positions_of
from alexnet.features.extract import features_of, last_hidden_layer
from alexnet.features.neighbours import ExactIndex
from alexnet.features.projection import principal_components, t_sne
from alexnet.features.saliency import central_views, grad_cam, occlusion
from alexnet.features.similar import SimilarImages
from alexnet.figures.activations import draw_activations
from alexnet.figures.errors import Bar, draw_errors
from alexnet.figures.neighbours import draw_neighbours
from alexnet.figures.photo_map import draw_map
from alexnet.figures.saliency import draw_saliency
from alexnet.figures.save import save
from alexnet.figures.ten_crops import draw_crops
from alexnet.figures.words import about
from alexnet.recorded.pictures import squares_of
from alexnet.report.comparison import published_rows, recipes_of, rows_of
from alexnet.runs.folder import RunFolder

IMAGES = 5
"""Rows in a picture of several photos."""
MAPPED = 2000
"""Most images in a map."""


def draw_neighbours_of(run: Path, store: Path, picture: Path) -> Path:
    """Validation images, evenly through the classes, with their six nearest training images."""
    classifier, opened, numbers = _opened(run, store)
    train, layer = opened.split("train"), last_hidden_layer(classifier.model)
    vectors = features_of(RunFolder(run), opened, "train", layer)
    similar = SimilarImages(classifier, train, layer, ExactIndex(vectors))
    squares, names = squares_of(opened, numbers), _names(opened, numbers)
    found = [
        [(similar.pixels(near.number), near.name, near.distance) for near in row]
        for row in similar.of(list(squares))
    ]
    title = about(f"{run.name}, {layer}", f"{opened.path.name} train", len(train))
    return save(draw_neighbours(list(zip(squares, names, strict=True)), found, title, names), picture)


def draw_crops_of(run: Path, store: Path, picture: Path) -> Path:
    """The ten crops of a validation image, and what the run says of each and of all together."""
    classifier, opened, numbers = _opened(run, store)
    (square,) = squares_of(opened, numbers[IMAGES // 2 :][:1])
    preprocessing, positions = classifier.preprocessing, positions_of("ten", classifier.preprocessing)
    one = torch.from_numpy(square[None])
    (each,) = score_crops(classifier.model, preprocessing, one, positions)
    answers = [_best(classifier, row) for row in each]
    together = _best(classifier, each.mean(axis=0))
    title = about(run.name, f"{opened.path.name} val", 1)
    (true_name,) = _names(opened, numbers[IMAGES // 2 :][:1])
    figure = draw_crops(square, positions, preprocessing.crop, answers, together, true_name, title)
    return save(figure, picture)


def draw_activations_of(run: Path, store: Path, picture: Path) -> Path:
    """What each of a run's layers answers to a validation image."""
    classifier, opened, numbers = _opened(run, store)
    square = squares_of(opened, numbers[:1])
    preprocessing = classifier.preprocessing
    with testing(classifier.model) as device:
        positions = positions_of("centre", preprocessing)
        inputs = preprocessing.test_input(torch.from_numpy(square).to(device), positions)
        answers: dict[str, torch.Tensor] = classifier.model.activations(inputs)  # pyright: ignore[reportCallIssue]
    arrays = {layer: answer[0].float().cpu().numpy() for layer, answer in answers.items()}
    title = about(run.name, f"{opened.path.name} val", 1)
    return save(draw_activations(central_views(preprocessing, square)[0], arrays, title), picture)


def draw_saliency_of(run: Path, store: Path, picture: Path) -> Path:
    """Where the run looks on some validation images, for the class it says."""
    classifier, opened, numbers = _opened(run, store)
    squares = squares_of(opened, numbers)
    probabilities = classifier.probabilities(list(squares), views="centre")
    labels: list[int] = probabilities.argmax(1).tolist()
    figure = draw_saliency(
        views=list(central_views(classifier.preprocessing, squares)),
        answers=[_best(classifier, row) for row in probabilities],
        heats=list(grad_cam(classifier, squares, labels)),
        drops=list(occlusion(classifier, squares, labels)),
        about=about(run.name, f"{opened.path.name} val", len(squares)),
        true_names=_names(opened, numbers),
    )
    return save(figure, picture)


def draw_map_of(run: Path, store: Path, picture: Path, by_variance: bool = False) -> Path:
    """The validation images in a plane by their last hidden layer: t-SNE, or principal components."""
    classifier, opened, _ = _opened(run, store)
    layer = last_hidden_layer(classifier.model)
    vectors = features_of(RunFolder(run), opened, "val", layer)
    numbers = np.linspace(0, len(vectors) - 1, min(MAPPED, len(vectors))).astype(int)
    points = (principal_components if by_variance else t_sne)(vectors[numbers])
    labels = opened.split("val").labels[numbers]
    how = f"{'principal components' if by_variance else 't-SNE'} of {layer}"
    title = about(run.name, f"{opened.path.name} val", len(numbers))
    return save(draw_map(points, labels, [each.name for each in opened.classes], how, title), picture)


def draw_errors_of(runs: Sequence[Path], picture: Path) -> Path:
    """Top-1 errors of runs with their intervals, below what was published on the same systems."""
    ours = rows_of(runs)
    theirs = [row for row in published_rows(recipes_of(ours)) if row.top1_error is not None]
    bars = [
        Bar(
            name=f"{row.system}, {row.data}, {row.views or 'views not told'}",
            error=row.top1_error,
            interval=(row.top1_interval[0], row.top1_interval[1]) if row.top1_interval else None,
            published=row.published,
        )
        for row in (*theirs, *ours)
        if row.top1_error is not None
    ]
    images = max((row.images or 0 for row in ours), default=0)
    title = about(", ".join(run.stem for run in runs), ours[0].data, images) if ours else ""
    return save(draw_errors(bars, about=title), picture)


def _opened(run: Path, store: Path) -> tuple[Classifier, Store, list[int]]:
    """The run's net, the store, and some validation images evenly through the classes."""
    opened = Store.open(store)
    order = np.argsort(opened.split("val").labels, kind="stable")
    places = np.linspace(0, len(order) - 1, IMAGES + 2)[1:-1].astype(int)
    return load(run), opened, order[places].tolist()


def _names(store: Store, numbers: Sequence[int]) -> list[str]:
    return [store.classes[int(label)].name for label in store.split("val").labels[list(numbers)]]


def _best(classifier: Classifier, probabilities: npt.NDArray[np.floating]) -> tuple[str, float]:
    label = int(probabilities.argmax())
    return classifier.classes[label].name, float(probabilities[label])

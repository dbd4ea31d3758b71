"""Pictures of what a run sees: where it looks, what its layers answer, what it takes for alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from alexnet.analysis.features import features_of, last_hidden_layer
from alexnet.analysis.neighbors import ExactIndex, SimilarImages
from alexnet.analysis.projection import principal_components, t_sne
from alexnet.analysis.saliency import (
    OCCLUDED_FRACTION,
    central_views,
    grad_cam,
    last_maps,
    map_sizes,
    occlusion,
)
from alexnet.evaluation.inference import score_crops, testing
from alexnet.evaluation.views import positions_of
from alexnet.report.plots.activations import draw_activations
from alexnet.report.plots.neighbors import draw_neighbors
from alexnet.report.plots.photo_map import draw_map
from alexnet.report.plots.saliency import draw_saliency
from alexnet.report.plots.ten_crops import draw_crops
from alexnet.report.plots.words import about, short
from alexnet.report.sections.opened import SPLIT, Drawn, Opened, told

IMAGES = 5
"""Rows in a picture of several photos."""
MAPPED = 2000
"""Most images in a map."""

Progress = Callable[[int], None]


def neighbors(on: Opened, progress: Progress = lambda count: None) -> Drawn:
    """Validation images, evenly through the classes, with their six nearest training images."""
    train, layer = on.store.split("train"), last_hidden_layer(on.classifier.model)
    vectors = features_of(on.run, on.store, "train", layer, device=on.device, progress=progress)
    similar = SimilarImages(on.classifier, train, layer, ExactIndex(vectors, on.device))
    numbers = on.some(IMAGES)
    squares, names = on.squares(numbers), on.names(numbers)
    found = similar.of(list(squares))
    pictures = [[(similar.pixels(near.number), near.name, near.distance) for near in row] for row in found]
    title = about(f"{on.name}, {layer}", f"{on.store.path.name} train", len(train))
    alike = "; ".join(
        f"{short(name)}: {sum(near.name == name for near in row)} of {len(row)} of its class"
        for name, row in zip(names, found, strict=True)
    )
    seen = f"{len(numbers)} test photos, each with its nearest training images by {layer}. {alike}."
    return Drawn(draw_neighbors(list(zip(squares, names, strict=True)), pictures, title, names), seen)


def ten_crops(on: Opened) -> Drawn:
    """The ten crops of a validation image, and what the run says of each and of all together."""
    numbers = on.some(IMAGES)[IMAGES // 2 :][:1]
    (square,), (true_name,) = on.squares(numbers), on.names(numbers)
    preprocessing = on.classifier.preprocessing
    positions = positions_of("ten", preprocessing)
    one = torch.from_numpy(square[None])
    (each,) = score_crops(on.classifier.model, preprocessing, one, positions)
    answers, together = [on.best(row) for row in each], on.best(each.mean(axis=0))
    title = about(on.name, on.data, 1)
    seen = (
        f"A photo of {short(true_name)} with the frames of its ten crops, and each crop with the answer to "
        f"it. Together: {short(together[0])} {together[1]:.2f}. "
        f"Each: {', '.join(f'{short(name)} {sure:.2f}' for name, sure in answers)}."
    )
    figure = draw_crops(square, positions, preprocessing.crop, answers, together, true_name, title)
    return Drawn(figure, seen)


def activations(on: Opened) -> Drawn:
    """What each of a run's layers answers to a validation image."""
    numbers = on.some(IMAGES)[:1]
    square, (name,) = on.squares(numbers), on.names(numbers)
    preprocessing = on.classifier.preprocessing
    with testing(on.classifier.model) as device:
        positions = positions_of("center", preprocessing)
        inputs = preprocessing.test_input(torch.from_numpy(square).to(device), positions)
        answers: dict[str, torch.Tensor] = on.classifier.model.activations(inputs)  # pyright: ignore[reportCallIssue]
    arrays = {layer: answer[0].float().cpu().numpy() for layer, answer in answers.items()}
    seen = (
        f"A photo of {short(name)} and below it what each layer answers, maps and units as fields of "
        f"brightness: {', '.join(arrays)}."
    )
    view = central_views(preprocessing, square)[0]
    title = about(f"{on.name}, {short(name)}" if name else on.name, on.data, 1)
    return Drawn(draw_activations(view, arrays, title), seen)


def saliency(on: Opened) -> Drawn:
    """Where the run looks on some validation images, for the class it says."""
    numbers = on.some(IMAGES)
    squares, names = on.squares(numbers), on.names(numbers)
    probabilities = on.classifier.probabilities(list(squares), views="center")
    labels: list[int] = probabilities.argmax(1).tolist()
    answers = [on.best(row) for row in probabilities]
    layer = last_maps(on.classifier)
    rows, columns = map_sizes(on.classifier)[layer]
    figure = draw_saliency(
        views=list(central_views(on.classifier.preprocessing, squares)),
        answers=answers,
        heats=list(grad_cam(on.classifier, squares, labels)),
        drops=list(occlusion(on.classifier, squares, labels)),
        how=f"Grad-CAM: which of the {rows} x {columns} places of {layer}'s maps speak for the answer, drawn "
        "smooth.\nCovered: how much less sure it is with a gray square there, of "
        f"{OCCLUDED_FRACTION:.0%} of a side.",
        about=about(on.name, on.data, len(squares)),
        true_names=names,
    )
    seen = (
        f"{len(numbers)} photos, each with its Grad-CAM map and with the map of how much the probability "
        f"drops where a square covers it. {told(names, [[each] for each in answers])}."
    )
    return Drawn(figure, seen)


def photo_map(on: Opened, progress: Progress = lambda count: None, by_variance: bool = False) -> Drawn:
    """The validation images in a plane by their last hidden layer: t-SNE, or principal components."""
    layer = last_hidden_layer(on.classifier.model)
    vectors = features_of(on.run, on.store, SPLIT, layer, device=on.device, progress=progress)
    numbers = np.linspace(0, len(vectors) - 1, min(MAPPED, len(vectors))).astype(int)
    points = (principal_components if by_variance else t_sne)(vectors[numbers])
    labels = on.photos.labels[numbers]
    how = f"{'principal components' if by_variance else 't-SNE'} of {layer}"
    classes = [each.name for each in on.store.classes]
    seen = (
        f"{len(numbers):,} test images as points in a plane by {how}, colored by their "
        f"{len(classes):,} classes."
    )
    return Drawn(draw_map(points, labels, classes, how, about(on.name, on.data, len(numbers))), seen)

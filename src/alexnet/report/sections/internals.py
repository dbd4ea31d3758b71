"""Figures about the inside of a model: features and their neighbors, crops, activations, saliency maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from alexnet.analysis.features import features_of
from alexnet.analysis.neighbors import ExactIndex, SimilarImages
from alexnet.analysis.projection import t_sne
from alexnet.analysis.saliency import (
    OCCLUDED_FRACTION,
    central_views,
    grad_cam,
    last_maps,
    map_sizes,
    occlusion,
)
from alexnet.evaluation.inference import InferenceOptions, device_of, score_crops, testing
from alexnet.evaluation.views import positions_of
from alexnet.models.registry import last_hidden_layer
from alexnet.report.plots.activations import draw_activations
from alexnet.report.plots.crops import PredictedCrop, draw_crops
from alexnet.report.plots.neighbors import draw_neighbors
from alexnet.report.plots.photo_map import draw_map
from alexnet.report.plots.saliency import SaliencyRow, draw_saliency
from alexnet.report.plots.style import figure_title, short
from alexnet.report.sections.evaluation import in_words
from alexnet.report.sections.subjects import Drawn, OpenModel

PHOTOS_SHOWN = 5
"""Number of photos in a figure of several."""
MAPPED = 2000
"""Largest number of images in a map."""


def neighbors(on: OpenModel, progress: Callable[[int], None] = lambda count: None) -> Drawn:
    """Validation images, evenly through the classes, with their six nearest training images."""
    train, layer = on.store.split("train"), last_hidden_layer(on.classifier.model)
    vectors = features_of(on.run, on.store, "train", layer, _options(on, progress))
    similar = SimilarImages(on.classifier, train, layer, ExactIndex(vectors, device_of(on.classifier.model)))
    numbers = on.some(PHOTOS_SHOWN)
    squares, names = on.squares(numbers), on.names(numbers)
    found = similar.of(list(squares))
    pictures = [[(similar.pixels(near.number), near.name, near.distance) for near in row] for row in found]
    title = figure_title(f"{on.name}, {layer}", f"{on.store.path.name} train", len(train))
    same = "; ".join(
        f"{short(name)}: {sum(near.name == name for near in row)} of {len(row)} of the same class"
        for name, row in zip(names, found, strict=True)
    )
    alt_text = f"{len(numbers)} test photos, each with its nearest training images by {layer}. {same}."
    queries = list(zip(squares, names, strict=True))
    return Drawn(draw_neighbors(queries, pictures, title, names), alt_text)


def ten_crops(on: OpenModel) -> Drawn:
    """The ten crops of a validation image, with the predictions for each and for their mean."""
    numbers = on.some(PHOTOS_SHOWN)[PHOTOS_SHOWN // 2 :][:1]
    (square,), (true_name,) = on.squares(numbers), on.names(numbers)
    preprocessing = on.classifier.preprocessing
    positions = positions_of("ten", preprocessing)
    one = torch.from_numpy(square[None])
    (each,) = score_crops(on.classifier.model, preprocessing, one, positions)
    predicted, mean = [on.best(row) for row in each], on.best(each.mean(axis=0))
    title = figure_title(on.name, on.data, 1)
    alt_text = (
        f"A photo of {short(true_name)} with the frames of its ten crops, and each crop with its best class. "
        f"Mean: {short(mean[0])} {mean[1]:.2f}. "
        f"Each: {', '.join(f'{short(name)} {score:.2f}' for name, score in predicted)}."
    )
    crops = [
        PredictedCrop(y, x, bool(mirrored), *best)
        for (y, x, mirrored), best in zip(positions.tolist(), predicted, strict=True)
    ]
    figure = draw_crops(square, crops, preprocessing.crop, mean, true_name, title)
    return Drawn(figure, alt_text)


def activations(on: OpenModel) -> Drawn:
    """The activations of each layer for a validation image."""
    numbers = on.some(PHOTOS_SHOWN)[:1]
    square, (name,) = on.squares(numbers), on.names(numbers)
    preprocessing = on.classifier.preprocessing
    with testing(on.classifier.model) as device:
        positions = positions_of("center", preprocessing)
        inputs = preprocessing.test_input(torch.from_numpy(square).to(device), positions)
        found: dict[str, torch.Tensor] = on.classifier.model.activations(inputs)  # pyright: ignore[reportCallIssue]
    arrays = {layer: values[0].float().cpu().numpy() for layer, values in found.items()}
    alt_text = (
        f"A photo of {short(name)} and below it the activations of each layer, maps and units in shades of "
        f"brightness: {', '.join(arrays)}."
    )
    view = central_views(preprocessing, square)[0]
    title = figure_title(f"{on.name}, {short(name)}" if name else on.name, on.data, 1)
    return Drawn(draw_activations(view, arrays, title), alt_text)


def saliency(on: OpenModel) -> Drawn:
    """Grad-CAM and occlusion maps of a few validation images, for the predicted class."""
    numbers = on.some(PHOTOS_SHOWN)
    squares, names = on.squares(numbers), on.names(numbers)
    probabilities = on.classifier.probabilities(list(squares), views="center")
    labels: list[int] = probabilities.argmax(1).tolist()
    predicted = [on.best(row) for row in probabilities]
    layer = last_maps(on.classifier)
    rows, columns = map_sizes(on.classifier)[layer]
    views = central_views(on.classifier.preprocessing, squares)
    heats, drops = grad_cam(on.classifier, squares, labels), occlusion(on.classifier, squares, labels)
    explained = [
        SaliencyRow(view, *best, heat, drop, name)
        for view, best, heat, drop, name in zip(views, predicted, heats, drops, names, strict=True)
    ]
    how = (
        f"Grad-CAM: contribution of each of the {rows} x {columns} positions of {layer} to the predicted "
        "class, interpolated.\nOcclusion: drop of its probability with a gray square there, "
        f"{100 * OCCLUDED_FRACTION:.0f} % of the side."
    )
    figure = draw_saliency(explained, figure_title(on.name, on.data, len(squares)), how)
    alt_text = (
        f"{len(numbers)} photos, each with its Grad-CAM map and a map of the drop of the probability when a "
        f"square covers that position. {in_words(names, [[each] for each in predicted])}."
    )
    return Drawn(figure, alt_text)


def photo_map(on: OpenModel, progress: Callable[[int], None] = lambda count: None) -> Drawn:
    """The validation images in a plane, by t-SNE of their features in the last hidden layer."""
    layer = last_hidden_layer(on.classifier.model)
    vectors = features_of(on.run, on.store, on.split, layer, _options(on, progress))
    numbers = np.linspace(0, len(vectors) - 1, min(MAPPED, len(vectors))).astype(int)
    labels, how = on.photos.labels[numbers], f"t-SNE of {layer}"
    classes = [each.name for each in on.store.classes]
    alt_text = (
        f"{len(numbers):,} test images as points in a plane by {how}, colored by their "
        f"{len(classes):,} classes."
    )
    title = figure_title(on.name, on.data, len(numbers))
    return Drawn(draw_map(t_sne(vectors[numbers]), labels, classes, how, title), alt_text)


def _options(on: OpenModel, progress: Callable[[int], None]) -> InferenceOptions:
    return InferenceOptions(device=on.device, progress=progress)

"""Saliency maps of the center crop: Grad-CAM, and occlusion (the effect of covering a part).

captum is not used: its hooks need modules, but the operations after a convolution are fused into one kernel
here, or work in place. Its occlusion averages windows per pixel, whereas the paper's map has one value per
position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from alexnet.analysis.features import refuse_unknown
from alexnet.data.crops import cut
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError
from alexnet.evaluation.inference import BATCH_SIZE, testing
from alexnet.evaluation.predictor import Predictor
from alexnet.evaluation.views import positions_of
from alexnet.models.registry import activation_names

Squares = npt.NDArray[np.uint8]
"""(N, side, side, C) stored squares, as `to_stored_square` makes them of photos."""
Maps = npt.NDArray[np.float32]
OCCLUDED_FRACTION, STEP_FRACTION = 0.25, 0.0625
"""Side of the occluding square and of a step, as fractions of the crop's side."""


def central_views(preprocessing: Preprocessing, squares: Squares) -> Squares:
    """(N, crop, crop, C) uint8: the part of each square that the maps cover."""
    positions = positions_of("center", preprocessing)
    return cut(torch.from_numpy(squares), preprocessing.crop, positions)[:, 0].numpy()


def grad_cam(classifier: Predictor, squares: Squares, labels: Sequence[int], layer: str = "") -> Maps:
    """(N, crop, crop) in [0, 1]: how much each position supports the class in `labels`, 1 the most.

    All 0 if nothing supports it. The feature maps of `layer` are weighted by the mean gradient of the
    logit with respect to them (before the activation function) and summed; negative sums become 0, and the
    result is interpolated bilinearly to the crop's size. An empty `layer` is `last_maps`.
    CommandError if the model has no such maps.
    Source: Selvaraju et al. 2017, "Grad-CAM", section 3.
    """
    model, crop = classifier.model, classifier.preprocessing.crop
    layer = layer or last_maps(classifier)
    refuse_unknown(layer, model)
    maps = [np.empty((0, crop, crop), np.float32)]
    for inputs, chosen in _inputs(classifier, squares, labels, BATCH_SIZE):
        with testing(model):
            weights = _gradients(model, inputs, chosen, layer).mean((2, 3), keepdim=True)
            coarse = (weights * _activations(model, inputs)[layer]).sum(1, keepdim=True).relu()
            fine = functional.interpolate(coarse, (crop, crop), mode="bilinear", align_corners=False)[:, 0]
            largest = fine.amax((1, 2), keepdim=True)
            maps.append((fine / largest.clamp(min=torch.finfo(torch.float32).tiny)).cpu().numpy())
    return np.concatenate(maps)


def occlusion(
    classifier: Predictor, squares: Squares, labels: Sequence[int], covered: int = 0, step: int = 0
) -> Maps:
    """(N, rows, columns) in [-1, 1]: the drop of the class's probability while a gray square is there.

    The square of `covered` pixels is placed at multiples of `step` pixels and at the far edges, so that every
    pixel is covered; 0 is the default fraction of the crop's side. Gray is the crop's mean color.
    Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2.
    """
    crop = classifier.preprocessing.crop
    covered, step = covered or round(OCCLUDED_FRACTION * crop), step or max(1, round(STEP_FRACTION * crop))
    if not (1 <= covered <= crop and step >= 1):
        raise CommandError(f"a square of {covered} pixels in steps of {step} does not fit into {crop} pixels")
    starts = [*range(0, crop - covered, step), crop - covered]
    maps = [np.empty((0, len(starts), len(starts)), np.float32)]
    for inputs, chosen in _inputs(classifier, squares, labels, 1):
        with testing(classifier.model):
            plain = _probabilities(classifier.model, inputs)[0, chosen]
            rows = [_probabilities(classifier.model, _covered(inputs, y, starts, covered)) for y in starts]
            maps.append((plain - torch.stack(rows)[..., chosen[0]])[None].float().cpu().numpy())
    return np.concatenate(maps)


def last_maps(classifier: Predictor) -> str:
    """The last layer with weights whose feature maps have more than one position: `conv5`."""
    modules = dict(classifier.model.named_modules())
    for name, (rows, columns) in reversed(map_sizes(classifier).items()):
        if name in modules and rows * columns > 1:
            return name
    raise CommandError(
        "this model has no feature maps: Grad-CAM needs the run or the .safetensors file of a network"
    )


def map_sizes(classifier: Predictor) -> dict[str, tuple[int, int]]:
    """Rows and columns of the feature maps of the center crop, of each layer that has maps, in order."""
    model, preprocessing = classifier.model, classifier.preprocessing
    blank = np.zeros((1, preprocessing.side, preprocessing.side, preprocessing.data.channels), np.uint8)
    ((inputs, _),) = _inputs(classifier, blank, [0], 1)
    with testing(model):
        activations = _activations(model, inputs)
    shapes = {name: activations[name].shape for name in activation_names(model)}
    return {name: (shape[2], shape[3]) for name, shape in shapes.items() if len(shape) == 4}


def _inputs(
    classifier: Predictor, squares: Squares, labels: Sequence[int], count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Model inputs of at most `count` center crops, and their labels, on the model's device."""
    preprocessing, classes = classifier.preprocessing, len(classifier.classes)
    if len(labels) != len(squares) or not all(0 <= label < classes for label in labels):
        raise CommandError(f"labels {list(labels)} are not one of {classes} classes for each photo")
    positions = positions_of("center", preprocessing)
    device = next(chain(classifier.model.parameters(), classifier.model.buffers())).device
    for start in range(0, len(squares), count):
        few = torch.from_numpy(squares[start : start + count]).to(device)
        chosen = torch.tensor(labels[start : start + count], device=device)
        yield preprocessing.test_input(few, positions), chosen


def _gradients(model: nn.Module, inputs: Tensor, labels: Tensor, layer: str) -> Tensor:
    """Gradients of the labels' logits with respect to the output of the module `layer`."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, given: object, maps: Tensor) -> Tensor:
        kept.append(maps.detach().requires_grad_())
        return kept[-1].clone()  # the next operation may be in place

    try:
        handle = model.get_submodule(layer).register_forward_hook(keep)
    except AttributeError as error:
        raise CommandError(f"layer {layer!r} is not a module: choose a convolution") from error
    try:
        with torch.enable_grad():
            logits = cast(Tensor, model(inputs))
            of_labels = logits.gather(1, labels[:, None]).sum()
    finally:
        handle.remove()
    (gradients,) = torch.autograd.grad(of_labels, kept)
    if gradients.ndim != 4:
        raise CommandError(f"layer {layer!r} has no feature maps: choose a convolution")
    return gradients


def _covered(view: Tensor, y: int, starts: Sequence[int], size: int) -> Tensor:
    """(columns, C, crop, crop) copies of a crop (1, C, crop, crop), each with a square of its mean color."""
    gray = view.mean((0, 2, 3))[:, None, None]
    copies = view.repeat(len(starts), 1, 1, 1)
    for copy, x in zip(copies, starts, strict=True):
        copy[:, y : y + size, x : x + size] = gray
    return copies


def _activations(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    return model.activations(inputs)  # pyright: ignore


def _probabilities(model: nn.Module, inputs: Tensor) -> Tensor:
    return torch.softmax(cast(Tensor, model(inputs)).float(), dim=1)

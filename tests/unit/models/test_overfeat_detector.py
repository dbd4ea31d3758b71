from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet.errors import CommandError
from alexnet.models.config import OVERFEAT_VARIANTS
from alexnet.models.overfeat import OverFeatDetector, OverFeatLocalizer
from alexnet.models.summary import summarize_model

VARIANT = replace(
    OVERFEAT_VARIANTS["fast"],
    widths=(4, 6, 8, 8, 8, 12, 10),
    regression=(7, 5),
    initialization="kaiming",
    window=64,
)
CLASSES, WINDOW, CROP = 3, 64, 100


@pytest.fixture
def net() -> OverFeatDetector:
    torch.manual_seed(0)
    return OverFeatDetector(VARIANT, CLASSES, CROP).eval()


def windows(net: OverFeatDetector, images: torch.Tensor) -> list[tuple[int, int, torch.Tensor]]:
    rows, columns = net.places(*images.shape[2:])
    step = net.map_step_pixels
    return [
        (i, j, images[:, :, step * i : step * i + WINDOW, step * j : step * j + WINDOW])
        for i in range(rows)
        for j in range(columns)
    ]


def test_places_are_those_of_the_windows(net: OverFeatDetector) -> None:
    found = net.windows(100, 140)
    rows, columns = net.places(100, 140)
    assert found.shape == (rows * columns, 4)
    step = net.map_step_pixels
    pixels = found * [140, 100, 140, 100]
    assert pixels[columns + 2] == pytest.approx([2 * step, step, 2 * step + WINDOW, step + WINDOW])
    assert found.min() == 0
    assert found.max() <= 1


def test_objects_are_classes_and_background_at_each_place(net: OverFeatDetector) -> None:
    images = torch.randn(2, 3, CROP, CROP)
    objects, boxes = net.object_and_box_maps(images)
    rows, columns = net.places(CROP, CROP)
    assert objects.shape == (2, CLASSES + 1, rows, columns)
    assert boxes.shape == (2, CLASSES, 4, rows, columns)
    torch.testing.assert_close(objects[:, :CLASSES], net.class_map(images))
    torch.testing.assert_close(net(images), net.class_map(images).amax(dim=(2, 3)))
    # A single window is surrounded by padding: only there the two are the same.
    crop = images[..., :WINDOW, :WINDOW]
    hidden = net.features(crop).flatten(1)
    for layer in net.classifier[:-1]:
        hidden = net.after[layer](net.get_submodule(layer)(hidden))
    objects, boxes = net.object_and_box_maps(crop)
    torch.testing.assert_close(objects[:, CLASSES, 0, 0], net.background(hidden)[:, 0])
    torch.testing.assert_close(boxes[..., 0, 0], net.forward_boxes(crop))


def test_all_layers_learn(net: OverFeatDetector) -> None:
    nn.init.normal_(net.boxes.weight)  # at first they are 0, and nothing before them learns from boxes
    objects, boxes = net.train().object_and_box_maps(torch.randn(2, 3, CROP, CROP))
    (objects.square().sum() + boxes.square().sum()).backward()
    assert all(each.grad is not None and each.grad.any() for each in net.parameters())


def test_it_has_all_of_a_localizer_and_the_background() -> None:
    detector = OverFeatDetector(VARIANT, CLASSES, CROP).state_dict()
    localizer = OverFeatLocalizer(VARIANT, CLASSES, WINDOW).state_dict()
    assert detector.keys() - localizer.keys() == {"background.weight", "background.bias"}
    assert all(localizer[name].shape == detector[name].shape for name in localizer)
    assert list(detector)[-1] == "fc8.bias"


def test_a_window_larger_than_the_crop_is_refused() -> None:
    with pytest.raises(CommandError, match="a window of 64 pixels does not fit into crops of 63"):
        OverFeatDetector(VARIANT, CLASSES, 63)
    assert OverFeatDetector(replace(VARIANT, window=0), CLASSES, 231).crop == 231


def test_windows_of_a_photo_as_wide_as_the_window(net: OverFeatDetector) -> None:
    np.testing.assert_allclose(net.windows(WINDOW, WINDOW), [[0, 0, 1, 1]])
    assert len(windows(net, torch.zeros(1, 3, CROP, CROP))) == len(net.windows(CROP, CROP))


@pytest.mark.parametrize("kind", [OverFeatDetector, OverFeatLocalizer])
@pytest.mark.parametrize("crop", [WINDOW, CROP])
def test_layers_that_slide_and_predict_boxes_are_counted(kind: type[OverFeatLocalizer], crop: int) -> None:
    """Compared with torch's own count of the multiplications of the two maps."""
    with torch.device("meta"):
        net = kind(VARIANT, CLASSES, crop).eval()
        images = torch.empty(1, 3, crop, crop)
    maps = net.object_and_box_maps if isinstance(net, OverFeatDetector) else net.class_and_box_maps
    with torch.no_grad(), FlopCounterMode(display=False) as one:
        maps(images)
    with torch.no_grad(), FlopCounterMode(display=False) as two:
        maps(torch.cat([images, images]))
    assert summarize_model(net, crop).multiply_adds == (two.get_total_flops() - one.get_total_flops()) // 2


def test_features_of_a_whole_photo_are_refused(net: OverFeatDetector) -> None:
    assert net.activations(torch.zeros(1, 3, WINDOW, WINDOW))
    with pytest.raises(CommandError, match="windows of 64 pixels and has no features of a whole photo"):
        net.activations(torch.zeros(1, 3, CROP, CROP))

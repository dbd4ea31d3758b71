"""AlexNet sliding over larger images: compared with itself on a crop, and with every window alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from reference import sliding

from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS
from alexnet.models.layers.linear import FullyConnected

SMALL = (16, 16, 24, 24, 16, 32, 48)
"""Widths, also for two towers; the model with six convolutions has one more."""


def made(variant: str, crop: int, bottleneck: int = 0) -> AlexNet:
    """A model in which every layer matters, including batch normalization's statistics."""
    torch.manual_seed(0)
    widths = (*SMALL[:5], 16, *SMALL[5:]) if variant == "2012-star" else SMALL
    named = ALEXNET_VARIANTS[variant]
    small = replace(named, widths=widths, initialization="kaiming", bottleneck=bottleneck)
    model = AlexNet(small, 5, crop).double()
    for name, tensor in model.named_buffers():
        if "running" in name:
            tensor.uniform_(0.5, 1.5)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("variant", ALEXNET_VARIANTS)
@pytest.mark.parametrize("crop", [64, 112])
def test_at_the_crop_size_it_is_the_model_itself(variant: str, crop: int) -> None:
    model = made(variant, crop)
    images = 60 * torch.randn(2, 3, crop, crop, dtype=torch.float64)
    found = model.class_map(images)
    assert found.shape == (2, 5, 1, 1)
    torch.testing.assert_close(found[:, :, 0, 0], model(images))


@torch.no_grad()
@pytest.mark.parametrize("variant", ALEXNET_VARIANTS)
@pytest.mark.parametrize(("height", "width"), [(112, 176), (133, 119), (149, 201)])
def test_the_classifier_slides_over_the_last_maps(variant: str, height: int, width: int) -> None:
    model = made(variant, 112, bottleneck=8 if variant == "2012-star" else 0)
    images = 60 * torch.randn(2, 3, height, width, dtype=torch.float64)
    maps, crops = (sliding.last_maps(model, each) for each in (images, images[..., :112, :112]))
    wanted = sliding.windows(sliding.classifier(model), maps, crops.shape[-1])
    found = model.class_map(images)
    step = model.map_step_pixels
    assert step == (8 if variant == "small" else 32)
    rows, columns = (1 + (length - 112) // step for length in (height, width))  # crops that fit
    assert found.shape == (2, 5, rows, columns)
    torch.testing.assert_close(found, wanted[..., :rows, :columns])


@torch.no_grad()
def test_without_padding_each_position_is_the_models_output_for_its_crop(monkeypatch) -> None:
    model = made("caffe", 195)
    for layer in ("conv2", "conv3", "conv4", "conv5"):
        model.get_submodule(layer).padding = (0, 0)
    model.fc6 = FullyConnected(16, 32).double()
    monkeypatch.setattr(model, "_final_side", lambda averaged=True: 1)
    images = 60 * torch.randn(1, 3, 195 + 32, 195 + 64 + 20, dtype=torch.float64)
    found = model.class_map(images)
    assert found.shape == (1, 5, 2, 3)
    torch.testing.assert_close(found, sliding.windows(model, images, 195, stride=32))


def test_images_smaller_than_the_crop_are_refused() -> None:
    model = made("caffe", 112)
    for wrong in ((1, 3, 111, 300), (1, 1, 112, 112), (3, 112, 112)):
        with pytest.raises(CommandError, match=r"H and W of 112 pixels"):
            model.class_map(torch.zeros(wrong, dtype=torch.float64))

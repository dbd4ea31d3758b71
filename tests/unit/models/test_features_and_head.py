"""Every model in two parts: the features that the last layer reads, and the last layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from alexnet.models import VGG, AlexNet, LeNet5, LeNet1989, ModernLeNet, OverFeat

MODELS: dict[str, tuple[Callable[[], Any], tuple[int, int, int], int]] = {
    "alexnet": (lambda: AlexNet("2012", 5, 64), (3, 64, 64), 4096),
    "alexnet-small": (lambda: AlexNet("small", 5, 32), (3, 32, 32), 256),
    "vgg": (lambda: VGG("A", 5, 32), (3, 32, 32), 4096),
    "overfeat": (lambda: OverFeat("fast", 5, 71), (3, 71, 71), 4096),
    "lenet-1989": (lambda: LeNet1989(5), (1, 16, 16), 30),
    "lenet-5": (lambda: LeNet5(5), (1, 32, 32), 84),
    "lenet-modern": (lambda: ModernLeNet(5), (1, 28, 28), 84),
}


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_its_head_applied_to_its_features(name: str) -> None:
    make, shape, width = MODELS[name]
    torch.manual_seed(0)
    model, images = make().eval(), torch.randn(2, *shape)
    features = model.forward_features(images)
    assert features.shape == (2, width)
    torch.testing.assert_close(model.forward_head(features), model(images), rtol=0, atol=0)
    other = model.forward_head(features + 1)
    assert not torch.equal(other, model(images))

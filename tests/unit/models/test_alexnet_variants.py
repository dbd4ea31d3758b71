"""Changed constants: layers left out, average pooling, initialization."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS

NARROW = replace(ALEXNET_VARIANTS["2012"], widths=(8, 16, 24, 24, 16, 32, 32), initialization="kaiming")
IMAGES = 50 * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def net(**fields: Any) -> AlexNet:
    torch.manual_seed(0)
    return AlexNet(replace(NARROW, **fields), 5, 64).eval()


@pytest.mark.parametrize(
    ("layer", "before", "after"), [("conv3", "pool2", "conv4"), ("conv4", "conv3", "conv5")]
)
def test_without_a_convolution_the_next_one_reads_what_it_would_have_read(
    layer: str, before: str, after: str
) -> None:
    short = net(without=(layer,))
    assert layer not in short.layers and not hasattr(short, layer)
    with torch.no_grad():
        taps = short.activations(IMAGES)
        # conv5 pools before it rectifies; its tap is rectified alone.
        torch.testing.assert_close(taps[after], short.get_submodule(after)(taps[before]).relu())
        torch.testing.assert_close(taps["logits"], short(IMAGES))


def test_without_the_last_convolution_fc6_reads_the_one_before() -> None:
    relu = ("relu",)
    first, second, third, _, fifth, *_ = NARROW.stages
    short = net(without=("conv5",), stages=(first, second, third, fifth, relu, relu, relu))
    with torch.no_grad():
        taps = short.activations(IMAGES)
        torch.testing.assert_close(taps["fc6"], short.fc6(taps["pool4"].flatten(1)).relu())
    assert short.class_map(torch.zeros(1, 3, 96, 64)).shape == (1, 5, 2, 1)


def test_without_fc7_the_last_layer_reads_fc6() -> None:
    short = net(without=("fc7",))
    with torch.no_grad():
        torch.testing.assert_close(short(IMAGES), short.fc8(0.5 * short.activations(IMAGES)["fc6"]))


@pytest.mark.parametrize("layer", ["conv1", "fc8", "conv9"])
def test_a_layer_that_every_alexnet_has_is_not_left_out(layer: str) -> None:
    with pytest.raises(CommandError, match=f"needs '{layer}'"):
        net(without=(layer,))


def test_kaimings_weights_with_the_variants_biases() -> None:
    plain, biased = net(), net(initialization="kaiming-with-biases")
    assert not any(plain.get_parameter(f"{name}.bias").any() for name in plain.layers)
    found = [float(biased.get_parameter(f"{name}.bias").detach()[0]) for name in biased.layers]
    assert found == [0, 1, 0, 1, 1, 1, 1, 0]
    for name in plain.layers:
        assert torch.equal(plain.get_parameter(f"{name}.weight"), biased.get_parameter(f"{name}.weight"))


@pytest.mark.parametrize("ceil_mode", [True, False])
def test_average_pooling_is_the_mean_of_each_window(ceil_mode: bool) -> None:
    stage = net(pooling="average", pool_size=2, ceil_mode=ceil_mode).after["conv5"]
    maps = torch.randn(2, 16, 5, 5)
    windows = [
        maps[:, :, y : y + 2, x : x + 2].mean((2, 3)).relu()
        for y in range(0, 5, 2)
        for x in range(0, 5, 2)
        if ceil_mode or max(x, y) + 2 <= 5
    ]
    torch.testing.assert_close(stage(maps), torch.stack(windows, 2).flatten(1))

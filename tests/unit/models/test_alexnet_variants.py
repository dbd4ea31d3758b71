"""Changed constants: layers left out, average pooling, initialization."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config import ConfigError
from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS
from alexnet.models.layers.local_response_norm import LocalResponseNorm

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


def test_kaimings_convolutions_with_the_variants_biases_and_last_layers() -> None:
    plain, biased = net(), net(initialization="kaiming-convolutions")
    assert not any(plain.get_parameter(f"{name}.bias").any() for name in plain.layers)
    found = [float(biased.get_parameter(f"{name}.bias").detach()[0]) for name in biased.layers]
    assert found == [0, 1, 0, 1, 1, 1, 1, 0]
    for name in plain.layers[:5]:
        assert torch.equal(plain.get_parameter(f"{name}.weight"), biased.get_parameter(f"{name}.weight"))
    for name, std in zip(biased.layers[5:], biased.architecture.init_std[5:], strict=True):
        assert float(biased.get_parameter(f"{name}.weight").detach().std()) == pytest.approx(std, rel=0.15)


def test_with_kaimings_convolutions_the_first_loss_is_that_of_chance() -> None:
    torch.manual_seed(0)
    model = AlexNet(replace(ALEXNET_VARIANTS["2012"], initialization="kaiming-convolutions"), 10, 64).eval()
    images = 60 * torch.randn(16, 3, 64, 64)
    loss = torch.nn.functional.cross_entropy(model(images), torch.arange(16) % 10)
    assert float(loss.detach()) == pytest.approx(math.log(10), abs=0.3)


def test_the_constants_of_response_normalization_are_settings() -> None:
    found = net(lrn_n=2, lrn_alpha=1.0, lrn_beta=0.5, lrn_k=3.0, stages=ALEXNET_VARIANTS["2012"].stages)
    norms = [each.params for each in found.modules() if isinstance(each, LocalResponseNorm)]
    assert {(each.size, each.alpha, each.beta, each.k) for each in norms} == {(2, 0.5, 0.5, 3.0)}
    with pytest.raises(ConfigError, match="lrn_n"):
        net(lrn_n=0)
    with pytest.raises(ConfigError, match="k above 0"):
        net(lrn_k=0.0)


@given(st.integers(64, 90), st.integers(1, 3), st.booleans(), st.sampled_from(["max", "average"]))
def test_maps_have_the_sides_that_fc6_reads(crop: int, pool_size: int, ceil_mode: bool, pooling: Any) -> None:
    """As those of torch, in which no window starts outside the map."""
    fields = {"pool_size": pool_size, "ceil_mode": ceil_mode, "pooling": pooling}
    model = AlexNet(replace(NARROW, **fields), 5, crop).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, crop, crop)).shape == (1, 5)


def test_the_tenth_convolution_has_a_pooling_of_its_own() -> None:
    relu, pooled = ("relu",), ("relu", "pool")
    many = replace(
        NARROW,
        widths=(*10 * (4,), 8, 8),
        stages=(*9 * (relu,), pooled, relu, relu),
        init_std=13 * (0.01,),
        biases=13 * (0.0,),
    )
    model = AlexNet(many, 5, 64).eval()
    assert "pool10" in model.layer_names
    with torch.no_grad():
        assert tuple(model.activations(IMAGES)) == model.layer_names


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

"""OverFeat: published counts and sizes, class maps compared with windows, refused arguments."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import offset_pooling as twin
from torch import Tensor, nn
from torch.nn.functional import conv2d

from alexnet.config import ConfigError
from alexnet.errors import CommandError
from alexnet.models.config import OVERFEAT_VARIANTS, ModelConfig
from alexnet.models.layers.pooling import at_every_offset
from alexnet.models.overfeat import OverFeat
from alexnet.models.registry import build
from alexnet.models.summary import summarize_model
from alexnet.published import overfeat as published

CROPS = {"fast": 231, "accurate": 221}
NARROW = {
    name: replace(OVERFEAT_VARIANTS[name], widths=widths, initialization="kaiming")
    for name, widths in {"fast": (4, 6, 8, 8, 8, 16, 12), "accurate": (4, 6, 8, 8, 8, 8, 16, 12)}.items()
}


def on_meta(variant: str, crop: int) -> OverFeat:
    with torch.device("meta"):
        return OverFeat(variant, 1000, crop)


def narrow(variant: str, crop: int) -> OverFeat:
    torch.manual_seed(0)
    return OverFeat(NARROW[variant], 5, crop).eval()


@pytest.mark.parametrize("variant", CROPS)
def test_the_published_counts(variant: str) -> None:
    found = summarize_model(on_meta(variant, CROPS[variant]), CROPS[variant])
    assert found.parameters == published.PARAMETERS[variant]
    assert found.multiply_adds == published.MULTIPLY_ADDS[variant]
    parameters, connections = published.COUNTS_IN_PAPER[variant]
    assert math.floor(found.parameters / 1e6) * 1e6 == parameters
    assert found.connections == pytest.approx(connections, rel=0.003)


def test_the_sizes_of_table_1() -> None:
    shapes = [layer.output_shape for layer in summarize_model(on_meta("fast", 231), 231).layers]
    assert shapes[1:5] == [(256, 24, 24), (512, 12, 12), (1024, 12, 12), (1024, 12, 12)]
    assert shapes[5:] == [(3072,), (4096,), (1000,)]
    assert on_meta("fast", 231).get_submodule("fc6").get_parameter("weight").shape[1] == 1024 * 6 * 6


def test_the_sizes_of_table_3() -> None:
    shapes = [layer.output_shape for layer in summarize_model(on_meta("accurate", 221), 221).layers]
    assert shapes[0] == (96, 3 * 36, 3 * 36)
    assert shapes[1] == (256, 2 * 15, 2 * 15)
    assert shapes[2:6] == [(512, 15, 15), (512, 15, 15), (1024, 15, 15), (1024, 15, 15)]
    assert shapes[6:] == [(4096,), (4096,), (1000,)]
    assert on_meta("accurate", 221).get_submodule("fc7").get_parameter("weight").shape[1] == 1024 * 5 * 5


@pytest.mark.parametrize(("size", "maps"), list(zip(published.SCALES, published.MAPS, strict=True)))
def test_the_maps_of_table_5(size: tuple[int, int], maps: tuple[int, int, int, int]) -> None:
    net, seen = on_meta("accurate", 221), list[torch.Size]()
    net.get_submodule("conv6").register_forward_hook(
        lambda layer, inputs, output: seen.append(output.shape[2:])
    )
    class_map = net.class_map(torch.empty(1, 3, *size, device="meta"))
    assert (*seen[0], *class_map.shape[2:]) == maps


@pytest.mark.parametrize(("variant", "crop"), [("fast", 64), ("fast", 231), ("accurate", 90)])
def test_a_map_of_one_crop_is_the_models_output(variant: str, crop: int) -> None:
    net, images = narrow(variant, crop), torch.randn(2, 3, crop, crop)
    with torch.no_grad():
        scores, class_map = net(images), net.class_map(images)
    assert class_map.shape == (2, 5, 1, 1)
    assert class_map[:, :, 0, 0] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize(("variant", "crop"), [("fast", 128), ("accurate", 113), ("accurate", 124)])
def test_without_zeros_around_maps_a_class_map_is_naive_windows(variant: str, crop: int) -> None:
    net = narrow(variant, crop)
    for layer in net.convolutions:
        convolution = cast(nn.Conv2d, net.get_submodule(layer))
        if convolution.padding != (0, 0):  # a filter's middle alone reads nothing beyond the border
            middle = torch.zeros(3, 3)
            middle[1, 1] = 1
            convolution.weight.data *= middle
    step = net.map_step_pixels
    images = torch.randn(1, 3, crop + 3 * step, crop + 2 * step + 5)
    with torch.no_grad():
        class_map = net.class_map(images)
        assert class_map.shape == (1, 5, 4, 3)
        for i in range(4):
            for j in range(3):
                window = images[:, :, i * step : i * step + crop, j * step : j * step + crop]
                assert class_map[:, :, i, j] == pytest.approx(net(window), abs=1e-4)


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.integers(0, 2))
def test_pooling_at_every_offset(size: int, side: int, rows: int, columns: int, more: int) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, size * side + rows - 1 + more, size * side + columns - 1, generator=generator)
    filters = torch.randn(4, 3, side, side, generator=generator)

    def classify(pooled: Tensor) -> Tensor:
        return conv2d(pooled, filters)

    found = at_every_offset(classify, maps, size, side, (rows, columns))
    assert found == pytest.approx(twin.at_every_offset(classify, maps, size, side, (rows, columns)), abs=1e-5)


@pytest.mark.parametrize("variant", CROPS)
def test_activations_are_rectified_and_end_in_the_logits(variant: str) -> None:
    net, images = narrow(variant, 96), torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        taps, logits = net.activations(images), net(images)
    assert tuple(taps) == net.layer_names
    assert taps["logits"] == pytest.approx(logits, abs=1e-5)
    assert all((tap >= 0).all() for name, tap in taps.items() if name != "logits")
    assert taps["pool1"].shape[2] == taps["conv1"].shape[2] // net.architecture.pools[0]


@pytest.mark.parametrize("variant", CROPS)
@pytest.mark.parametrize("crop", [64, 96, 111, 112])
def test_small_crops_leave_something_to_classify(variant: str, crop: int) -> None:
    net = narrow(variant, crop)
    logits = net(torch.randn(4, 3, crop, crop))
    assert logits.std(dim=0).min() > 0
    assert cast(nn.Conv2d, net.conv2).padding == (
        (net.architecture.filters[1] // 2,) * 2 if crop < 112 else (0, 0)
    )


def test_first_weights_have_the_papers_deviation() -> None:
    net = OverFeat("fast", 5, 64)
    for layer in net.layers[1:]:
        assert net.get_submodule(layer).get_parameter("weight").std().item() == pytest.approx(0.01, rel=0.05)
        assert not net.get_submodule(layer).get_parameter("bias").any()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(CommandError, match="crop 48 is too small"):
        OverFeat("fast", 5, 48)
    with pytest.raises(CommandError, match="it must be one of fast, accurate"):
        OverFeat("quick")
    with pytest.raises(ConfigError, match="7 widths, not 5 and 2"):
        replace(OVERFEAT_VARIANTS["fast"], widths=(1, 2))
    net = narrow("fast", 64)
    with pytest.raises(CommandError, match="64 pixels or more"):
        net.class_map(torch.zeros(1, 3, 60, 80))
    with pytest.raises(CommandError, match=r"\(N, 3, 64, 64\)"):
        net(torch.zeros(1, 3, 72, 72))


def test_the_registry_refuses_settings_of_alexnet() -> None:
    with pytest.raises(CommandError, match="overfeat has no towers"):
        build(ModelConfig("overfeat", "fast", tower_devices="cpu,cpu"), 5, 64)
    with pytest.raises(CommandError, match="color"):
        build(ModelConfig("overfeat", "fast"), 5, 64, channels=1)


@pytest.mark.parametrize(
    ("variant", "crop", "pixels_off"),
    [("fast", 231, 0), ("accurate", 221, 0), ("fast", 72, 1), ("fast", 64, 12)],
)
def test_the_part_of_a_crop_that_is_read_is_centered_or_documented(
    variant: str, crop: int, pixels_off: int
) -> None:
    """Among small crops, 72 pixels fit the fast model and 64 do not (docs/models.md)."""
    chosen = replace(OVERFEAT_VARIANTS[variant], widths=(2,) * len(OVERFEAT_VARIANTS[variant].widths))
    with torch.device("meta"):
        net = OverFeat(chosen, 2, crop)
    step, first = 1.0, 0.0  # in pixels, of the values of a layer's maps: how far apart, where the first lies
    for number, (size, pool) in enumerate(zip(chosen.filters, chosen.pools, strict=True)):
        first += ((size - 1) / 2 - net._padding(number)) * step
        step *= chosen.conv1_stride if number == 0 else 1
        if pool and number + 1 < len(chosen.filters):
            first += (pool - 1) / 2 * step
            step *= pool
    read = net._read_side() * (chosen.pools[-1] or 1)
    middle = first + (read - 1) / 2 * step
    assert abs(middle - (crop - 1) / 2) == pytest.approx(pixels_off, abs=0.6)


def test_maps_without_pixels_are_refused() -> None:
    with torch.device("meta"), pytest.raises(CommandError, match="64 pixels is too small for this model"):
        OverFeat(replace(NARROW["fast"], pools=(4, 4, 0, 0, 4)), 2, 64)

"""VGG: published counts, comparison with a reference from table 1, class maps, initial weights, refused
arguments."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
import torch
from reference import vgg as twin
from torch import Tensor, nn

from alexnet.errors import CommandError
from alexnet.models.config import VGG_VARIANTS, ModelConfig, VGGArchitecture
from alexnet.models.convert import TORCHVISION_LAYERS, from_torchvision, model_of
from alexnet.models.registry import build
from alexnet.models.summary import summarize_model
from alexnet.models.vgg import FROM_A, VGG
from alexnet.published import vgg as published

WIDTHS = (8, 8, 12, 16, 16, 32, 24)


def changed(variant: str, **fields: Any) -> VGGArchitecture:
    return replace(VGG_VARIANTS[variant], **fields)


def on_meta(variant: str | VGGArchitecture, crop: int = 224, classes: int = 1000) -> VGG:
    with torch.device("meta"):
        return VGG(variant, classes, crop)


def narrow(variant: str, crop: int = 64, seed: int = 0, batchnorm: bool = False) -> VGG:
    torch.manual_seed(seed)
    small = changed(variant, widths=WIDTHS, initialization="kaiming-convolutions", batchnorm=batchnorm)
    return VGG(small, num_classes=5, crop=crop).eval()


@pytest.mark.parametrize("net", VGG_VARIANTS)
def test_counts_are_the_papers(net: str) -> None:
    summary = summarize_model(on_meta(net), 224)
    assert summary.parameters == published.PARAMETERS[net]
    assert round(summary.parameters / 1e6) == published.MILLIONS_OF_PARAMETERS[net]
    assert summary.multiply_adds == published.MULTIPLY_ADDS[net]
    assert len(summary.layers) == published.WEIGHT_LAYERS[net]
    found = [(layer.weights + layer.biases, layer.multiply_adds) for layer in summary.layers]
    assert found == twin.counts(net)


def test_the_counts_are_these() -> None:
    assert published.PARAMETERS == {
        "A": 132_863_336,
        "A-LRN": 132_863_336,
        "B": 133_047_848,
        "C": 133_638_952,
        "D": 138_357_544,
        "E": 143_667_240,
    }
    billions = {net: round(count / 1e9, 3) for net, count in published.MULTIPLY_ADDS.items()}
    assert billions == {"A": 7.609, "A-LRN": 7.609, "B": 11.308, "C": 11.771, "D": 15.47, "E": 19.632}


@pytest.mark.parametrize("net", published.BATCHNORM_PARAMETERS)
def test_batch_normalization_adds_what_torchvisions_has(net: str) -> None:
    summary = summarize_model(on_meta(changed(net, batchnorm=True)), 224)
    assert summary.parameters == published.BATCHNORM_PARAMETERS[net]
    assert summary.multiply_adds == published.MULTIPLY_ADDS[net]


@pytest.mark.parametrize("net", VGG_VARIANTS)
def test_maps_halve_and_widen_as_in_table_1(net: str) -> None:
    shapes = {layer.name: layer.output_shape for layer in summarize_model(on_meta(net), 224).layers}
    for block, (width, side) in enumerate([(64, 224), (128, 112), (256, 56), (512, 28), (512, 14)], start=1):
        found = {shape for name, shape in shapes.items() if name.startswith(f"conv{block}_")}
        assert found == {(width, side, side)}
    assert [shapes[name] for name in ("fc6", "fc7", "fc8")] == [(4096,), (4096,), (1000,)]


@pytest.mark.parametrize("net", VGG_VARIANTS)
def test_logits_are_those_of_the_table_walked_by_plain_functions(net: str) -> None:
    model = narrow(net)
    images = 60 * torch.randn(2, 3, 64, 64)
    layers = [
        (model.get_parameter(f"{name}.weight"), model.get_parameter(f"{name}.bias")) for name in model.layers
    ]
    with torch.no_grad():
        wanted = twin.logits(net, layers, images)
        torch.testing.assert_close(model(images), wanted, rtol=1e-4, atol=1e-4)
        taps = model.activations(images)
    assert tuple(taps) == model.layer_names
    torch.testing.assert_close(taps["logits"], wanted, rtol=1e-4, atol=1e-4)
    assert taps["conv1_1"].shape == (2, 8, 64, 64)
    assert taps["pool5"].shape == (2, 16, 2, 2)
    assert all(tap.min() >= 0 for name, tap in taps.items() if name != "logits")


@pytest.mark.parametrize("crop", [32, 50, 64, 112])
@pytest.mark.parametrize(("net", "batchnorm"), [("A", False), ("A-LRN", False), ("C", False), ("A", True)])
def test_small_crops_build_learn_and_slide(net: str, batchnorm: bool, crop: int) -> None:
    model = narrow(net, crop, batchnorm=batchnorm).train()
    model(torch.randn(2, 3, crop, crop)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.eval()
    images = torch.randn(2, 3, crop, crop)
    with torch.no_grad():
        found = model.class_map(images)
        torch.testing.assert_close(found[:, :, 0, 0], model(images), rtol=1e-4, atol=1e-5)
    assert found.shape == (2, 5, 1, 1)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (97, 128), (130, 64), (72, 95)])
def test_a_class_map_is_the_classifier_at_each_window_of_the_last_maps(height: int, width: int) -> None:
    model = narrow("B")
    images = torch.randn(2, 3, height, width)
    with torch.no_grad():
        found = model.class_map(images)
        maps = model._maps(images)
        for y in range(found.shape[2]):
            for x in range(found.shape[3]):
                hidden = maps[:, :, y : y + 2, x : x + 2].flatten(1)
                for name in ("fc6", "fc7"):
                    hidden = model.get_submodule(name)(hidden).relu()
                torch.testing.assert_close(found[:, :, y, x], model.fc8(hidden), rtol=1e-4, atol=1e-5)
    assert found.shape[2:] == (height // 32 - 1, width // 32 - 1), "a place hangs over the border"


def test_first_weights_are_those_of_section_3_1() -> None:
    torch.manual_seed(0)
    model = VGG(changed("B", widths=(16, 16, 32, 32, 32, 256, 256)), 100, 64)
    for name in model.layers:
        weight, bias = model.get_parameter(f"{name}.weight"), model.get_parameter(f"{name}.bias")
        assert weight.std().item() == pytest.approx(0.01, rel=0.12)
        assert weight.mean().item() == pytest.approx(0, abs=0.002)
        assert bias.unique().tolist() == [0]


def test_first_weights_with_batch_normalization_are_hes_and_the_papers() -> None:
    torch.manual_seed(0)
    net = VGG(changed("A", batchnorm=True, initialization="kaiming-convolutions"), 10, 64)
    for layer, deviation in ((net.conv3_1, math.sqrt(2 / (9 * 128))), (net.fc6, 0.01), (net.fc8, 0.01)):
        assert float(layer.weight.detach().std()) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize(("deviation", "least", "most"), [(0.01, 1e-5, 1e-2), (0.1, 1e5, 1e10)])
def test_a_variance_of_a_hundredth_to_the_letter_would_explode(
    deviation: float, least: float, most: float
) -> None:
    """The reason why the paper's "10^-2 variance" is interpreted as a standard deviation."""
    torch.manual_seed(0)
    model = VGG("A", 10, 32).eval()
    with torch.no_grad():
        for name in model.layers:
            model.get_parameter(f"{name}.weight").mul_(deviation / 0.01)
        assert least < model(60 * torch.randn(2, 3, 32, 32)).std().item() < most


def test_glorots_first_weights_are_uniform_within_his_bound() -> None:
    torch.manual_seed(0)
    layer = VGG(changed("A", initialization="glorot", widths=(16, 32, 32, 32, 32, 64, 64)), 5, 64).conv2_1
    bound = (6 / (9 * 16 + 9 * 32)) ** 0.5
    weight = layer.get_parameter("weight")
    assert 0.99 * bound < weight.abs().max().item() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_the_layers_of_a_fit_all_deeper_models() -> None:
    a = on_meta("A").state_dict()
    first_four, last_three = on_meta("A").layers[:4], on_meta("A").layers[-3:]
    assert (*first_four, *last_three) == FROM_A
    for net in VGG_VARIANTS:
        own = on_meta(net).state_dict()
        for layer in FROM_A:
            assert a[f"{layer}.weight"].shape == own[f"{layer}.weight"].shape


def test_half_of_the_units_of_fc6_and_fc7_are_silent_in_training() -> None:
    model = VGG("A", num_classes=2, crop=32)
    step = model.after["fc6"].get_submodule("dropout")
    assert step.train()(torch.ones(4, 4096)).unique().tolist() == [0, 2]
    assert step.eval()(torch.ones(4, 4096)).unique().tolist() == [1]
    assert "dropout" not in model.after["conv5_2"]._modules


def stock(net: str, batchnorm: bool) -> tuple[nn.Module, dict[str, Tensor]]:
    """A narrow model with torchvision's layout, and its state_dict."""
    steps: list[nn.Module] = []
    inputs = 3
    for word in twin.TABLE_1[net].split():
        if word == "pool":
            steps.append(nn.MaxPool2d(2, 2))
            continue
        width = int(word.partition("-")[2]) // 32
        steps.append(nn.Conv2d(inputs, width, 3, padding=1))
        steps += [nn.BatchNorm2d(width), nn.ReLU()] if batchnorm else [nn.ReLU()]
        inputs = width
    fc6, fc7, fc8 = nn.Linear(inputs * 4, 24), nn.Linear(24, 24), nn.Linear(24, 5)
    parts = OrderedDict(
        features=nn.Sequential(*steps),
        flatten=nn.Flatten(),
        classifier=nn.Sequential(fc6, nn.ReLU(), nn.Dropout(), fc7, nn.ReLU(), nn.Dropout(), fc8),
    )
    model = nn.Sequential(parts)
    model.train()(torch.randn(8, 3, 64, 64))  # normalization layers get means and deviations
    return model.eval(), model.state_dict()


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize(("name", "net"), [("VGG11", "A"), ("VGG13", "B"), ("VGG16", "D"), ("VGG19", "E")])
def test_torchvisions_weights_give_torchvisions_logits(name: str, net: str, batchnorm: bool) -> None:
    torch.manual_seed(1)
    theirs, state = stock(net, batchnorm)
    assert model_of(state) == name + "_BN" * batchnorm
    assert len(TORCHVISION_LAYERS[model_of(state)]) == len({key.rpartition(".")[0] for key in state})
    ours = VGG(changed(net, widths=(2, 4, 8, 16, 16, 24, 24), batchnorm=batchnorm), 5, 64).eval()
    old = {key: tensor for key, tensor in state.items() if "num_batches_tracked" not in key}
    images = torch.randn(3, 3, 64, 64)
    for weights in (state, old):
        ours.load_state_dict(from_torchvision(weights))
        with torch.no_grad():
            torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VGG("A", 5, 31), "32 pixels"),
        (lambda: VGG("F"), "A, A-LRN, B, C, D, E"),
        (lambda: changed("A", widths=(8, 8)), "7 widths"),
        (lambda: changed("A", blocks=((3,), (5,), (3,), (3,), (3,))), "3 or 1"),
        (lambda: on_meta("A", 64, 5)(torch.empty(2, 3, 96, 96)), "(N, 3, 64, 64): crop them"),
        (lambda: on_meta("A", 64, 5)(torch.empty(3, 64, 64)), "(N, 3, 64, 64)"),
        (lambda: on_meta("A", 64, 5).class_map(torch.empty(2, 3, 96, 60)), "or larger"),
        (lambda: build(ModelConfig(name="vgg", variant="A"), 10, 64, 1), "--channels 3"),
        (
            lambda: build(ModelConfig(name="vgg", variant="A", tower_devices="cpu,cpu"), 10, 64),
            "vgg has no towers",
        ),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(make, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

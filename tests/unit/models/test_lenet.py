"""The LeNets: every published count, comparison with a reference, names, codes, refused arguments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import lenet as reference
from torch import nn

from alexnet import published, recipes
from alexnet.config import override
from alexnet.errors import CommandError
from alexnet.models.config import C3_READS, H2_READS, LENET_VARIANTS, ModelConfig
from alexnet.models.lenet import LeNet, LeNet5, LeNet1989, ModernLeNet, class_codes
from alexnet.models.registry import build
from alexnet.models.summary import Summary, summarize

NETS = (LeNet1989, LeNet5, ModernLeNet)


def counted(summary: Summary) -> dict[str, tuple[int, int]]:
    return {layer.name: (layer.weights + layer.biases, layer.connections) for layer in summary.layers}


def test_1989_has_the_published_counts() -> None:
    summary = summarize(recipes.get("lenet-1989"))
    assert counted(summary) == published.lenet.LENET_1989_LAYERS
    assert summary.parameters == published.lenet.LENET_1989_PARAMETERS == 9_760 == 1_068 + 2_592 + 5_790 + 310
    assert summary.connections == published.lenet.LENET_1989_CONNECTIONS == 64_660
    assert 16 * 16 + summary.activations == published.lenet.LENET_1989_UNITS == 1_256
    assert [layer.output_shape for layer in summary.layers] == [(12, 8, 8), (12, 4, 4), (30,), (10,)]


def test_lenet_5_has_the_published_counts() -> None:
    summary = summarize(recipes.get("lenet-5"))
    assert counted(summary) == {**published.lenet.LENET_5_LAYERS, "output": (0, 10 * 84)}
    assert summary.parameters == published.lenet.LENET_5_PARAMETERS == 60_000
    assert summary.connections == published.lenet.LENET_5_CONNECTIONS == 340_908
    shapes = [layer.output_shape for layer in summary.layers]
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,), (10,)]
    # Sub-sampling multiplies each sum of four once.
    assert summary.multiply_adds == 117_600 + 1_176 + 150_000 + 400 + 48_000 + 10_080 + 840


def test_modern_has_layers_of_the_same_sizes() -> None:
    old = {layer.name: layer for layer in summarize(recipes.get("lenet-5")).layers}
    summary = summarize(recipes.get("lenet-modern"))
    assert all(layer.output_shape == old[layer.name].output_shape for layer in summary.layers)
    assert summary.parameters == 61_706 == 60_000 - 44 + 900 + 850


def test_1989_equals_its_reference() -> None:
    torch.manual_seed(0)
    model, images = LeNet1989().double(), torch.randn(2, 1, 16, 16, dtype=torch.float64)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    expected = [reference.net_1989(weights, image[0].numpy()) for image in images]
    np.testing.assert_allclose(model(images).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("table", "outputs_of_each_input"), [(H2_READS, 12 * [8]), (C3_READS, 6 * [10])], ids=["H2", "C3"]
)
def test_every_map_is_read_equally_often(table: tuple[tuple[int, ...], ...], outputs_of_each_input) -> None:
    read = [map_ for columns in table for map_ in columns]
    assert [read.count(map_) for map_ in range(len(outputs_of_each_input))] == outputs_of_each_input
    assert all(list(columns) == sorted(set(columns)) for columns in table)


def test_lenet_5_outputs_distances_of_f6_from_the_codes() -> None:
    torch.manual_seed(1)
    model = LeNet5()
    taps = model.activations(torch.randn(3, 1, 32, 32))
    expected = -torch.cdist(taps["F6"], class_codes(10)).square()
    torch.testing.assert_close(taps["logits"], expected, rtol=1e-4, atol=1e-3)
    assert taps["F6"].abs().max() <= 1.7159


def test_codes_of_digits_are_drawn_and_of_other_classes_random_and_always_the_same() -> None:
    for classes in (10, 3, 30, 1000):
        codes = class_codes(classes)
        assert codes.shape == (classes, 84)
        assert codes.unique().tolist() == [-1, 1]
        assert torch.equal(codes, class_codes(classes))
        apart = (84 - codes @ codes.T) / 2
        assert apart[~torch.eye(classes, dtype=torch.bool)].min() >= 12
    one = class_codes(10)[1].view(12, 7)
    assert one[:, 3].sum() == 10 - 2  # the stem of the 1, above and below it a row of paper


@pytest.mark.parametrize("kind", NETS)
def test_layers_have_the_papers_names_and_all_weights_gradients(kind: type[LeNet]) -> None:
    torch.manual_seed(2)
    model = kind()
    images = torch.randn(8, 1, model.crop, model.crop)
    taps = model.eval().activations(images)
    assert tuple(taps) == model.layer_names
    assert torch.equal(taps["logits"], model(images))
    assert taps["logits"].shape == (8, 10)
    nn.functional.cross_entropy(model(images), torch.arange(8)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize(("classes", "crop", "channels"), [(30, 64, 3), (10, 32, 3), (2, 16, 1)])
def test_photos_and_other_classes_are_welcome(
    kind: type[LeNet], classes: int, crop: int, channels: int
) -> None:
    model = kind(classes, crop, channels)
    assert model(torch.randn(2, channels, crop, crop)).shape == (2, classes)


def test_the_first_weights_are_within_2_4_over_the_inputs() -> None:
    torch.manual_seed(3)
    model = LeNet5()
    for name, inputs in {"C1": 25, "S2": 4, "C5": 400, "F6": 120}.items():
        weight = model.get_submodule(name).get_parameter("weight")
        assert 0.5 < weight.abs().max().item() * inputs / 2.4 <= 1
        assert model.get_submodule(name).get_parameter("bias").abs().max().item() * inputs / 2.4 <= 1
    first = LeNet1989().H3.weight.abs().max().item()
    assert 0.9 < first * 192 / 2.4 <= 1


def test_dropout_is_modern_only() -> None:
    torch.manual_seed(4)
    images = torch.randn(4, 1, 28, 28)
    model = ModernLeNet(dropout=0.5)
    assert not torch.equal(model.train()(images), model(images))
    assert torch.equal(model.eval()(images), model(images))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeNet5(crop=30), "multiple of 4"),
        (lambda: LeNet5(crop=12), "16 pixels"),
        (lambda: LeNet5()(torch.zeros(1, 3, 32, 32)), "channels"),
        (lambda: LeNet1989()(torch.zeros(1, 16, 16)), "(N, 1, 16, 16)"),
        (lambda: build(ModelConfig(name="lenet", variant="4", dropout=0), 10, 32, 1), "1989, 5, modern"),
        (lambda: build(ModelConfig(name="lenet", variant="5"), 10, 32, 1), "model.dropout=0"),
        (
            lambda: build(ModelConfig(name="lenet", variant="modern", tower_devices="cpu,cpu"), 10, 28, 1),
            "lenet has no towers",
        ),
        (lambda: LeNet5(architecture=replace(LENET_VARIANTS["5"], units=(120, 80))), "units=[120,84]"),
        (lambda: LeNet5(architecture=LENET_VARIANTS["1989"]), "2 hidden layers, not 1"),
        (lambda: ModernLeNet(architecture=LENET_VARIANTS["5"]), "reads=[]"),
        (lambda: replace(LENET_VARIANTS["5"], maps=(6, 15)), "16 entries for 15 maps"),
        (lambda: replace(LENET_VARIANTS["5"], maps=(5, 16)), "between 0 and 4"),
        (lambda: build(ModelConfig(name="vgg", variant="A"), 10, 64, 1), "color"),
        (lambda: override(recipes.get("alexnet-2012"), ["training.loss=rbf"]), "cross-entropy"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(make, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

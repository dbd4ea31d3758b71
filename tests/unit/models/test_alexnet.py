"""AlexNet in all variants: published counts and shapes, comparison with a reference, refused arguments."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from reference.alexnet import net_145
from torch import nn

from alexnet import published, recipes
from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS, AlexNetArchitecture, ModelConfig
from alexnet.models.convert import from_torchvision
from alexnet.models.summary import summarize, summarize_model

TOWERS = ("2012", "paper", "caffe", "caffenet")


def on_meta(variant: str, crop: int = 224, classes: int = 1000) -> AlexNet:
    with torch.device("meta"):
        return AlexNet(variant, classes, crop)


@pytest.mark.parametrize("variant", TOWERS)
@pytest.mark.parametrize("crop", [224, 227])
def test_two_towers_have_the_published_counts_at_224_and_227(variant: str, crop: int) -> None:
    summary = summarize_model(on_meta(variant, crop), crop)
    assert summary.parameters == published.alexnet.ALEXNET_PARAMETERS == 60_965_224
    assert summary.multiply_adds == published.alexnet.ALEXNET_MULTIPLY_ADDS == 724_406_816
    assert summary.activations == published.alexnet.ALEXNET_UNITS == 659_272
    for found, wanted in zip(summary.layers, published.alexnet.ALEXNET_LAYERS, strict=True):
        assert (found.name, found.output_shape) == (wanted.name, wanted.output_shape)
        assert (found.weights, found.biases) == (wanted.weights, wanted.biases)
        assert found.multiply_adds == wanted.multiply_adds


def test_one_weird_trick_is_torchvisions() -> None:
    summary = summarize_model(on_meta("one-weird-trick"), 224)
    assert summary.parameters == published.alexnet.ONE_WEIRD_TRICK_PARAMETERS == 61_100_840
    assert summary.multiply_adds == published.alexnet.ONE_WEIRD_TRICK_MULTIPLY_ADDS
    widths = [layer.output_shape[0] for layer in summary.layers[:5]]
    assert widths == [64, 192, 384, 256, 256]


def test_small_has_alexnets_convolutions_and_the_mean_of_each_map() -> None:
    summary = summarize_model(on_meta("small", 56, 10), 56)
    assert [layer.name for layer in summary.layers] == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc8"]
    assert [layer.output_shape[0] for layer in summary.layers] == [96, 256, 384, 384, 256, 10]
    by_hand = 96 * 3 * 49 + 256 * 48 * 25 + 384 * 256 * 9 + 384 * 192 * 9 + 256 * 192 * 9
    normalizers = 2 * (96 + 256 + 384 + 384 + 256)
    assert summary.parameters == by_hand + normalizers + 257 * 10


def test_the_weights_of_small_fit_other_input_sizes() -> None:
    torch.manual_seed(7)
    small, large = AlexNet("small", 5, 32).eval(), AlexNet("small", 5, 112).eval()
    large.load_state_dict(small.state_dict())
    with torch.no_grad():
        assert large(torch.randn(2, 3, 112, 112)).shape == (2, 5)


def changed(variant: str, **fields: Any) -> AlexNetArchitecture:
    return replace(ALEXNET_VARIANTS[variant], **fields)


@pytest.mark.parametrize(
    "fields", [{"widths": (8, 8, 8, 8, 8, 8, 16, 16)}, {"biases": (0, 1)}, {"stages": ()}, {"widths": (8,)}]
)
def test_a_variant_whose_lists_differ_in_length_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="widths needs"):
        changed("2012", **fields)


def test_star_has_the_published_counts() -> None:
    star = summarize_model(on_meta("2012-star"), 224)
    assert star.parameters == published.alexnet.STAR_PARAMETERS == 61_555_304
    (conv6,) = [layer for layer in star.layers if layer.name == "conv6"]
    assert conv6.weights + conv6.biases == published.alexnet.STAR_CONV6_PARAMETERS == 590_080
    assert conv6.output_shape == (256, 6, 6)
    assert conv6.multiply_adds == published.alexnet.STAR_CONV6_MULTIPLY_ADDS == 21_233_664
    assert (
        star.multiply_adds
        == published.alexnet.ALEXNET_MULTIPLY_ADDS + published.alexnet.STAR_CONV6_MULTIPLY_ADDS
    )


@pytest.mark.parametrize(
    ("classes", "bottleneck", "millions"),
    [(published.alexnet.FALL_2009_CLASSES, 0, 99.2), (published.alexnet.FALL_2011_CLASSES, 2048, 110.6)],
)
def test_star_for_very_many_classes(classes: int, bottleneck: int, millions: float) -> None:
    with torch.device("meta"):
        model = AlexNet(changed("2012-star", bottleneck=bottleneck), classes)
    assert summarize_model(model, 224).parameters == pytest.approx(millions * 1e6, abs=0.05e6)


def test_the_sixth_convolution_reads_both_towers_and_the_bottleneck_is_linear() -> None:
    torch.manual_seed(0)
    model = AlexNet(changed("2012-star", bottleneck=16), 5, 112).eval()
    assert model.conv6.get_parameter("weight").shape == (256, 256, 3, 3)
    assert model.conv6.get_parameter("weight").std().item() == pytest.approx(0.03, rel=0.02)
    assert model.conv6.get_parameter("bias").unique().tolist() == [1]
    with torch.no_grad():
        taps = model.activations(60 * torch.randn(2, 3, 112, 112))
    assert taps["conv6"].shape == taps["pool5"].shape == (2, 256, 3, 3)
    assert tuple(taps) == model.layer_names
    assert taps["bottleneck"].min() < 0
    expected = nn.functional.linear(0.5 * taps["fc7"], model.bottleneck.weight, model.bottleneck.bias)
    torch.testing.assert_close(taps["bottleneck"], expected)


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_can_be_summed_up_at_its_own_crop(name: str) -> None:
    config = recipes.get(name)
    summary = summarize(config)
    if config.classic is not None:
        assert [layer.name for layer in summary.layers] == [
            f"channel{number}" for number, _ in enumerate(config.classic.channels, start=1)
        ]
        assert summary.parameters > 0 and summary.multiply_adds > 0
        return
    if config.model.name == "alexnet":
        assert [layer.name for layer in summary.layers] == list(ALEXNET_VARIANTS[config.model.variant].layers)
    classes, *places = summary.layers[-1].output_shape
    assert classes == config.model.architecture.published_classes
    # Of a detector the last layers slide, over crops larger than its window.
    assert (math.prod(places) > 1) == (config.model.name == "overfeat-detector")


def test_first_weights_of_2012_have_the_sources_deviations_and_biases() -> None:
    torch.manual_seed(0)
    model = AlexNet("2012", num_classes=1000, crop=64)
    for layer in published.alexnet.ALEXNET_LAYERS:
        module = model.get_submodule(layer.name)
        weight = module.get_parameter("weight")
        assert weight.std().item() == pytest.approx(layer.deviation, rel=0.02)
        assert abs(weight.mean().item()) < layer.deviation / 20
        assert module.get_parameter("bias").unique().tolist() == [layer.first_bias]


@pytest.mark.parametrize(
    ("variant", "deviations", "bias"),
    [("paper", (0.01,) * 8, 1), ("caffe", (0.01,) * 5 + (0.005, 0.005, 0.01), 0.1)],
)
def test_first_weights_of_other_gaussian_variants(
    variant: str, deviations: tuple[float, ...], bias: float
) -> None:
    torch.manual_seed(0)
    model = AlexNet(variant, num_classes=1000, crop=64)
    for name, deviation in zip(model.layers, deviations, strict=True):
        assert model.get_submodule(name).get_parameter("weight").std().item() == pytest.approx(
            deviation, rel=0.02
        )
    with_bias = {name for name in model.layers if model.get_submodule(name).get_parameter("bias").max() > 0}
    assert with_bias == {"conv2", "conv4", "conv5", "fc6", "fc7"}
    assert model.conv2.get_parameter("bias").unique().tolist() == pytest.approx([bias])


@pytest.mark.parametrize(
    ("fields", "crop", "channels"),
    [
        ({}, 64, 3),
        ({}, 67, 3),
        ({"conv1_size": 5, "conv1_stride": 1}, 28, 1),
        ({"conv1_size": 5, "conv1_stride": 1}, 16, 3),
        ({"conv1_size": 7, "conv1_stride": 2}, 33, 3),
    ],
)
def test_2012_equals_its_reference(fields: dict[str, int], crop: int, channels: int) -> None:
    torch.manual_seed(1)
    model = AlexNet(changed("2012", **fields), num_classes=7, crop=crop, channels=channels).double().eval()
    for parameter in model.parameters():  # larger than at initialization, so that every part matters
        parameter.data.normal_(std=0.05)
    images = 60 * torch.randn(2, channels, crop, crop, dtype=torch.float64)
    wanted = net_145(dict(model.state_dict()), images, model.architecture.conv1_stride)
    with torch.no_grad():
        torch.testing.assert_close(model(images), wanted)
        torch.testing.assert_close(model.class_map(images)[:, :, 0, 0], wanted)


@pytest.mark.parametrize("variant", ALEXNET_VARIANTS)
@pytest.mark.parametrize("crop", [64, 112])
def test_every_weight_of_every_variant_has_a_gradient_at_small_crops(variant: str, crop: int) -> None:
    torch.manual_seed(2)
    model = AlexNet(variant, num_classes=5, crop=crop)
    images = 60 * torch.randn(4, 3, crop, crop)
    logits = model(images)
    assert logits.shape == (4, 5)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("variant", ALEXNET_VARIANTS)
def test_activations_have_the_papers_names_and_do_not_change_the_output(variant: str) -> None:
    torch.manual_seed(3)
    model = AlexNet(variant, num_classes=5, crop=64).eval()
    images = 60 * torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        taps, logits = model.activations(images), model(images)
    assert tuple(taps) == model.layer_names
    torch.testing.assert_close(taps["logits"], logits, rtol=1e-4, atol=1e-5)
    for name in ("conv1", "conv3", "conv5", "fc6", "fc7"):
        if name not in model.architecture.without:
            assert taps[name].min() >= 0, name
    if variant == "small":
        torch.testing.assert_close(taps["pool5"].flatten(1), taps["conv5"].mean((2, 3)))
        return
    assert taps["fc7"].shape == (2, 4096)
    pooled = nn.functional.max_pool2d(taps["conv5"], 3, 2, ceil_mode=model.architecture.ceil_mode)
    if variant != "one-weird-trick":  # which pools to 6 x 6 after that
        torch.testing.assert_close(taps["pool5"].flatten(1), pooled.flatten(1))


def test_layer_1_of_2012_rectifies_after_it_normalizes() -> None:
    torch.manual_seed(4)
    model = AlexNet("2012", num_classes=5, crop=64).eval()
    # Strong negative responses: they count in the denominator only where ReLU comes later.
    model.conv1.get_parameter("weight").data.mul_(100)
    images = 60 * torch.randn(1, 3, 64, 64)
    stages = (("relu", "lrn", "pool"), *model.architecture.stages[1:])
    other = AlexNet(changed("2012", stages=stages), 5, 64).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert model.activations(images)["pool1"].sum() < 0.99 * other.activations(images)["pool1"].sum()


def test_torchvisions_weights_give_torchvisions_predictions() -> None:
    torch.manual_seed(5)
    names = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
    model = AlexNet("one-weird-trick", num_classes=10, crop=224).eval()
    theirs = nn.ModuleDict(
        {
            "features": nn.Sequential(
                *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
            ),
            "classifier": nn.Sequential(
                *(nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU()),
                *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 10)),
            ),
        }
    ).eval()
    assert theirs["features"][names["conv5"]].weight.shape == model.conv5.get_parameter("weight").shape
    model.load_state_dict(from_torchvision(theirs.state_dict()))
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        wanted = theirs["classifier"](theirs["features"](images).flatten(1))
        torch.testing.assert_close(model(images), wanted, rtol=1e-4, atol=1e-5)


def test_dropout_of_2012_masks_in_training_and_halves_in_testing() -> None:
    torch.manual_seed(6)
    step = AlexNet("2012", num_classes=2, crop=64, dropout=0.5).after["fc6"].get_submodule("dropout")
    ones = torch.ones(4, 4096)
    assert step.train()(ones).unique().tolist() == [0, 1]
    assert step.train()(ones).mean().item() == pytest.approx(0.5, abs=0.03)
    assert step.eval()(ones).unique().tolist() == [0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlexNet(crop=63), "64 pixels or more"),
        (lambda: AlexNet(changed("2012", conv1_size=5, conv1_stride=1), crop=15), "16 pixels"),
        (lambda: changed("2012", conv1_size=5, conv1_stride=6), "one to eight strides"),
        (lambda: changed("2012", conv1_size=33), "one to eight strides"),
        (lambda: AlexNet(changed("paper", conv1_size=16, ceil_mode=False), crop=64), "leaves nothing"),
        (lambda: AlexNet(changed("paper", pool_size=6), crop=64), "leaves nothing"),
        (lambda: changed("paper", towers=3), "split into towers=3"),
        (lambda: changed("paper", stages=7 * (("rely",),)), "'rely' must be one of relu"),
        (lambda: changed("small", stages=7 * (("average",),)), "'average' may follow conv5 only"),
        (lambda: AlexNet("1998"), "2012"),
        (lambda: AlexNet(changed("2012", activation="rely")), "relu"),
        (lambda: on_meta("2012", 64, 5)(torch.empty(3, 64, 64)), "batch dimension"),
        (lambda: on_meta("2012", 64, 5)(torch.empty(2, 3, 72, 72)), "64"),
        (lambda: ModelConfig(name=cast(Any, "vgg-z")), "alexnet"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(make, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

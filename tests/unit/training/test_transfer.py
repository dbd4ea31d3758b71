"""Initialization from another model: what is copied, what is not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from alexnet.config import RunConfig
from alexnet.data.classes import Class
from alexnet.data.config import DataConfig
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.models.alexnet import AlexNet
from alexnet.models.bundle import ModelBundle
from alexnet.models.config import ALEXNET_VARIANTS, VGG_VARIANTS, AlexNetArchitecture
from alexnet.models.convert import in_rgb, normalized_as
from alexnet.models.lenet import LeNet5, ModernLeNet
from alexnet.models.vgg import VGG
from alexnet.training.transfer import TransferReport, normalized_as_source, transfer

TEN = [Class(f"n{i:08}", f"class {i}") for i in range(10)]
PLAIN = replace(ALEXNET_VARIANTS["2012"], widths=(8, 8, 8, 8, 8, 16, 16))
STAR = replace(ALEXNET_VARIANTS["2012-star"], widths=(8, 8, 8, 8, 8, 8, 16, 16))


def net(
    architecture: AlexNetArchitecture,
    classes: Sequence[Class],
    seed: int,
    crop: int = 64,
    bottleneck: int = 0,
) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(replace(architecture, bottleneck=bottleneck), len(classes), crop)


def given(model: nn.Module, classes: Sequence[Class]) -> ModelBundle:
    nothing = Preprocessing.__new__(Preprocessing)
    return ModelBundle(model, RunConfig(recipe="alexnet-2012"), list(classes), nothing, {})


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def checked_transfer(
    model: AlexNet,
    classes: Sequence[Class],
    other: AlexNet,
    others: Sequence[Class],
    layers: Sequence[str] = (),
) -> TransferReport:
    """`transfer`, and every tensor is what the report says."""
    before, there = copies(model), copies(other)
    found = transfer(model, classes, given(other, others), layers)
    after = copies(model)
    assert {*found.copied} | {*found.new} == {*after}
    assert not {*found.copied} & {*found.new}
    assert all(torch.equal(after[name], there[name]) for name in found.copied)
    assert all(torch.equal(after[name], before[name]) for name in found.new)
    return found


def test_fine_tuning_copies_all_but_the_head() -> None:
    pre = net(STAR, TEN, seed=0, bottleneck=4)
    found = checked_transfer(net(STAR, TEN[:3], seed=1), TEN[:3], pre, TEN, ["conv1", "conv6", "fc7"])
    assert found.new["fc6.weight"] == "its layer was not requested"
    found = checked_transfer(net(STAR, TEN[:3], seed=1), TEN[:3], net(STAR, TEN, seed=0), TEN)
    assert found.new == dict.fromkeys(
        ["fc8.weight", "fc8.bias"], "3 classes in this run, 10 in the source model"
    )
    assert found.lines()[1] == "new: fc8.weight, fc8.bias (3 classes in this run, 10 in the source model)"
    assert "conv6.bias" in found.copied


def test_a_bottleneck_is_not_copied() -> None:
    pre = net(STAR, TEN, seed=0, bottleneck=4)
    found = checked_transfer(net(STAR, TEN[:3], seed=1), TEN[:3], pre, TEN)
    assert {*found.new} == {"fc8.weight", "fc8.bias"}
    assert found.unused == ("bottleneck.weight", "bottleneck.bias")
    assert found.lines()[-1] == "not used: bottleneck.weight, bottleneck.bias"


def test_a_sixth_convolution_is_new_where_there_was_none() -> None:
    found = checked_transfer(net(STAR, TEN, seed=1, crop=112), TEN, net(PLAIN, TEN, seed=0, crop=112), TEN)
    assert found.new == dict.fromkeys(["conv6.weight", "conv6.bias"], "the source has none")


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        (TEN[::-1], "the same classes in another order"),
        ([*TEN[:9], Class("n99999999", "x")], "the source model has other classes"),
    ],
)
def test_a_head_for_other_classes_is_not_copied_though_its_shape_fits(
    others: list[Class], reason: str
) -> None:
    other = net(PLAIN, TEN, seed=0)
    found = checked_transfer(net(PLAIN, TEN, seed=1), TEN, other, others)
    assert found.new == dict.fromkeys(["fc8.weight", "fc8.bias"], reason)
    with pytest.raises(DataError, match=reason):
        checked_transfer(net(PLAIN, TEN, seed=1), TEN, other, others, ["fc8"])


def test_shapes_that_do_not_fit_are_refused_and_nothing_is_changed() -> None:
    model, other = net(PLAIN, TEN, seed=1, crop=112), net(PLAIN, TEN, seed=0)
    before = copies(model)
    advice = (
        r"fc6\.weight is 16x8 in .*, 16x72 in .*type data\.input_size=64, or .*-layers conv1,.*,conv5,fc7$"
    )
    with pytest.raises(DataError, match=advice):
        transfer(model, TEN, given(other, TEN))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    checked_transfer(model, TEN, other, TEN, ["conv1", "conv5", "fc7", "fc8"])


def test_only_layers_that_fit_with_all_they_have_are_suggested() -> None:
    wider = net(replace(PLAIN, widths=(8, 16, 8, 8, 8, 16, 16)), TEN, seed=0)
    with pytest.raises(DataError) as refused:
        checked_transfer(net(STAR, TEN, seed=1), TEN, wider, TEN)
    advised = str(refused.value).rpartition("--init-layers ")[2].split(",")
    assert checked_transfer(net(STAR, TEN, seed=1), TEN, wider, TEN, advised).copied
    assert advised == ["conv1", "conv4", "conv5", "fc6", "fc7"]
    without_biases = net(replace(ALEXNET_VARIANTS["modern"], widths=PLAIN.widths), TEN, seed=0)
    with pytest.raises(DataError, match="no layer fits"):
        checked_transfer(net(STAR, TEN, seed=1), TEN, without_biases, TEN)


def test_layers_must_be_there() -> None:
    model, other = net(STAR, TEN, seed=1), net(PLAIN, TEN, seed=0)
    with pytest.raises(CommandError, match="no layer 'conv7' in this model; the nearest is 'conv6'"):
        transfer(model, TEN, given(other, TEN), ["conv7"])
    with pytest.raises(DataError, match=r"conv6\.weight is missing in these weights"):
        transfer(model, TEN, given(other, TEN), ["conv6"])


def test_batch_normalization_is_copied_with_its_layer() -> None:
    narrow = replace(ALEXNET_VARIANTS["modern"], widths=PLAIN.widths)
    found = checked_transfer(net(narrow, TEN, seed=1), TEN, net(narrow, TEN, seed=0), TEN, ["conv1"])
    assert "after.conv1.batchnorm.running_mean" in found.copied
    assert all(".conv1." in f".{name}" for name in found.copied)


def test_bgr_weights_are_reordered_to_rgb() -> None:
    other = net(PLAIN, TEN, seed=0).eval()
    bgr = given(other, TEN)
    object.__setattr__(bgr.preprocessing, "channels", "BGR")
    ours = net(PLAIN, TEN, seed=1).eval()
    transfer(ours, TEN, bgr)
    images = 50 * torch.randn(2, 3, 64, 64)
    assert not ours.conv1.weight.equal(other.conv1.weight)
    with torch.no_grad():
        conv1 = other.conv1(images.flip(1))
        torch.testing.assert_close(ours.conv1(images), conv1)
        assert not other.conv1(images).allclose(conv1)


def test_the_first_layer_of_any_family_is_reordered_to_rgb() -> None:
    narrow = replace(VGG_VARIANTS["A"], widths=(4, 4, 4, 4, 4, 8, 8))
    for model, first in ((VGG(narrow, 10, 32), "conv1_1"), (ModernLeNet(channels=3), "C1")):
        own = model.state_dict()
        changed = in_rgb(model, "BGR")
        assert torch.equal(changed[f"{first}.weight"], own[f"{first}.weight"].flip(1))
        assert all(torch.equal(changed[name], own[name]) for name in own if name != f"{first}.weight")


@pytest.mark.parametrize("classes", [TEN[:3], [*TEN[:9], Class("n99999999", "x")]])
def test_lenet_5_has_a_last_layer_of_codes_and_copies_f6(classes: list[Class]) -> None:
    torch.manual_seed(0)
    model, source = LeNet5(len(classes)), LeNet5(10)
    found = transfer(model, classes, given(source, TEN))
    assert {*found.new} == {"output.weight"}
    assert torch.equal(model.F6.weight, source.F6.weight)
    assert model.output.weight.shape == (len(classes), 84)


def test_a_first_layer_with_another_name_for_another_normalization() -> None:
    model = LeNet5(channels=3)
    there, here = with_colors((90, 91, 92), (50, 51, 52)), with_colors((110, 120, 130), (60, 61, 62))
    pixels = 255 * torch.rand(2, 3, 32, 32)

    def seen(by: Preprocessing) -> Tensor:
        return (pixels - by.mean[:, None, None]) / by.divisor[:, None, None]

    wanted = model(seen(there))
    model.load_state_dict(normalized_as(model.state_dict(), "C1", there, here))
    torch.testing.assert_close(model(seen(here)), wanted, rtol=1e-4, atol=1e-3)


def with_colors(mean: Sequence[float], std: Sequence[float], **data: Any) -> Preprocessing:
    return Preprocessing(
        data=DataConfig(**{"normalization": "mean-and-std", **data}),
        mean=torch.tensor(mean),
        std=torch.tensor(std),
        eigenvalues=torch.ones(3),
        eigenvectors=torch.eye(3),
        resized={},
    )


def test_colors_are_normalized_as_in_the_source() -> None:
    there, own = with_colors((110, 120, 130), (60, 61, 62)), with_colors((90, 91, 92), (50, 51, 52))
    source = replace(given(net(PLAIN, TEN, 0), TEN), preprocessing=there)
    config = RunConfig("", data=own.data)
    found = normalized_as_source(config, own, source).data
    assert (found.color_mean, found.color_std) == ((110, 120, 130), (60, 61, 62))
    assert normalized_as_source(config, there, source) is config  # they are already
    chosen = RunConfig("", data=replace(own.data, color_mean=(1.0, 2.0, 3.0)))
    assert normalized_as_source(chosen, own, source) is chosen
    bgr = replace(source, preprocessing=replace(there, channels="BGR"))
    assert normalized_as_source(config, own, bgr).data.color_mean == (130, 120, 110)
    for other in ("channel-mean", "mean-image"):
        changed = replace(own, data=replace(own.data, normalization=other))
        assert normalized_as_source(RunConfig("", data=changed.data), changed, source).data == changed.data

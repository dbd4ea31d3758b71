"""Two towers on two devices: the same model as on one device, with the same interface."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from alexnet.errors import CommandError
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS, AlexNetArchitecture
from alexnet.models.two_devices import AlexNetOnTwoDevices

NARROW = {
    name: replace(variant, widths=tuple(width // 8 for width in variant.widths))
    for name, variant in ALEXNET_VARIANTS.items()
    if variant.towers == 2 and variant.lrn_per_tower
}
# Normalization with weights and statistics, no biases before it, widths that all differ.
WIDTHS = (8, 16, 12, 20, 24, 32, 36)
MODERN = replace(ALEXNET_VARIANTS["modern"], towers=2, widths=WIDTHS)
CUT = {**NARROW, "modern": MODERN}
CPUS = 2 * [torch.device("cpu")]
IMAGES = 60 * torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def whole_and_cut(
    variant: AlexNetArchitecture, dropout: float = 0.0, bottleneck: int = 0
) -> tuple[AlexNet, AlexNetOnTwoDevices]:
    torch.manual_seed(1)
    net = AlexNet(replace(variant, bottleneck=bottleneck), num_classes=7, crop=64, dropout=dropout).double()
    for parameter in net.parameters():  # larger than at initialization, so that every part matters
        parameter.data.normal_(std=0.05)
    return net, AlexNetOnTwoDevices(net, CPUS)


def outputs_and_gradients(net: nn.Module) -> dict[str, Tensor]:
    images = IMAGES.clone().requires_grad_()
    logits = net(images)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    if isinstance(net, AlexNetOnTwoDevices):
        gradients = net.joined(gradients)
    return {"logits": logits, "images": images.grad, **gradients}


@pytest.mark.parametrize("variant", CUT.values(), ids=CUT)
@pytest.mark.parametrize(
    ("training", "dropout", "bottleneck"),
    [(True, 0.0, 0), (False, 0.5, 0), (True, 0.0, 10)],
    ids=["training", "testing", "bottleneck"],
)
def test_logits_and_all_gradients_are_those_of_one_device(
    variant: AlexNetArchitecture, training: bool, dropout: float, bottleneck: int
) -> None:
    nets = whole_and_cut(variant, dropout, bottleneck)
    wanted, found = (outputs_and_gradients(net.train(training)) for net in nets)
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert tensor.abs().sum() > 0, name
        torch.testing.assert_close(
            found[name], tensor, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("variant", CUT.values(), ids=CUT)
def test_weights_are_saved_and_loaded_unchanged(variant: AlexNetArchitecture) -> None:
    net, cut = whole_and_cut(variant)
    wanted, found = net.state_dict(), cut.state_dict()
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].stride() == tensor.stride(), name
    other = {name: tensor + 1 for name, tensor in wanted.items()}
    cut.load_state_dict(other)
    net.load_state_dict(cut.state_dict())
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in other.items())


def test_each_tower_has_half_of_every_layer() -> None:
    with torch.device("meta"):
        cut = AlexNetOnTwoDevices(AlexNet("2012", num_classes=7, crop=64), 2 * [torch.device("meta")])
    shapes = {name: tuple(parameter.shape) for name, parameter in cut.named_parameters()}
    for tower in ("towers.0", "towers.1"):
        assert shapes[f"{tower}.conv1.weight"] == (48, 3, 11, 11)
        assert shapes[f"{tower}.conv2.weight"] == (128, 48, 5, 5)
        assert shapes[f"{tower}.conv3.weight"] == (192, 256, 3, 3)
        assert shapes[f"{tower}.fc7.weight"] == (2048, 4096)
        assert shapes[f"{tower}.fc8.weight"] == (7, 2048)
    assert "towers.1.fc8.bias" not in shapes


def test_it_shares_no_memory_with_the_original_model_nor_with_its_copies() -> None:
    net, cut = whole_and_cut(NARROW["2012"])
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    twin, given, one = copy.deepcopy(cut), cut.state_dict(), cut.on_one_device()
    for parameter in cut.parameters():
        parameter.data.zero_()
    for state in (net.state_dict(), twin.state_dict(), given, one.state_dict()):
        assert all(torch.equal(state[name], tensor) for name, tensor in before.items())


def test_a_part_of_the_weights_is_refused_and_named() -> None:
    net, cut = whole_and_cut(NARROW["2012"])
    weights = net.state_dict()
    del weights["conv3.bias"]
    with pytest.raises(RuntimeError, match=r"towers\.1\.conv3\.bias"):
        cut.load_state_dict(weights)


def test_it_is_used_as_the_model_on_one_device() -> None:
    net, cut = whole_and_cut(NARROW["2012"], dropout=0.5)
    assert (cut.crop, cut.num_classes, cut.layer_names) == (net.crop, net.num_classes, net.layer_names)
    with torch.no_grad():
        wanted, found = net.eval().activations(IMAGES), cut.eval().activations(IMAGES)
    assert tuple(found) == cut.layer_names
    for name, maps in wanted.items():
        torch.testing.assert_close(found[name], maps)
    with pytest.raises(CommandError, match="batch dimension"):
        cut(IMAGES[0])


def test_dropout_silences_other_units_in_each_tower() -> None:
    _, cut = whole_and_cut(NARROW["2012"], dropout=0.5)
    ones = torch.ones(1, 256)
    masks = [tower.after["fc6"].get_submodule("dropout").train()(ones) for tower in cut.towers]
    assert not torch.equal(*masks)


@pytest.mark.parametrize("variant", ["caffe", "caffenet", "modern", "one-weird-trick"])
def test_what_has_no_two_towers_is_refused_in_one_line(variant: str) -> None:
    with torch.device("meta"):
        net = AlexNet(variant, num_classes=7, crop=64)
    with pytest.raises(CommandError, match=r"model\.variant=2012 or paper.*leave model\.tower_devices empty"):
        AlexNetOnTwoDevices(net, CPUS)


def test_a_layer_of_an_odd_number_of_units_is_refused() -> None:
    net = AlexNet(replace(ALEXNET_VARIANTS["2012"], widths=WIDTHS, bottleneck=5), num_classes=7, crop=64)
    with pytest.raises(CommandError, match="bottleneck has 5"):
        AlexNetOnTwoDevices(net, CPUS)
    with pytest.raises(CommandError, match="two towers"):
        AlexNetOnTwoDevices(nn.Linear(2, 2), CPUS)


def test_conv2_reads_its_own_tower_and_conv3_reads_both() -> None:
    """Paper, section 3.5."""
    net = AlexNet(NARROW["2012"], num_classes=7, crop=64)
    for layer, own in (("conv2", True), ("conv3", False), ("conv4", True), ("conv5", True)):
        convolution = getattr(net, layer)
        maps = torch.randn(1, convolution.in_channels, 5, 5)
        changed = maps.clone()
        changed[:, convolution.in_channels // 2 :] += 1  # the second tower
        first, second = (
            torch.equal(before, after)
            for before, after in zip(
                convolution(maps).chunk(2, dim=1), convolution(changed).chunk(2, dim=1), strict=True
            )
        )
        assert (first, second) == (own, False), layer

"""Dropout in both forms, initialization, the fully connected layer and the first convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet.errors import CommandError
from alexnet.models.layers import init, linear
from alexnet.models.layers.convolution import AsymmetricPadConv2d
from alexnet.models.layers.dropout import MaskDropout
from alexnet.models.layers.linear import FullyConnected, slide


def test_mask_dropout_only_masks_in_training():
    torch.manual_seed(0)
    dropped = MaskDropout(0.3)(torch.full((200, 500), 3.0))
    assert set(dropped.unique().tolist()) == {0.0, 3.0}  # never scaled up
    assert (dropped == 0).float().mean() == pytest.approx(0.3, abs=0.01)


def test_mask_dropout_scales_in_evaluation():
    assert torch.equal(MaskDropout(0.3).eval()(torch.ones(3)), torch.full((3,), 0.7))


def test_both_forms_of_dropout_agree_up_to_the_scale_of_the_next_layer():
    units = torch.randn(50, 40)
    mask, inverted = MaskDropout(0.5), nn.Dropout(0.5)
    torch.manual_seed(1)
    masked = mask(units)
    torch.manual_seed(1)
    torch.testing.assert_close(masked, inverted(units) * 0.5)
    torch.testing.assert_close(mask.eval()(units), inverted.eval()(units) * 0.5)


def test_the_gradient_passes_only_where_the_mask_is_one():
    torch.manual_seed(2)
    units = torch.ones(4, 100, requires_grad=True)
    dropped = MaskDropout()(units)
    dropped.sum().backward()
    assert torch.equal(units.grad, dropped.detach())


def test_gaussian_and_constant_bias():
    layer = nn.Linear(500, 400)
    init.gaussian(layer, 0.03, 1.0)
    assert layer.weight.std().item() == pytest.approx(0.03, rel=0.02)
    assert abs(layer.weight.mean().item()) < 3e-4
    assert (layer.bias == 1).all()


def test_kaiming_deviation():
    layer = nn.Conv2d(64, 300, 3, bias=False)
    init.kaiming(layer)
    assert layer.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.fixture
def convolved(monkeypatch):
    """The convolution in place of the matrix product, whatever this processor is."""
    monkeypatch.setattr(linear, "convolution_is_faster", lambda: True)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(16, 70, 48), (33, 64, 64), (130, 5, 16)])
def test_fully_connected_equals_linear(convolved, shape, bias):
    count, inputs, outputs = shape
    layer, plain = FullyConnected(inputs, outputs, bias), nn.Linear(inputs, outputs, bias)
    plain.load_state_dict(layer.state_dict())
    found = torch.randn(count, inputs, requires_grad=True)
    wanted = found.detach().clone().requires_grad_()
    outer = torch.randn(count, outputs)
    layer(found).backward(outer)
    plain(wanted).backward(outer)
    torch.testing.assert_close(layer(found), plain(wanted), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-4, atol=1e-5)
    for mine, other in zip(layer.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-5)
        assert mine.grad.is_contiguous()


def test_fully_connected_is_linear_for_few_rows_other_types_and_under_autocast(convolved, monkeypatch):
    monkeypatch.setattr(linear._Product, "apply", lambda *anything: pytest.fail("convolved"))
    layer = FullyConnected(8, 32)
    assert layer(torch.randn(3, 8)).shape == (3, 32)
    assert FullyConnected(8, 10)(torch.randn(64, 8)).shape == (64, 10)
    assert layer.double()(torch.randn(64, 8, dtype=torch.float64)).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert FullyConnected(8, 32)(torch.randn(64, 8)).dtype == torch.bfloat16


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_slid_layer_gives_each_part_what_the_layer_gives_alone(layout, side, bias):
    layer = FullyConnected(4 * side * side, 5, bias).double()
    maps = torch.randn(2, 4, 6, 7, dtype=torch.float64).to(memory_format=layout)
    found = slide(layer, maps, side)
    assert found.shape == (2, 5, 6 - side + 1, 7 - side + 1)
    for y in range(found.shape[2]):
        for x in range(found.shape[3]):
            part = maps[:, :, y : y + side, x : x + side]
            torch.testing.assert_close(found[:, :, y, x], layer(nn.Flatten()(part)))


def test_a_layer_slides_over_maps_it_can_read_only():
    layer = FullyConnected(4 * 9, 5)
    with pytest.raises(CommandError, match="maps of 2 x 6 are smaller than the 3 x 3"):
        slide(layer, torch.randn(1, 4, 2, 6), 3)
    with pytest.raises(CommandError, match="maps of 3 channels: a layer of 36 inputs reads 4 at 3 x 3"):
        slide(layer, torch.randn(1, 3, 6, 6), 3)


@pytest.mark.parametrize(("side", "maps_side"), [(224, 55), (227, 55), (64, 15), (112, 27), (67, 15)])
def test_the_first_convolution_pads_at_the_right_and_bottom_only(side, maps_side):
    layer = AsymmetricPadConv2d(3, 2, 11, stride=4)
    images = torch.randn(2, 3, side, side)
    border = 11 + 4 * (maps_side - 1) - side
    padded = nn.functional.pad(images, (0, border, 0, border))
    wanted = nn.functional.conv2d(padded, layer.weight, layer.bias, 4)
    assert wanted.shape[-1] == maps_side
    torch.testing.assert_close(layer(images), wanted)


@pytest.mark.parametrize("autocast", [False, True])
def test_the_first_convolution_keeps_the_image_and_not_its_larger_copy(autocast):
    layer = AsymmetricPadConv2d(3, 4, 11, stride=4)
    images = torch.randn(2, 3, 64, 64, requires_grad=True)
    found, other = [], images.detach().clone().requires_grad_()
    for inputs, run in ((images, layer), (other, lambda a: nn.Conv2d.forward(layer, layer._padded(a)))):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            run(inputs).float().square().sum().backward()
        found.append((inputs.grad, layer.weight.grad, layer.bias.grad))
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain)


def test_images_changed_before_the_gradient_are_noticed():
    layer, images = AsymmetricPadConv2d(3, 4, 11, stride=4), torch.randn(2, 3, 64, 64)
    maps = layer(images)
    images.mul_(2)
    with pytest.raises(RuntimeError, match="images were changed"):
        maps.sum().backward()

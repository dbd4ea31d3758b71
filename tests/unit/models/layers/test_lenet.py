"""The layers of the LeNets: comparison with references, gradients, initial weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import lenet as reference
from torch import nn
from torch.nn import functional

from alexnet.models.config import C3_READS
from alexnet.models.layers.lenet import PartialConv2d, RadialBasis, ScaledTanh, Subsampling, every

TABLE = ((0, 2), (1,), (0, 1, 2))


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_s2_adds_four_values_and_scales_them_once() -> None:
    torch.manual_seed(0)
    layer, maps = Subsampling(6).double(), noise(1, 6, 28, 28)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = reference.s2(maps[0].detach().numpy(), weight, bias)
    np.testing.assert_allclose(layer(maps)[0].detach().numpy(), expected, atol=1e-12)


def test_c3_reads_the_maps_of_table_1() -> None:
    torch.manual_seed(1)
    layer, maps = PartialConv2d(6, C3_READS, 5).double(), noise(1, 6, 14, 14)
    weights = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = reference.c3(maps[0].detach().numpy(), *weights)
    np.testing.assert_allclose(layer(maps)[0].detach().numpy(), expected, atol=1e-12)


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 2), st.integers(0, 1000))
def test_with_all_pairs_it_is_the_usual_convolution(
    inputs: int, outputs: int, stride: int, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = PartialConv2d(inputs, every(inputs, outputs), 3, stride).double()
    maps = noise(2, inputs, 7, 7)
    kernels = layer.weight.view(outputs, inputs, 3, 3)
    torch.testing.assert_close(layer(maps), functional.conv2d(maps, kernels, layer.bias, stride))


@pytest.mark.parametrize("unit_biases", [0, 3])
def test_gradients(unit_biases: int) -> None:
    torch.manual_seed(2)
    partial = PartialConv2d(3, TABLE, 3, stride=2, unit_biases=unit_biases).double()
    assert torch.autograd.gradcheck(
        lambda maps, *_: partial(maps), (noise(1, 3, 7, 7), *partial.parameters())
    )
    codes = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]], dtype=torch.float64)
    for layer, inputs in (
        (Subsampling(2).double(), noise(1, 2, 4, 4)),
        (ScaledTanh(), noise(2, 3)),
        (RadialBasis(codes), noise(2, 3)),
    ):
        assert torch.autograd.gradcheck(
            lambda values, *_, of=layer: of(values), (inputs, *layer.parameters())
        )


def test_a_unit_bias_moves_its_own_unit_only() -> None:
    layer = PartialConv2d(3, TABLE, 3, unit_biases=5)
    maps = torch.randn(1, 3, 7, 7)
    before = layer(maps).detach()
    layer.bias.data[1, 2, 3] += 1
    changed = (layer(maps).detach() - before).nonzero().tolist()
    assert changed == [[0, 1, 2, 3]]


def test_first_weights_are_uniform_within_2_4_over_the_inputs_of_their_unit() -> None:
    torch.manual_seed(3)
    layer = PartialConv2d(6, 100 * C3_READS, 5)
    starts = np.cumsum([0, *(len(columns) for columns in layer.table)])
    for inputs in (3, 4, 6):
        rows = [i for i, columns in enumerate(layer.table) if len(columns) == inputs]
        weights = torch.cat([layer.weight[starts[i] : starts[i + 1]].flatten() for i in rows])
        _is_uniform(weights, 2.4 / (25 * inputs))
        _is_uniform(layer.bias[rows], 2.4 / (25 * inputs))
    _is_uniform(Subsampling(10_000).weight, 0.6)


def _is_uniform(values: torch.Tensor, bound: float) -> None:
    assert bound * 0.9 < values.abs().max().item() <= bound
    assert values.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_the_squashing_function_keeps_1_and_minus_1() -> None:
    found = ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0, 100.0]))
    assert found.tolist() == pytest.approx([-1, 0, 1, 1.7159], abs=1e-4)


def test_radial_basis_is_minus_the_squared_distance() -> None:
    layer: nn.Module = RadialBasis(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
    assert layer(torch.tensor([[1.0, -1.0], [0.0, 2.0]])).tolist() == [[0, -4], [-10, -2]]
    assert not list(layer.parameters())

"""Rectify, normalize and pool in one kernel: the same as step by step, in both directions."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from alexnet.models.layers import fused_kernel
from alexnet.models.layers.fused_block import FusedBlock
from alexnet.models.layers.local_response_norm import LocalResponseNorm, SpatialResponseNorm

BLOCKS = {
    "2012, layer 1": [LocalResponseNorm(alpha=0.01, groups=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.ReLU()],
    "2012, layer 2": [
        *(nn.ReLU(), LocalResponseNorm(alpha=0.01, groups=2)),
        *(SpatialResponseNorm(alpha=0.01), nn.MaxPool2d(3, 2, ceil_mode=True)),
    ],
    "caffenet": [nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), LocalResponseNorm(alpha=0.01, k=1.0)],
    "one weird trick": [nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=False)],
    "without overlap": [nn.ReLU(), nn.MaxPool2d(2, 2, ceil_mode=True)],
}


def step_by_step(steps: list[nn.Module], maps: Tensor) -> Tensor:
    for step in steps:
        if isinstance(step, nn.MaxPool2d):
            maps = nn.functional.max_pool2d(maps, step.kernel_size, step.stride, ceil_mode=step.ceil_mode)
        else:
            maps = step(maps.clone())
    return maps


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize(("height", "width"), [(13, 13), (12, 9), (27, 14)])
def test_one_kernel_equals_the_steps(name: str, height: int, width: int) -> None:
    torch.manual_seed(0)
    steps = BLOCKS[name]
    block = FusedBlock(OrderedDict((str(i), step) for i, step in enumerate(steps)))
    maps = 5 * torch.randn(3, 32, height, width)
    fused, plain = (
        maps.clone().contiguous(memory_format=torch.channels_last).requires_grad_() for _ in range(2)
    )
    result, wanted = block(fused * 1), step_by_step(steps, plain * 1)
    torch.testing.assert_close(result, wanted, rtol=1e-5, atol=1e-5)
    gradient = torch.randn_like(wanted)
    result.backward(gradient)
    wanted.backward(gradient)
    torch.testing.assert_close(fused.grad, plain.grad, rtol=1e-4, atol=1e-5)


def test_bfloat16_equals_float32_up_to_its_precision() -> None:
    torch.manual_seed(1)
    block = FusedBlock(OrderedDict((str(i), step) for i, step in enumerate(BLOCKS["2012, layer 2"])))
    maps = 5 * torch.randn(2, 32, 13, 13)
    half = block(maps.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), block(maps.bfloat16().float()), rtol=0.01, atol=0.01)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    torch.manual_seed(2)
    block = FusedBlock(OrderedDict((str(i), step) for i, step in enumerate(BLOCKS["2012, layer 2"])))
    maps = 5 * torch.randn(5, 32, 13, 13)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = block(maps.clone())
        torch.set_num_threads(3)
        assert torch.equal(one, block(maps.clone()))
    finally:
        torch.set_num_threads(before)


def test_equal_values_and_nan_are_chosen_as_torch_chooses() -> None:
    generator = torch.Generator().manual_seed(3)
    maps = torch.randint(-1, 2, (4, 8, 9, 9), generator=generator).float()
    maps[0, 0, 4, 4] = float("nan")
    fused, plain = (maps.clone().requires_grad_() for _ in range(2))
    result = FusedBlock(OrderedDict(pool=nn.MaxPool2d(3, 2, ceil_mode=True)))(fused)
    wanted = nn.functional.max_pool2d(plain, 3, 2, ceil_mode=True)
    torch.testing.assert_close(result, wanted, rtol=0, atol=0, equal_nan=True)
    gradient = torch.randn_like(wanted)
    result.backward(gradient)
    wanted.backward(gradient)
    torch.testing.assert_close(fused.grad, plain.grad)


@pytest.mark.parametrize(
    ("steps", "fused"),
    [
        ([nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)], [False, True]),
        (
            [LocalResponseNorm(beta=0.6), nn.MaxPool2d(3, 2, ceil_mode=True)],
            [True],
        ),  # planned, but no exponent of the kernel's
        ([nn.Tanh(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Tanh()], [False, True, False]),
        ([nn.ReLU()], [False]),
    ],
)
def test_what_the_kernel_cannot_do_is_done_step_by_step(steps: list[nn.Module], fused: list[bool]) -> None:
    torch.manual_seed(4)
    block = FusedBlock(OrderedDict((str(i), step) for i, step in enumerate(steps))).eval()
    assert [plan is not None for _, plan in block._parts] == fused
    maps = 5 * torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(block(maps.clone()), step_by_step(steps, maps), rtol=1e-5, atol=1e-5)


def test_without_a_gradient_no_choices_are_kept() -> None:
    maps = torch.randn(2, 8, 9, 9)
    plan = FusedBlock(OrderedDict(pool=nn.MaxPool2d(3, 2, ceil_mode=True)))._parts[0][1]
    assert plan is not None
    assert fused_kernel.fused_forward(maps, plan)[1] is None
    chosen = fused_kernel.fused_forward(maps, plan, choices=True)[1]
    assert chosen is not None
    assert chosen.dtype == torch.uint8


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 4), st.booleans())
def test_pooled_sides_are_those_of_torch(side: int, size: int, stride: int, ceil_mode: bool) -> None:
    wanted = fused_kernel.PoolParams(size, stride, ceil_mode).side(side)
    pool = nn.MaxPool2d(size, stride, ceil_mode=ceil_mode)
    if wanted >= 1:
        assert pool(torch.zeros(1, 1, side, side)).shape[-1] == wanted
    else:
        with pytest.raises(RuntimeError, match="too small"):
            pool(torch.zeros(1, 1, side, side))

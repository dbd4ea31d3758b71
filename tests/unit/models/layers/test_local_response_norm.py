"""Response normalization: every implementation against loops, exact gradients, precision, layout."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.response_norm import across_maps, within_map
from torch import Tensor, nn

from alexnet.models.layers import fused_kernel
from alexnet.models.layers.fused_kernel import FusedSteps, LrnParams
from alexnet.models.layers.local_response_norm import (
    LocalResponseNorm,
    SpatialResponseNorm,
    closed_form,
    response_norm,
)

windows = st.builds(
    LrnParams,
    size=st.integers(1, 7),
    alpha=st.floats(1e-5, 0.5),
    beta=st.sampled_from([0.75, 0.5, 1.0]),
    k=st.floats(0.5, 3),
    groups=st.integers(1, 3),
)
spatial_windows = st.builds(
    LrnParams,
    size=st.sampled_from([1, 3, 5]),
    alpha=st.floats(1e-5, 0.5),
    beta=st.sampled_from([0.75, 0.5]),
    k=st.floats(0.5, 3),
    within_map=st.just(True),
)


def twin(maps: Tensor, window: LrnParams) -> Tensor:
    if window.within_map:
        return within_map(maps, window.size, window.alpha, window.beta, window.k)
    return across_maps(maps, window.size, window.alpha, window.beta, window.k, window.groups)


def draw(window: LrnParams, seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Maps and a gradient for them, (2, 4 * groups, 6, 5)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 4 * window.groups, 6, 5)
    maps, gradient = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return (3 * maps).to(dtype), gradient.to(dtype)


def twin_gradient(maps: Tensor, gradient: Tensor, window: LrnParams) -> Tensor:
    exact = maps.detach().double().requires_grad_()
    twin(exact, window).backward(gradient.double())
    assert exact.grad is not None
    return exact.grad


@settings(max_examples=60)
@given(windows | spatial_windows, st.integers(0, 1000), st.booleans())
def test_layer_equals_the_loops_in_both_directions(window: LrnParams, seed: int, last: bool) -> None:
    maps, gradient = draw(window, seed, torch.float32)
    layout = torch.channels_last if last else torch.contiguous_format
    own = maps.contiguous(memory_format=layout).requires_grad_()
    result = response_norm(own, window)
    result.backward(gradient)
    assert result.is_contiguous(memory_format=layout)
    torch.testing.assert_close(result.double(), twin(maps.double(), window), rtol=1e-5, atol=1e-5)
    assert own.grad is not None
    torch.testing.assert_close(own.grad.double(), twin_gradient(maps, gradient, window), rtol=1e-4, atol=1e-5)


@settings(max_examples=40)
@given(windows | spatial_windows, st.integers(0, 1000))
def test_the_closed_form_equals_the_loops(window: LrnParams, seed: int) -> None:
    maps, gradient = draw(window, seed, torch.float64)
    own = maps.requires_grad_()
    result = closed_form(own, window)
    torch.testing.assert_close(result, twin(maps, window))
    result.backward(gradient)
    torch.testing.assert_close(own.grad, twin_gradient(maps, gradient, window))


@settings(max_examples=40)
@given(windows.filter(lambda window: window.beta == 0.75), st.integers(0, 1000))
def test_the_kernel_equals_the_loops(window: LrnParams, seed: int) -> None:
    maps, gradient = draw(window, seed, torch.float32)
    plan = FusedSteps(lrn=window)
    assert fused_kernel.supports(maps, plan)
    result, _ = fused_kernel.fused_forward(maps, plan)
    torch.testing.assert_close(result.double(), twin(maps.double(), window), rtol=1e-5, atol=1e-5)
    found = fused_kernel.fused_backward(maps, gradient, plan, None).double()
    torch.testing.assert_close(found, twin_gradient(maps, gradient, window), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_mean_convention_is_torchs(size: int) -> None:
    maps = 20 * torch.randn(2, 12, 5, 5)
    ours = LocalResponseNorm(size, alpha=0.01, beta=0.75, k=2.0)(maps)
    theirs = nn.LocalResponseNorm(size, alpha=0.01, beta=0.75, k=2.0)(maps)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_sum_convention_is_the_mean_convention_of_a_larger_alpha() -> None:
    maps = 20 * torch.randn(2, 12, 5, 5)
    literal = LocalResponseNorm(5, alpha=1e-4, alpha_convention="sum")(maps)
    torch.testing.assert_close(literal, LocalResponseNorm(5, alpha=5e-4)(maps))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_sum_convention_is_the_papers_formula_from_i_minus_half_n_to_i_plus_half_n(n: int) -> None:
    """Section 3.3: with an even n, n + 1 maps are summed."""
    maps = 20 * torch.randn(2, 12, 3, 3, dtype=torch.float64)
    wanted = torch.empty_like(maps)
    for i in range(12):
        window = maps[:, max(0, i - n // 2) : min(11, i + n // 2) + 1]
        wanted[:, i] = maps[:, i] / (2 + 1e-2 * (window**2).sum(1)) ** 0.75
    found = LocalResponseNorm(n, alpha=1e-2, alpha_convention="sum")(maps)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def test_towers_do_not_see_each_other() -> None:
    maps = 20 * torch.randn(1, 8, 3, 3)
    norm = LocalResponseNorm(alpha=0.1, groups=2)
    changed = maps.clone()
    changed[:, 4:] *= 10
    torch.testing.assert_close(norm(maps)[:, :4], norm(changed)[:, :4])
    apart = torch.cat([LocalResponseNorm(alpha=0.1)(half) for half in maps.chunk(2, 1)], 1)
    torch.testing.assert_close(norm(maps), apart)


def test_gradients_are_exact_to_double_precision() -> None:
    maps = torch.randn(1, 6, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LocalResponseNorm(alpha=0.3, groups=2), maps)
    assert torch.autograd.gradcheck(SpatialResponseNorm(alpha=0.3, size=3), maps)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("norm", [LocalResponseNorm(), SpatialResponseNorm()])
def test_half_precision_does_not_overflow(norm: nn.Module, dtype: torch.dtype) -> None:
    maps = torch.full((1, 8, 4, 4), 3000.0, dtype=dtype)  # squares far above float16's 65,504
    with torch.autocast("cpu", torch.bfloat16):
        result = norm(maps)
    assert result.dtype == dtype
    assert result.isfinite().all()
    torch.testing.assert_close(result.float(), norm(maps.float()), rtol=0.01, atol=0.01)


def test_nothing_but_the_input_is_kept_for_the_gradient() -> None:
    kept: list[Tensor] = []
    maps = torch.randn(2, 8, 5, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        LocalResponseNorm()(maps)
    assert [tensor.data_ptr() for tensor in kept] == [maps.data_ptr()]


def test_a_nan_remains_a_nan() -> None:
    maps = torch.randn(1, 8, 4, 4)
    maps[0, 3, 1, 1] = float("nan")
    assert LocalResponseNorm()(maps)[0, 3, 1, 1].isnan()


def test_a_nan_spreads_over_its_window_only() -> None:
    maps = torch.randn(1, 12, 3, 3)
    maps[0, 5, 1, 1] = float("nan")
    assert LocalResponseNorm()(maps)[0, :, 1, 1].isnan().nonzero().flatten().tolist() == [3, 4, 5, 6, 7]
    assert LocalResponseNorm()(maps).isnan().sum() == 5


@pytest.mark.parametrize("norm", [LocalResponseNorm(), SpatialResponseNorm(), LocalResponseNorm(beta=0.6)])
def test_an_empty_batch_gives_an_empty_one(norm: nn.Module) -> None:
    maps = torch.empty(0, 8, 3, 3, requires_grad=True)
    norm(maps).sum().backward()
    assert maps.grad is not None
    assert maps.grad.shape == (0, 8, 3, 3)

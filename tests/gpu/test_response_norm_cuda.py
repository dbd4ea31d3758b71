"""Response normalization on a GPU against the CPU's double precision."""

from __future__ import annotations

import pytest
import torch

from alexnet.models.layers.fused_kernel import LrnParams
from alexnet.models.layers.local_response_norm import response_norm

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize(
    "window",
    [
        LrnParams(5, 2e-5, 0.75, 2, groups=2),
        LrnParams(4, 0.1, 0.75, 1),
        LrnParams(5, 0.1, 0.5, 1, groups=2),
        LrnParams(5, 4e-5, 0.75, 1, within_map=True),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_both_directions_equal_the_cpus(window: LrnParams, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    shape = (3, 96, 13, 11)
    maps, gradient = (30 * torch.randn(shape, device="cuda").to(dtype) for _ in range(2))
    own = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
    exact = maps.cpu().double().requires_grad_()
    result, wanted = response_norm(own, window), response_norm(exact, window)
    result.backward(gradient)
    wanted.backward(gradient.cpu().double())
    torch.testing.assert_close(result.cpu().double(), wanted, rtol=tolerance, atol=tolerance)
    assert own.grad is not None
    torch.testing.assert_close(own.grad.cpu().double(), exact.grad, rtol=10 * tolerance, atol=30 * tolerance)

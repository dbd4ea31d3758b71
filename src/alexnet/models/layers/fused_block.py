"""The steps after a layer - ReLU, normalization, pooling, ... - fused into one kernel where possible."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, cast

import torch
from torch import fx, nn
from torch.autograd.function import once_differentiable

from alexnet.models.layers import fused_kernel
from alexnet.models.layers.fused_kernel import FusedSteps, PoolParams
from alexnet.models.layers.local_response_norm import LocalResponseNorm, SpatialResponseNorm


class FusedBlock(nn.Sequential):
    """Named steps, one after the other.

    On a CPU with a C++ compiler, the steps around a max pooling run as one kernel, with the same result up to
    rounding; forward hooks of these steps are then not called.
    """

    def __init__(self, steps: OrderedDict[str, nn.Module]):
        super().__init__(steps)
        self._parts = _fuse(list(steps.values()))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The result of the last step; input and result are (N, C, H, W) or (N, units)."""
        hidden = input
        for steps, fused in self._parts:
            if fused and not _is_traced(hidden) and fused_kernel.supports(hidden, fused):
                hidden = cast(torch.Tensor, _Fused.apply(hidden, fused))
            else:
                for step in steps:
                    hidden = step(hidden)
        return hidden


def _is_traced(hidden: torch.Tensor) -> bool:
    """Whether torch.compile, torch.export or torch.fx is following the steps."""
    return torch.compiler.is_compiling() or isinstance(hidden, fx.Proxy)


def _fuse(steps: list[nn.Module]) -> list[tuple[list[nn.Module], FusedSteps | None]]:
    """The steps in groups: a single step each, or several that the kernel can compute at once."""
    parts: list[tuple[list[nn.Module], FusedSteps | None]] = []
    start = 0
    while start < len(steps):
        count, fused = _longest_fused(steps[start:])
        parts.append((steps[start : start + count], fused))
        start += count
    return parts


def _longest_fused(steps: list[nn.Module]) -> tuple[int, FusedSteps | None]:
    """How many of the first steps the kernel computes at once, and which; 1 and None if it cannot.

    Its order is fixed: ReLU, normalization across maps, within maps, max pooling, ReLU. Only the pooling is
    required.
    """
    rest = list(steps)

    def take(kind: type[nn.Module]) -> Any:
        return rest.pop(0) if rest and isinstance(rest[0], kind) else None

    first, lrn, spatial = take(nn.ReLU), take(LocalResponseNorm), take(SpatialResponseNorm)
    pool, last = take(nn.MaxPool2d), take(nn.ReLU)
    if pool is None:
        return 1, None
    fused = FusedSteps(
        relu_first=first is not None,
        lrn=lrn.params if lrn else None,
        spatial_lrn=spatial.params if spatial else None,
        pool=PoolParams(pool.kernel_size, pool.stride, pool.ceil_mode),
        relu_last=last is not None,
    )
    return len(steps) - len(rest), fused


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor, steps: FusedSteps) -> torch.Tensor:
        result, chosen = fused_kernel.fused_forward(maps, steps, choices=ctx.needs_input_grad[0])
        ctx.save_for_backward(maps, chosen)
        ctx.steps = steps
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        maps, chosen = ctx.saved_tensors
        return fused_kernel.fused_backward(maps, gradient, ctx.steps, chosen), None

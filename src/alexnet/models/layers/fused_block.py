"""What follows a layer - rectify, normalize, pool - as one pass over memory where there is a C++ compiler."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, cast

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from alexnet.models.layers import compiled
from alexnet.models.layers.compiled import Plan, Pool
from alexnet.models.layers.local_response_norm import LocalResponseNorm, SpatialResponseNorm
from alexnet.models.layers.pooling import MaxPool


class Stage(nn.Sequential):
    """Named steps, one after the other.

    On a CPU with a C++ compiler the steps around a pooling run as one kernel, with the same result to
    rounding; there forward hooks on single steps are not called.
    """

    def __init__(self, steps: OrderedDict[str, nn.Module]):
        super().__init__(steps)
        self._parts = _parts(list(steps.values()))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The last step's result: (N, C, H, W) or (N, units) in."""
        hidden = input
        for steps, plan in self._parts:
            if plan and not torch.compiler.is_compiling() and compiled.supports(hidden, plan):
                hidden = cast(torch.Tensor, _Fused.apply(hidden, plan))
            else:
                for step in steps:
                    hidden = step(hidden)
        return hidden


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: torch.Tensor, plan: Plan) -> torch.Tensor:
        result, chosen = compiled.forward(maps, plan, choices=ctx.needs_input_grad[0])
        ctx.save_for_backward(maps, chosen)
        ctx.plan = plan
        return result

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        maps, chosen = ctx.saved_tensors
        return compiled.backward(maps, gradient, ctx.plan, chosen), None


def _parts(steps: list[nn.Module]) -> list[tuple[list[nn.Module], Plan | None]]:
    """The steps in runs; a run with a plan is one the kernel can take at once."""
    parts: list[tuple[list[nn.Module], Plan | None]] = []
    start = 0
    while start < len(steps):
        count, plan = _plan(steps[start:])
        parts.append((steps[start : start + count], plan))
        start += count
    return parts


def _plan(steps: list[nn.Module]) -> tuple[int, Plan | None]:
    """How many of the first steps the kernel takes at once, and its plan; 1 and None where it cannot."""
    rest = list(steps)

    def take(kind: type[nn.Module]) -> Any:
        return rest.pop(0) if rest and isinstance(rest[0], kind) else None

    first, across, within = take(nn.ReLU), take(LocalResponseNorm), take(SpatialResponseNorm)
    pool, last = take(MaxPool), take(nn.ReLU)
    if pool is None:
        return 1, None
    plan = Plan(
        rectify_first=first is not None,
        across=across.window if across else None,
        within=within.window if within else None,
        pool=Pool(pool.size, pool.stride, pool.rounds_up),
        rectify_last=last is not None,
    )
    return len(steps) - len(rest), plan

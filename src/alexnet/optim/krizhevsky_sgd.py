"""The update rule of 2012: SGD with momentum in which the learning rate is part of the velocity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

_fused: Any = getattr(torch.ops.aten, "_fused_sgd_", None)
"""torch's kernel of `torch.optim.SGD(fused=True)`. It is private, so a version of torch may lack it."""


class KrizhevskySGD(torch.optim.Optimizer):
    """v <- momentum * v - weight_decay * lr * w - lr * gradient; w <- w + v.

    `torch.optim.SGD` multiplies its momentum buffer by the current learning rate instead. Both are the same
    while the rate is constant. After a drop of the rate, past gradients keep their old rate here and fade
    out; in `torch.optim.SGD` they get the new rate at once. A group with lr == 0 is not updated at all: there
    is no weight decay, and its velocity does not change. The state of a parameter is its `velocity`. A step
    may leave the gradients scaled: set them to None afterwards.
    Source: paper, section 5; 2012 source release, weights.cu (eps == 0 skips the update).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0005,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of all parameters that have a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group: dict[str, Any]) -> None:
        if group["lr"] == 0:
            return
        ready: list[Tensor] = [weight for weight in group["params"] if weight.grad is not None]
        # The fused kernel accepts the weights of one device at a time.
        for device in dict.fromkeys(weight.device for weight in ready):
            weights = [weight for weight in ready if weight.device == device]
            gradients = [cast(Tensor, weight.grad) for weight in weights]
            velocities = [self._velocity(weight) for weight in weights]
            single = all(weight.dtype == torch.float32 for weight in weights)
            one_pass = _fused is not None and single and device.type in ("cpu", "cuda")
            update = _in_one_pass if one_pass else _in_separate_passes
            update(weights, gradients, velocities, group["lr"], group["momentum"], group["weight_decay"])

    def _velocity(self, weight: Tensor) -> Tensor:
        state = cast("dict[str, Tensor]", self.state[weight])
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        return state["velocity"]


def _in_separate_passes(
    weights: list[Tensor],
    gradients: list[Tensor],
    velocities: list[Tensor],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """Rounds in the order of torch's fused kernel, so that both give the same float32 numbers on a CPU.

    Only the elements after the last whole vector of 16 may differ from the kernel's, by one rounding.
    """
    for weight, gradient, velocity in zip(weights, gradients, velocities, strict=True):
        gradient.div_(-1.0 / learning_rate).add_(weight, alpha=-weight_decay * learning_rate)
        velocity.mul_(momentum).add_(gradient)
        weight.add_(velocity)


def _in_one_pass(
    weights: list[Tensor],
    gradients: list[Tensor],
    velocities: list[Tensor],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """The same with torch's fused kernel for `torch.optim.SGD`, three times as fast.

    The kernel divides the gradient by `grad_scale`, adds `weight_decay` times the weight and `momentum` times
    the buffer, stores the sum in the buffer, and subtracts `lr` times the sum from the weight.
    """
    _fused(
        weights,
        gradients,
        # Without momentum the kernel accepts no buffers.
        velocities if momentum else [],
        weight_decay=-weight_decay * learning_rate,
        momentum=momentum,
        lr=-1.0,
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
        grad_scale=torch.full((), -1.0 / learning_rate, device=weights[0].device),
    )

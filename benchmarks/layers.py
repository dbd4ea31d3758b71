"""Local response normalization compared with torch's, forward and backward, at the size of conv1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from alexnet.models.layers.fused_kernel import LrnParams
from alexnet.models.layers.local_response_norm import LocalResponseNorm, closed_form
from benchmarks.timing import Measurement, median_seconds

SHAPE = (64, 96, 55, 55)
"""(N, C, H, W): conv1 of AlexNet for half a batch."""
PARAMS = LrnParams(5, 1e-4 / 5, 0.75, 2.0)
PEER = "torch.nn.LocalResponseNorm"


def measure(device: torch.device) -> list[Measurement]:
    """Forward and backward passes per second, and the ratio to torch's layer."""
    maps = torch.randn(SHAPE, device=device).contiguous(memory_format=torch.channels_last)
    gradient = torch.randn_like(maps)
    contenders = {
        "ours": _through(LocalResponseNorm(), maps, gradient, device),
        "ours, torch alone": _through(partial(closed_form, params=PARAMS), maps, gradient, device),
        PEER: _through(nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0), maps, gradient, device),
    }
    seconds = median_seconds(contenders)
    where = "CPU" if device.type == "cpu" else torch.cuda.get_device_name(device)
    targets = {"ours": ">= 10", "ours, torch alone": ">= 1.5"}
    return [
        Measurement(
            "layers",
            f"normalization, {name}, forward and backward, {where}",
            1 / seconds[name],
            "passes/s",
            PEER,
            seconds[PEER] / seconds[name],
            target,
        )
        for name, target in targets.items()
    ]


def _through(
    layer: Callable[[Tensor], Tensor], maps: Tensor, gradient: Tensor, device: torch.device
) -> Callable[[], None]:
    def run() -> None:
        own = maps.detach().requires_grad_()
        layer(own).backward(gradient)
        _finish(device)

    return run


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

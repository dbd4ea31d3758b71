"""`--device auto|cpu|cuda|cuda:1`: where the work is done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alexnet.errors import CommandError

if TYPE_CHECKING:
    import torch


def choose_device(name: str = "auto", towers_on: str = "") -> torch.device:
    """The device of that name; `auto` is this process's GPU where there is one, else the CPU.

    Under `torchrun` each process of a machine gets the GPU of its own number, also for `cuda`. With
    `model.towers_on` it is the first of this process's two. CommandError where there is no such device.
    """
    import torch

    from alexnet import distributed

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise CommandError(f"unknown device {name!r}; it must be auto, cpu, cuda or cuda:NUMBER")
    if towers_on:
        return _first_of(towers_on, name)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    number = int(name[5:]) if name[5:] else distributed.local_rank()
    if number >= gpus:
        raise CommandError(f"no device cuda:{number}: torch sees {gpus} GPU(s); type --device cpu or auto")
    return torch.device("cuda", number)


def describe_device(device: torch.device, towers_on: str = "") -> str:
    """In words, for people: `cuda:0 (NVIDIA H200)`, `cpu (2 threads)`; both where the towers are on two."""
    import torch

    if towers_on:
        from alexnet.models.tower_devices import tower_devices

        return " and ".join(map(describe_device, tower_devices(towers_on)))
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def _first_of(towers_on: str, name: str) -> torch.device:
    from alexnet.models.tower_devices import tower_devices

    first, _ = tower_devices(towers_on)
    if name not in ("auto", towers_on.partition(",")[0]):
        raise CommandError(
            f"--device {name} is not the first device of model.towers_on={towers_on}: leave --device out"
        )
    return first

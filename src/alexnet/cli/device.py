"""`--device auto|cpu|cuda|cuda:1`: where the work is done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alexnet.errors import CommandError

if TYPE_CHECKING:
    import torch


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is this process's GPU where there is one, else the CPU.

    Under `torchrun` each process of a machine gets the GPU of its own number, also for `cuda`. CommandError
    where there is no such device.
    """
    import torch

    from alexnet import distributed

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise CommandError(f"unknown device {name!r}; it must be auto, cpu, cuda or cuda:NUMBER")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    number = int(name[5:]) if name[5:] else distributed.local_rank()
    if number >= gpus:
        raise CommandError(f"no device cuda:{number}: torch sees {gpus} GPU(s); type --device cpu or auto")
    return torch.device("cuda", number)


def describe_device(device: torch.device) -> str:
    """In words, for people: `cuda:0 (NVIDIA H200)`, `cpu (2 threads)`."""
    import torch

    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"

"""What this computer offers: its cores, and memory that stays with us."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import CommandError

if TYPE_CHECKING:
    import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""
_NEVER = 2**31 - 1
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""As Linux names what x86 and Arm processors have."""


def cpu_count() -> int:
    """Cores that this process may use; all there are where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it; without them it is many times slower than float32.

    True where the system does not tell.
    """
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return True
    return bool(words & _BFLOAT16_FLAGS) or not words & {"flags", "Features"}


def keep_freed_memory() -> None:
    """Tells glibc to use freed memory again instead of handing it back; does nothing elsewhere.

    torch frees a net's activations at each step and asks for them anew at the next. Handed back, every page
    has to be found and zeroed again, a good part of the time of training on a CPU. For whole commands only:
    it holds for all of the process.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def choose_device(name: str = "auto", tower_devices: str = "") -> torch.device:
    """The device of that name; `auto` is this process's GPU where there is one, else the CPU.

    Under `torchrun` each process of a machine gets the GPU of its own number, also for `cuda`. With
    `model.tower_devices` it is the first of this process's two. CommandError where there is no such device.
    """
    import torch

    from alexnet import distributed

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise CommandError(f"unknown device {name!r}; it must be auto, cpu, cuda or cuda:NUMBER")
    if tower_devices:
        return _first_of(tower_devices, name)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    number = int(name[5:]) if name[5:] else distributed.local_rank()
    if number >= gpus:
        raise CommandError(f"no device cuda:{number}: torch sees {gpus} GPU(s); type --device cpu or auto")
    return torch.device("cuda", number)


def describe_device(device: torch.device, tower_devices: str = "") -> str:
    """In words, for people: `cuda:0 (NVIDIA H200)`, `cpu (2 threads)`; both where the towers are on two."""
    import torch

    if tower_devices:
        from alexnet.models.two_devices import devices_of_towers

        return " and ".join(map(describe_device, devices_of_towers(tower_devices)))
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def _first_of(tower_devices: str, name: str) -> torch.device:
    from alexnet.models.two_devices import devices_of_towers

    first, _ = devices_of_towers(tower_devices)
    if name not in ("auto", tower_devices.partition(",")[0]):
        raise CommandError(
            f"--device {name} is not the first device of "
            f"model.tower_devices={tower_devices}: leave --device out"
        )
    return first

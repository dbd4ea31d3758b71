"""CPU cores, memory and devices of this machine, and the memory allocator of this process."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.errors import CommandError
from alexnet.text import counted

if TYPE_CHECKING:
    import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt` (malloc.h)."""
_NEVER = 2**31 - 1
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""CPU flags of x86 and Arm on Linux."""


def cpu_count() -> int:
    """Number of cores that this process may use; all cores if the affinity is unknown."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """The machine's memory; None if it is unknown, as on Windows."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def multiplies_bfloat16() -> bool:
    """Whether the CPU has bfloat16 instructions; without them it is many times slower than float32.

    True if the flags are unknown.
    """
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return True
    return bool(words & _BFLOAT16_FLAGS) or not words & {"flags", "Features"}


def keep_freed_memory() -> None:
    """Makes glibc reuse freed memory instead of returning it to the system; does nothing on other systems.

    torch frees the activations in each step and allocates them again in the next one. For returned memory
    every page is mapped and zeroed again, a considerable part of the training time on a CPU. Affects the
    whole process, so only commands call it.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)


def choose_device(name: str | torch.device = "auto", tower_devices: str = "") -> torch.device:
    """The device with that name; `auto` is the CUDA GPU of this process if there is one, else the CPU.

    `mps` is the GPU of an Apple computer. A device is returned as it is. Under `torchrun`, `auto` and `cuda`
    are the GPU of the process's local rank. With `model.tower_devices` it is the first of the process's two.
    CommandError if there is no such device.
    """
    import torch

    from alexnet import distributed

    if isinstance(name, torch.device):
        return name
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise CommandError(f"unknown device {name!r}; choose from: auto, cpu, cuda, cuda:1, mps")
    if tower_devices:
        return _first_of(tower_devices, name)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise CommandError("no device mps: torch sees no Apple GPU; type --device cpu or auto")
        return torch.device("mps")
    index = int(name[5:]) if name[5:] else distributed.local_rank()
    if index >= gpus:
        raise CommandError(
            f"no device cuda:{index}: torch sees {counted(gpus, 'GPU')}; type --device cpu or auto"
        )
    return torch.device("cuda", index)


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished its work, as a measurement of time must; a CPU always has."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def describe_device(device: torch.device, tower_devices: str = "") -> str:
    """The device as text: `cuda:0 (NVIDIA H200)`, `cpu (2 threads)`; both if the towers are on two."""
    import torch

    if tower_devices:
        from alexnet.models.two_devices import devices_of_towers

        return " and ".join(map(describe_device, devices_of_towers(tower_devices)))
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return "mps (Apple GPU)" if device.type == "mps" else f"cpu ({torch.get_num_threads()} threads)"


def _first_of(tower_devices: str, name: str) -> torch.device:
    from alexnet.models.two_devices import devices_of_towers

    first, _ = devices_of_towers(tower_devices)
    if name not in ("auto", tower_devices.partition(",")[0]):
        raise CommandError(
            f"--device {name} is not the first device of model.tower_devices={tower_devices}: omit --device"
        )
    return first

"""What this computer offers: its cores, and memory that stays with us."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""
_NEVER = 2**31 - 1
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""As Linux names what x86 and Arm processors have."""


def cores() -> int:
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

"""The memory benchmark counts the process's own memory during the work."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from benchmarks.classic_memory import own_megabytes, peak_megabytes

LARGE = 100
"""MB."""


def numbers() -> None:
    """Allocates LARGE MB for a while."""
    # Not from malloc, which may reuse memory that was freed before.
    taken = np.frombuffer(mmap.mmap(-1, LARGE * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint64)
    taken[:] = 1
    for _ in range(5):
        taken.sum()


def test_only_memory_allocated_during_the_work_is_counted() -> None:
    before = own_megabytes()
    assert peak_megabytes(numbers) > before + 0.9 * LARGE
    assert peak_megabytes(lambda: None) < before + 0.5 * LARGE, "the peak is not the process's"


def test_pages_of_a_mapped_file_are_not_counted(tmp_path: Path) -> None:
    np.ones(LARGE * 2**17, np.uint64).tofile(tmp_path / "large")
    before = own_megabytes()

    def read() -> None:
        np.memmap(tmp_path / "large", np.uint64, "r").sum()

    assert peak_megabytes(read) < before + 0.5 * LARGE

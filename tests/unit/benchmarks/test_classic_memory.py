"""What the benchmark of memory counts: a process's own, while it works."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from benchmarks.classic_memory import most_while, own_megabytes

LARGE = 100
"""MB."""


def numbers() -> None:
    """Takes LARGE for a while."""
    # Not from malloc, which may have kept as much that was freed before.
    taken = np.frombuffer(mmap.mmap(-1, LARGE * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint64)
    taken[:] = 1
    for _ in range(5):
        taken.sum()


def test_what_was_taken_meanwhile_is_counted_and_what_was_before_is_not() -> None:
    before = own_megabytes()
    assert most_while(numbers) > before + 0.9 * LARGE
    assert most_while(lambda: None) < before + 0.5 * LARGE, "the peak is not the process's"


def test_pages_of_a_mapped_file_are_not_counted(tmp_path: Path) -> None:
    np.ones(LARGE * 2**17, np.uint64).tofile(tmp_path / "large")
    before = own_megabytes()

    def read() -> None:
        np.memmap(tmp_path / "large", np.uint64, "r").sum()

    assert most_while(read) < before + 0.5 * LARGE

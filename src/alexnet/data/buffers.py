"""Tensors over recycled memory.

A large new tensor costs more than filling it: the system hands its pages out one by one, and takes them back
when it dies. A batch of 128 inputs of 224 x 224 is 77 MB, and there is one for each step.
"""

from __future__ import annotations

import math
import weakref
from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class BufferPool:
    """Hands out CPU tensors; the memory of one is used again once nothing refers to it any more.

    Views, slices and what autograd keeps all count as references, so a tensor never changes under its holder.
    `allocated_count` is the number of buffers ever allocated.
    """

    def __init__(self) -> None:
        self.allocated_count = 0
        self._free: deque[NDArray[np.uint8]] = deque()

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor with arbitrary contents."""
        size_bytes = math.prod(shape) * dtype.itemsize
        memory = self._memory(size_bytes)
        lent = memory[:size_bytes]  # lives exactly as long as the tensor's storage
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return torch.from_numpy(lent).view(dtype).view(shape)

    def _memory(self, size_bytes: int) -> NDArray[np.uint8]:
        """A free buffer that is large enough, or a new one; free ones that are too small are given up."""
        while self._free:
            memory = self._free.pop()
            if memory.nbytes >= size_bytes:
                return memory
        self.allocated_count += 1
        return np.empty(size_bytes, np.uint8)

"""CPU tensors in recycled memory.

Allocating a large tensor costs more than filling it: the system maps its pages one by one, and unmaps them
when it is freed. A batch of 128 inputs of 224 x 224 is 77 MB, and every step needs one.
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
    """Allocates CPU tensors; the memory of a tensor is reused once nothing refers to it.

    Views, slices and what autograd keeps count as references, so a tensor in use never changes.
    `allocated_count` is the number of buffers ever allocated.
    """

    def __init__(self) -> None:
        self.allocated_count = 0
        self._free: deque[NDArray[np.uint8]] = deque()

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """An uninitialized tensor."""
        size_bytes = math.prod(shape) * dtype.itemsize
        memory = self._memory(size_bytes)
        storage = memory[:size_bytes]  # lives exactly as long as the tensor's storage
        weakref.finalize(storage, self._free.append, memory).atexit = False
        return torch.from_numpy(storage).view(dtype).view(shape)

    def _memory(self, size_bytes: int) -> NDArray[np.uint8]:
        """A free buffer that is large enough, or a new one; free buffers that are too small are released."""
        while self._free:
            memory = self._free.pop()
            if memory.nbytes >= size_bytes:
                return memory
        self.allocated_count += 1
        return np.empty(size_bytes, np.uint8)

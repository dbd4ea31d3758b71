from __future__ import annotations

import torch

from alexnet.data.buffers import BufferPool


def test_memory_is_reused_once_nothing_refers_to_it() -> None:
    pool = BufferPool()
    for step in range(10):
        tensor = pool.take((4, 5), torch.float32).fill_(step)
        del tensor
    assert pool.allocated_count == 1
    held = [pool.take((4, 5), torch.float32).fill_(step) for step in range(3)]
    assert pool.allocated_count == 3
    assert [float(tensor[0, 0]) for tensor in held] == [0, 1, 2]


def test_a_view_keeps_its_memory() -> None:
    pool = BufferPool()
    row = pool.take((4, 5), torch.uint8).fill_(7)[1:2].numpy()
    others = [pool.take((4, 5), torch.uint8).fill_(9) for _ in range(3)]
    assert row.tolist() == [[7] * 5]
    assert len(others) == 3


def test_what_backward_needs_is_kept() -> None:
    pool = BufferPool()
    weights = torch.ones(6, requires_grad=True)
    loss = (pool.take((6,), torch.float32).fill_(2) * weights).sum()
    overwritten = [pool.take((6,), torch.float32).fill_(50) for _ in range(3)]
    loss.backward()
    assert weights.grad is not None and weights.grad.tolist() == [2] * 6
    assert len(overwritten) == 3


def test_a_smaller_batch_fits_into_a_larger_buffer_and_a_larger_one_replaces_it() -> None:
    pool = BufferPool()
    pool.take((100,), torch.uint8)
    assert pool.take((30,), torch.uint8).shape == (30,)
    assert pool.allocated_count == 1
    assert pool.take((25, 2), torch.float32).shape == (25, 2)
    assert pool.take((100,), torch.uint8).shape == (100,)
    assert pool.allocated_count == 2
    assert pool.take((0, 3), torch.uint8).shape == (0, 3)

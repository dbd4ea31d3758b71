from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from alexnet.web.batcher import Batcher


class Work:
    """Squares numbers, keeps the batches, and waits to be let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.go.wait()
        if 13 in items:
            raise ValueError("unlucky")
        return [item * item for item in items]


async def _asked(batcher: Batcher[int, int], work: Work, items: Sequence[int]) -> list[asyncio.Task[int]]:
    """The first is being worked on, the others wait."""
    tasks = [asyncio.create_task(batcher.ask(items[0]))]
    while not work.batches:
        await asyncio.sleep(0)
    tasks += [asyncio.create_task(batcher.ask(item)) for item in items[1:]]
    while len(batcher) < len(items) - 1:
        await asyncio.sleep(0)
    return tasks


def _with_batcher(work: Work, most: int, test: Callable[[Batcher[int, int]], Awaitable[None]]) -> None:
    async def run() -> None:
        try:
            await test(Batcher(work, most, executor))
        finally:
            work.go.set()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(run())


def test_what_comes_meanwhile_is_asked_together_in_order() -> None:
    work = Work()

    async def test(batcher: Batcher[int, int]) -> None:
        tasks = await _asked(batcher, work, range(8))
        work.go.set()
        assert await asyncio.gather(*tasks) == [n * n for n in range(8)]
        assert len(batcher) == 0

    _with_batcher(work, 4, test)
    assert work.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]


def test_nobody_waits_for_a_batch_to_fill() -> None:
    work = Work()
    work.go.set()

    async def test(batcher: Batcher[int, int]) -> None:
        for number in range(3):
            assert await batcher.ask(number) == number * number

    _with_batcher(work, 16, test)
    assert work.batches == [[0], [1], [2]]


def test_a_failure_is_told_to_its_batch_and_to_nobody_else() -> None:
    work = Work()

    async def test(batcher: Batcher[int, int]) -> None:
        tasks = await _asked(batcher, work, [1, 2, 13, 3, 4])
        work.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [found[0], *found[3:]] == [1, 9, 16]
        assert all(isinstance(each, ValueError) for each in found[1:3])
        assert await batcher.ask(5) == 25

    _with_batcher(work, 2, test)


def test_who_has_gone_is_not_worked_for() -> None:
    work = Work()

    async def test(batcher: Batcher[int, int]) -> None:
        tasks = await _asked(batcher, work, [1, 2, 3])
        tasks[1].cancel()
        await asyncio.sleep(0)
        work.go.set()
        assert await tasks[2] == 9
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]

    _with_batcher(work, 4, test)
    assert work.batches == [[1], [3]]

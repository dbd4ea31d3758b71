"""Questions that come at the same time are answered together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Gathers what is asked while `work` is busy, and asks it all at once, first come first served.

    Nobody waits for a batch to fill up: an idle `work` starts with one. Belongs to one event loop.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Iterable[Result]], most: int, executor: Executor
    ) -> None:
        """`work` gives a result per item, in order; it runs in `executor` with `most` items at once."""
        self._work, self._most, self._executor = work, most, executor
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._working: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    async def ask(self, item: Item) -> Result:
        """The item's result; whatever `work` raised is raised by all of its batch."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work_through())
        return await answer

    async def _work_through(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._next_batch())
        finally:
            self._working = None

    def _next_batch(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Those who still want to know, at most `most`; maybe nobody."""
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(batch) < self._most:
            item, answer = self._waiting.popleft()
            if not answer.done():  # its asker has gone
                batch.append((item, answer))
        return batch

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        items = [item for item, _ in batch]
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._executor, self._work, items)
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, results, strict=True):
            if not answer.done():
                answer.set_result(result)

"""Dynamic batching: requests that arrive at the same time share one forward pass."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Batcher(Generic[_Item, _Result]):
    """Collects items while `work` is busy and then processes them in one batch, in order of arrival.

    It never waits for a batch to fill: an idle `work` starts with one item. Belongs to one event loop.
    """

    def __init__(
        self, work: Callable[[Sequence[_Item]], Iterable[_Result]], batch_size: int, executor: Executor
    ) -> None:
        """`work` returns one result per item, in order; it runs in `executor` with at most `batch_size`."""
        self._work, self._batch_size, self._executor = work, batch_size, executor
        self._waiting: deque[tuple[_Item, asyncio.Future[_Result]]] = deque()
        self._working: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """The number of waiting items."""
        return len(self._waiting)

    async def submit(self, item: _Item) -> _Result:
        """The item's result; an exception of `work` is raised for every item of its batch."""
        result: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._working is None:
            self._working = asyncio.create_task(self._process_all())
        return await result

    async def _process_all(self) -> None:
        try:
            while self._waiting:
                await self._process(self._next_batch())
        finally:
            self._working = None

    def _next_batch(self) -> list[tuple[_Item, asyncio.Future[_Result]]]:
        """At most `batch_size` items whose clients still wait; may be empty."""
        batch: list[tuple[_Item, asyncio.Future[_Result]]] = []
        while self._waiting and len(batch) < self._batch_size:
            item, result = self._waiting.popleft()
            if not result.done():  # done: its client has disconnected
                batch.append((item, result))
        return batch

    async def _process(self, batch: list[tuple[_Item, asyncio.Future[_Result]]]) -> None:
        if not batch:
            return
        items = [item for item, _ in batch]
        try:
            values = await asyncio.get_running_loop().run_in_executor(self._executor, self._work, items)
        except Exception as error:
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), value in zip(batch, values, strict=True):
            if not result.done():
                result.set_result(value)

"""Gathers requests that may share a batch and runs them in one thread; it knows nothing about images or HTTP.

The queue is bounded and served in order of arrival. An idle batcher runs what comes at once; a busy one runs what has
gathered meanwhile. Whoever cancels its future before its turn costs nothing, and an item that fails, fails alone.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Q = TypeVar("Q")
R = TypeVar("R")


class QueueFull(asyncio.QueueFull):
    """The queue has no room for the whole request, or is too slow for it; in `retry_after` seconds it should have."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True)
class _Item(Generic[K, Q, R]):
    key: K
    request: Q
    future: asyncio.Future[R]


class Batcher(Generic[K, Q, R]):
    """`run(key, requests) -> results`, called in a thread of its own with requests of one key.

    `sizes` tells the batch sizes, ascending from 1, that `run` is prepared for; what waits is cut to the largest that it fills.
    """

    def __init__(
        self,
        run: Callable[[K, Sequence[Q]], Sequence[R]],
        sizes: Callable[[K], Sequence[int]],
        max_queue: int,
        max_wait_ms: float = 0.0,
    ) -> None:
        self._run = run
        self._sizes, self._max_queue, self._max_wait = sizes, max_queue, max_wait_ms / 1e3
        self._waiting: deque[_Item[K, Q, R]] = deque()
        self._arrival = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._seconds = 0.1  # that a request takes of late, as a part of its batch
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._serve())

    async def close(self) -> None:
        """Finish what was accepted, then stop."""
        self._closing = True
        self._arrival.set()
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    @property
    def depth(self) -> int:
        """How many requests wait, those not counted that run."""
        return len(self._waiting)

    def submit(self, key: K, requests: Sequence[Q], patience: float = math.inf) -> list[asyncio.Future[R]]:
        """Queue `requests`, all or none; one future a request.

        Raises QueueFull, also where at the pace of late they would wait longer than `patience` seconds.
        """
        if not self._has_room(len(requests), patience):
            self._forget_cancelled()
        if not self._has_room(len(requests), patience):
            raise QueueFull(self._retry_after())
        loop = asyncio.get_running_loop()
        items = [_Item(key, request, loop.create_future()) for request in requests]
        self._waiting.extend(items)
        self._arrival.set()
        return [item.future for item in items]

    async def _serve(self) -> None:
        busy = False
        while self._waiting or not self._closing:
            if not self._waiting:
                busy = False
                self._arrival.clear()
                await self._arrival.wait()
            if busy:
                await self._let_fill()
            batch = self._take()
            if batch:
                await self._answer(batch)
            busy = True

    async def _let_fill(self) -> None:
        """Give the clients just answered a moment to ask again, so that batches under load are full ones."""
        deadline = asyncio.get_running_loop().time() + self._max_wait
        while self._waiting and self.depth < self._sizes(self._waiting[0].key)[-1] and not self._closing:
            self._arrival.clear()
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self._arrival.wait(), left)
            except TimeoutError:
                return

    def _take(self) -> list[_Item[K, Q, R]]:
        """The oldest request and those of its key behind it, in order of arrival."""
        self._forget_cancelled()
        if not self._waiting:
            return []
        key = self._waiting[0].key
        alike = [item for item in self._waiting if item.key == key]
        batch = alike[: max(size for size in self._sizes(key) if size <= len(alike))]
        taken = set(map(id, batch))
        self._waiting = deque(item for item in self._waiting if id(item) not in taken)
        return batch

    def _forget_cancelled(self) -> None:
        self._waiting = deque(item for item in self._waiting if not item.future.done())

    async def _answer(self, batch: list[_Item[K, Q, R]]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            results = await self._in_thread(batch)
        except Exception as error:
            await self._answer_alone(batch, error)
            return
        self._seconds += 0.1 * ((loop.time() - start) / len(batch) - self._seconds)
        for item, result in zip(batch, results, strict=True):
            if not item.future.done():
                item.future.set_result(result)

    async def _answer_alone(self, batch: list[_Item[K, Q, R]], error: Exception) -> None:
        """Something in the batch is bad: run each alone, so that only the bad one fails."""
        if len(batch) > 1:
            for item in batch:
                if not item.future.done():
                    await self._answer([item])
        elif not batch[0].future.done():
            batch[0].future.set_exception(error)

    async def _in_thread(self, batch: list[_Item[K, Q, R]]) -> Sequence[R]:
        requests = [item.request for item in batch]
        results = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, batch[0].key, requests)
        assert len(results) == len(batch), "run must give one result a request"
        return results

    def _has_room(self, count: int, patience: float) -> bool:
        return self.depth + count <= self._max_queue and self._expected_wait() <= patience

    def _expected_wait(self) -> float:
        """Seconds until the queue should have emptied, at the pace of late."""
        return self.depth * self._seconds

    def _retry_after(self) -> int:
        """Whole seconds, as the header wants them."""
        return max(1, math.ceil(self._expected_wait()))

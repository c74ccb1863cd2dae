"""Gathers requests that may share a batch, runs them in one thread, finishes them in others; it knows neither images nor HTTP.

The queue is bounded and served in order of arrival. An idle batcher runs what comes at once; a busy one runs what has
gathered meanwhile. Whoever cancels its future before its turn costs nothing, and an item that fails, fails alone. What is
finished more slowly than it is run holds the next batch back, so that all that waits waits in the queue.

The event loop only queues requests and hears of results: the running thread takes its next batch by itself, so however much
the loop has to do, it never waits for it.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Q = TypeVar("Q")
D = TypeVar("D")
R = TypeVar("R")


class QueueFull(asyncio.QueueFull):
    """The queue has no room for the whole request, or is too slow for it; in `retry_after` seconds it should have."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class _Item(Generic[K, Q, R]):
    key: K
    request: Q
    future: asyncio.Future[R]


class Batcher(Generic[K, Q, D, R]):
    """`run(key, requests) -> drafts`, called in a thread of its own with requests of one key; then, while the next batch
    runs, `finish(key, request, draft) -> result` for each of them, in `finishers` threads.

    `sizes` tells the batch sizes, ascending from 1, that `run` is prepared for; what waits is cut to the largest that it fills.
    """

    def __init__(
        self,
        run: Callable[[K, Sequence[Q]], Sequence[D]],
        finish: Callable[[K, Q, D], R],
        sizes: Callable[[K], Sequence[int]],
        max_queue: int,
        max_wait_ms: float = 0.0,
        finishers: int = 1,
    ) -> None:
        self._run, self._finish = run, finish
        self._sizes, self._max_queue, self._max_wait = sizes, max_queue, max_wait_ms / 1e3
        self._waiting: deque[_Item[K, Q, R]] = deque()
        self._arrival = threading.Condition()  # its lock guards the queue
        self._thread = threading.Thread(target=self._serve, name="batch", daemon=True)
        self._finishers, self._parts = ThreadPoolExecutor(finishers, thread_name_prefix="finish"), finishers
        self._unfinished = threading.Semaphore(
            2 * finishers
        )  # parts of batches: for each thread one in work, one ready
        self._seconds = 0.1  # that a request takes of late, as a part of its batch
        self._closing = False

    def start(self) -> None:
        """Begin to serve, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Finish what was accepted, then stop."""
        with self._arrival:
            self._closing = True
            self._arrival.notify()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._finishers.shutdown)  # the loop hears of this behind the last results

    @property
    def depth(self) -> int:
        """How many requests wait, those not counted that run."""
        return len(self._waiting)

    def submit(self, key: K, requests: Sequence[Q], patience: float = math.inf) -> list[asyncio.Future[R]]:
        """Queue `requests`, all or none; one future a request.

        Raises QueueFull, also where at the pace of late they would wait longer than `patience` seconds.
        """
        items = [_Item(key, request, self._loop.create_future()) for request in requests]
        with self._arrival:
            self._check_room(len(items), patience)
            self._waiting.extend(items)
            self._arrival.notify()
        return [item.future for item in items]

    def check_room(self, count: int, patience: float) -> None:
        """Raises QueueFull where `submit` of so many requests would now: before work that only they need."""
        with self._arrival:
            self._check_room(count, patience)

    # In the running thread.

    def _serve(self) -> None:
        while self._waiting or not self._closing:
            if batch := self._next():
                self._run_batch(batch)

    def _next(self) -> list[_Item[K, Q, R]]:
        """Wait for a batch; empty where all that waited has been cancelled."""
        with self._arrival:
            self._forget_cancelled()
            if self._waiting:
                # Clients just answered get a moment to ask again, so that batches under load are full ones.
                self._arrival.wait_for(self._fills_a_batch, self._max_wait)
            else:
                self._arrival.wait_for(lambda: self._waiting or self._closing)
            return self._take()

    def _fills_a_batch(self) -> bool:
        return self._closing or not self._waiting or self.depth >= self._sizes(self._waiting[0].key)[-1]

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
        if any(item.future.done() for item in self._waiting):
            self._waiting = deque(item for item in self._waiting if not item.future.done())

    def _run_batch(self, batch: Sequence[_Item[K, Q, R]]) -> None:
        start = time.perf_counter()
        try:
            drafts = self._run(batch[0].key, [item.request for item in batch])
            assert len(drafts) == len(batch), "run must give one draft a request"
        except Exception as error:
            self._run_alone(batch, error)
            return
        drawn = list(zip(batch, drafts, strict=True))
        for part in range(min(self._parts, len(drawn))):
            self._unfinished.acquire()
            self._finishers.submit(self._finish_part, drawn[part :: self._parts])
        self._seconds += 0.1 * ((time.perf_counter() - start) / len(batch) - self._seconds)

    def _run_alone(self, batch: Sequence[_Item[K, Q, R]], error: Exception) -> None:
        """Something in the batch is bad: run each alone, so that only the bad one fails."""
        if len(batch) == 1:
            self._tell(batch[0].future, error)
            return
        for item in batch:
            if not item.future.done():
                self._run_batch([item])

    # In the finishing threads.

    def _finish_part(self, part: Sequence[tuple[_Item[K, Q, R], D]]) -> None:
        try:
            for item, draft in part:
                if not item.future.done():
                    self._tell(item.future, self._finished(item, draft))
        finally:
            self._unfinished.release()

    def _finished(self, item: _Item[K, Q, R], draft: D) -> R | Exception:
        try:
            return self._finish(item.key, item.request, draft)
        except Exception as error:
            return error

    def _tell(self, future: asyncio.Future[R], result: R | Exception) -> None:
        self._loop.call_soon_threadsafe(_settle, future, result)

    # How long one waits.

    def _check_room(self, count: int, patience: float) -> None:
        if not self._has_room(count, patience):
            self._forget_cancelled()
        if not self._has_room(count, patience):
            raise QueueFull(self._retry_after())

    def _has_room(self, count: int, patience: float) -> bool:
        return self.depth + count <= self._max_queue and self._expected_wait() <= patience

    def _expected_wait(self) -> float:
        """Seconds until the queue should have emptied, at the pace of late."""
        return self.depth * self._seconds

    def _retry_after(self) -> int:
        """Whole seconds, as the header wants them."""
        return max(1, math.ceil(self._expected_wait()))


def _settle(future: asyncio.Future[R], result: R | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)

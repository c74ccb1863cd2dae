"""The batcher, run with plain functions in its thread: order, batch sizes, failures, cancellation, limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batcher import Batcher, QueueFull


class Recorder:
    """Doubles numbers and remembers each batch; a closed gate holds the thread until `open`."""

    def __init__(self, gated: bool = False) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.started, self.gate = threading.Event(), threading.Event()
        if not gated:
            self.gate.set()

    def __call__(self, key: str, requests: Sequence[int]) -> list[int]:
        self.batches.append((key, list(requests)))
        self.started.set()
        assert self.gate.wait(10)
        if any(request < 0 for request in requests):
            raise ValueError("negative")
        return [2 * request for request in requests]


def of(*sizes: int) -> Callable[[str], Sequence[int]]:
    """The same batch sizes for every key."""
    return lambda key: sizes


def plus_nothing(key: str, request: int, draft: int) -> int:
    """Finishes a number as it is."""
    return draft


async def _occupied(run: Recorder, batcher: Batcher[str, int, int, int]) -> asyncio.Future[int]:
    """One request that is inside `run`, so that whatever comes next must wait."""
    (first,) = batcher.submit("a", [0])
    await asyncio.to_thread(run.started.wait, 10)
    return first


async def _started(run: Recorder, batcher: Batcher[str, int, int, int], number: int) -> asyncio.Future[int]:
    """A request that `run` has been given."""
    run.started.clear()
    (future,) = batcher.submit("a", [number])
    await asyncio.to_thread(run.started.wait, 10)
    return future


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def test_idle_runs_at_once_and_alone() -> None:
    async def scenario() -> None:
        run = Recorder()
        batcher = Batcher(
            run, plus_nothing, of(1, 8), max_queue=8, max_wait_ms=10_000
        )  # would time out if an idle one waited
        batcher.start()
        assert await batcher.submit("a", [21])[0] == 42
        await batcher.close()
        assert run.batches == [("a", [21])]

    _run(scenario())


def test_what_gathers_while_busy_shares_batches_of_prepared_sizes_by_key_in_order() -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, of(1, 2, 4), max_queue=64)
        batcher.start()
        first = await _occupied(run, batcher)
        futures = batcher.submit("a", [1, 2, 3]) + batcher.submit("b", [10, 11]) + batcher.submit("a", [4, 5, 6])
        run.gate.set()
        assert await asyncio.gather(first, *futures) == [0, 2, 4, 6, 20, 22, 8, 10, 12]
        await batcher.close()
        assert run.batches == [("a", [0]), ("a", [1, 2, 3, 4]), ("b", [10, 11]), ("a", [5, 6])]

    _run(scenario())


def test_one_bad_item_fails_alone() -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, of(1, 4), max_queue=64)
        batcher.start()
        await _occupied(run, batcher)
        futures = batcher.submit("a", [1, -1, 2, 3])
        run.gate.set()
        results = await asyncio.gather(*futures, return_exceptions=True)
        await batcher.close()
        assert results[0::2] == [2, 4] and results[3] == 6
        assert isinstance(results[1], ValueError)

    _run(scenario())


def test_cancelled_while_waiting_is_never_run() -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, of(1), max_queue=64)
        batcher.start()
        await _occupied(run, batcher)
        gone, stays = batcher.submit("a", [1, 2])
        gone.cancel()
        run.gate.set()
        assert await stays == 4
        await batcher.close()
        assert run.batches == [("a", [0]), ("a", [2])]

    _run(scenario())


def test_full_queue_refuses_the_whole_request_and_the_cancelled_make_room() -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, of(1), max_queue=3)
        batcher.start()
        await _occupied(run, batcher)
        waiting = batcher.submit("a", [1, 2])
        with pytest.raises(QueueFull) as refused:
            batcher.submit("a", [3, 4])
        assert refused.value.retry_after >= 1
        assert batcher.depth == 2
        waiting[0].cancel()
        batcher.submit("a", [3, 4])
        run.gate.set()
        await batcher.close()
        assert [numbers for _, numbers in run.batches] == [[0], [2], [3], [4]]

    _run(scenario())


def test_who_would_wait_too_long_is_refused_at_once() -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, of(1), max_queue=64)  # a batch counts as 0.1 s until it is measured
        batcher.start()
        await _occupied(run, batcher)
        waiting = [batcher.submit("a", [number])[0] for number in range(4)]
        with pytest.raises(QueueFull):
            batcher.submit("a", [4], patience=0.35)
        waiting[1].cancel()
        batcher.submit("a", [5], patience=0.35)
        run.gate.set()
        await batcher.close()
        assert [numbers for _, numbers in run.batches] == [[0], [0], [2], [3], [5]]

    _run(scenario())


def test_a_batch_is_finished_while_the_next_one_runs() -> None:
    async def scenario() -> None:
        second = threading.Event()

        def run(key: str, requests: Sequence[int]) -> Sequence[int]:
            if list(requests) == [2]:
                second.set()
            return requests

        def finish(key: str, request: int, draft: int) -> int:
            assert request == 2 or second.wait(10)
            return 10 * draft

        batcher = Batcher(run, finish, of(1), max_queue=8)
        batcher.start()
        assert await asyncio.gather(*batcher.submit("a", [1, 2])) == [10, 20]
        await batcher.close()

    _run(scenario())


def test_what_is_finished_slowly_waits_in_the_queue_where_it_is_counted() -> None:
    async def scenario() -> None:
        gate = threading.Event()

        def finish(key: str, request: int, draft: int) -> int:
            assert gate.wait(10)
            return draft

        run = Recorder()
        batcher = Batcher(run, finish, of(1), max_queue=3)
        batcher.start()
        futures = [await _started(run, batcher, number) for number in range(3)]  # in work, ready, and one held up
        run.started.clear()
        futures += batcher.submit("a", [3, 4, 5])
        assert not await asyncio.to_thread(run.started.wait, 0.2)  # else they would all be run at once
        with pytest.raises(QueueFull):
            batcher.submit("a", [6])
        gate.set()
        assert await asyncio.gather(*futures) == [0, 2, 4, 6, 8, 10]
        await batcher.close()

    _run(scenario())


def test_what_cannot_be_finished_fails_alone_and_the_cancelled_is_not_finished() -> None:
    async def scenario() -> None:
        finished: list[int] = []

        def finish(key: str, request: int, draft: int) -> int:
            finished.append(request)
            if request == 3:
                raise ValueError("three")
            return draft

        run = Recorder(gated=True)
        batcher = Batcher(run, finish, of(1, 4), max_queue=8, finishers=2)
        batcher.start()
        first = await _occupied(run, batcher)
        futures = batcher.submit("a", [1, 2, 3, 4])
        futures[0].cancel()
        futures += batcher.submit("a", [5])
        first.cancel()
        run.gate.set()
        results = await asyncio.gather(*futures, return_exceptions=True)
        await batcher.close()
        assert [results[1], results[3], results[4]] == [4, 8, 10] and isinstance(results[2], ValueError)
        assert sorted(finished) == [2, 3, 4, 5]

    _run(scenario())


def test_close_finishes_what_was_accepted() -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, of(1), max_queue=8)
        batcher.start()
        await _occupied(run, batcher)
        futures = batcher.submit("a", [1, 2])
        closing = asyncio.ensure_future(batcher.close())
        run.gate.set()
        await closing
        assert [future.result() for future in futures] == [2, 4]

    _run(scenario())


def test_busy_waits_for_the_batch_to_fill() -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, of(1, 2), max_queue=8, max_wait_ms=5_000)
        batcher.start()
        first = await _occupied(run, batcher)
        (second,) = batcher.submit("a", [1])
        run.gate.set()
        await first
        (third,) = batcher.submit("a", [2])
        assert [await second, await third] == [2, 4]
        await batcher.close()
        assert run.batches == [("a", [0]), ("a", [1, 2])]

    _run(scenario())


@settings(max_examples=30, deadline=None)
@given(
    requests=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3, 50)), max_size=20),
    sizes=st.fixed_dictionaries({key: st.sets(st.integers(2, 6), max_size=3) for key in "abc"}),
)
def test_everyone_gets_their_own_answer(requests: list[tuple[str, int]], sizes: dict[str, set[int]]) -> None:
    async def scenario() -> None:
        run = Recorder(gated=True)
        batcher = Batcher(run, plus_nothing, lambda key: [1, *sorted(sizes[key])], max_queue=64)
        batcher.start()
        await _occupied(run, batcher)
        futures = [batcher.submit(key, [number])[0] for key, number in requests]
        run.gate.set()
        results = await asyncio.gather(*futures, return_exceptions=True)
        await batcher.close()
        for (_, number), result in zip(requests, results, strict=True):
            assert isinstance(result, ValueError) if number < 0 else result == 2 * number
        assert all(len(batch) in {1, *sizes[key]} for key, batch in run.batches)

    _run(scenario())

"""Draws and writes for many clients through one batcher, and encodes the images; it knows nothing about HTTP."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from base.errors import BadInput
from models.labels import Input
from runtime.captioner import WHOLE, CaptionGenerator, Cut, WrittenCaption
from runtime.generator import Generator, Request
from runtime.images import encode, fit
from runtime.provenance import of_request, told
from serving import canvas, prometheus
from serving.batcher import Batcher, QueueFull
from serving.order import Order
from serving.refused import Late, Refused
from serving.registry import Model
from serving.serve_config import ServeConfig
from serving.stages import Draft, Finished, OrderResult, Queued, Timings

T = TypeVar("T")
DEAD = 3
"""After so many failures in a row that no input explains, the backend counts as dead."""
log = logging.getLogger("ippo")
Key = tuple[Generator, int, tuple[int, int], tuple[int, ...]]
"""What must be equal inside a batch: which flow of which model, steps, size (W, H), and for images that start from another
one the timesteps."""


class Artist:
    """Queue, drawing thread, and threads that encode and spell; needs a running event loop between `start` and `close`."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self._failures = 0
        cores = os.cpu_count() or 1
        self._batcher = Batcher(self._run, self._finish, self._sizes, config.max_queue, config.max_wait_ms, cores)
        self._readers, self._reading = ThreadPoolExecutor(cores, thread_name_prefix="read"), 0

    def start(self) -> None:
        """Accept orders, on the running event loop."""
        self._batcher.start()

    async def close(self) -> None:
        """Finish the orders that were accepted."""
        await self._batcher.close()
        self._readers.shutdown()

    @property
    def depth(self) -> int:
        """How many images wait to be drawn."""
        return self._batcher.depth

    @property
    def alive(self) -> bool:
        """Whether the backend still draws."""
        return self._failures < DEAD

    async def draw(self, model: Model, order: Order, patience: float = math.inf) -> OrderResult:
        """Draw within `patience` seconds, or by the operator's deadline where it is sooner; cancelled, it costs nothing more.

        Raises QueueFull, Late, and BadInput when the model cannot take the input.
        """
        arrived = time.perf_counter()
        dropped = self._dropped(model, order)
        async with self._deadline(patience) as deadline:
            self._batcher.check_room(order.n, deadline)  # before pictures are decoded
            queued = await self._queued(model, order, arrived)
            first = queued[0].request
            starts = () if first.image is None else first.timesteps(order.steps)
            images = await self._answers((model.generator, order.steps, order.size, starts), queued, deadline)
        end = time.perf_counter()
        prometheus.images(model.name).inc(order.n)
        timings = Timings(
            wait=max(image.wait for image in images),
            draw=max(image.draw for image in images),
            encode=max(image.encode for image in images),
            total=end - arrived,
        )
        return OrderResult([image.result for image in images], timings, dropped)

    async def write(
        self,
        captioner: CaptionGenerator,
        count: int,
        requests: Callable[[], list[Request]],
        steps: int,
        patience: float = math.inf,
        cut: Cut = WHOLE,
    ) -> list[WrittenCaption]:
        """Write about each of `count` requests, which are made beside the event loop, in their order; else as `draw`."""
        arrived = time.perf_counter()
        async with self._deadline(patience) as deadline:
            self._batcher.check_room(count, deadline)  # before pictures are decoded
            queued = [Queued(one, arrived, partial(captioner.read, one, cut=cut)) for one in await self._read(requests)]
            key = captioner.generator, steps, captioner.generator.sizes[0], ()
            return [one.result for one in await self._answers(key, queued, deadline)]

    @asynccontextmanager
    async def _deadline(self, patience: float) -> AsyncIterator[float]:
        """`patience` or the operator's deadline in seconds, whichever is sooner. Late: it passed inside the block."""
        deadline = min(patience, self.config.deadline)
        try:
            async with asyncio.timeout(deadline):
                yield deadline
        except TimeoutError:
            raise Late(deadline) from None

    async def _answers(self, key: Key, queued: Sequence[Queued], deadline: float) -> list[Finished]:
        """Each when its turn came; what is given up before that is neither drawn nor written."""
        futures = self._batcher.submit(key, queued, deadline)
        try:
            return [await future for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _dropped(self, model: Model, order: Order) -> int:
        """How many tokens the model will not read, counted. Refused: the operator wants such prompts refused."""
        dropped = model.generator.dropped(order.input)
        if dropped and self.config.long_prompts == "refuse":
            message = (
                f"prompt is too long: {dropped} of its tokens are beyond the {model.manifest.tokens} the model reads"
            )
            raise Refused(message, "prompt")
        if dropped:
            prometheus.DROPPED.inc(dropped)
        return dropped

    async def _queued(self, model: Model, order: Order, arrived: float) -> list[Queued]:
        """One request of the generator an image; the image to start from is decoded once."""
        image, kept = None, None
        if order.image is not None:
            answered = order.answered or order.size
            image, kept = await self._read(canvas.start, order.image, order.size, answered, order.mask)
        seeds = range(order.seed, order.seed + order.n)
        wish = order.input if not order.further else await self._read(_wish, model, order)
        further = told(order.further)
        requests = [Request(wish, seed, image, order.strength, further) for seed in seeds]
        return [Queued(request, arrived, partial(self._encode, model, order, request, kept)) for request in requests]

    def _sizes(self, key: Key) -> tuple[int, ...]:
        _, steps, _, starts = key
        return self.config.sizes(fused=steps == 1 and not starts)

    def _run(self, key: Key, queued: Sequence[Queued]) -> list[Draft]:
        """Draw a batch, in the batcher's thread."""
        start = time.perf_counter()
        arrays = self._generate(key, [one.request for one in queued])  # (N, H, W, 3) or (N, S)
        drawn = time.perf_counter()
        waits = [start - one.arrived for one in queued]
        for wait in waits:
            prometheus.WAIT.observe(wait)
        prometheus.DRAW.observe(drawn - start)
        prometheus.BATCH.observe(len(queued))
        return [Draft(array, wait, drawn - start, drawn) for array, wait in zip(arrays, waits, strict=True)]

    def _generate(self, key: Key, requests: Sequence[Request]) -> NDArray[Any]:
        """Requests → images (N, H, W, 3) or ids (N, S), counting the failures in a row that are not the request's."""
        generator, steps, size, _ = key
        try:
            arrays = generator.generate(requests, steps, size)
        except BadInput:
            raise
        except Exception as error:
            self._failures += 1
            if self._failures == DEAD:
                log.error("the backend is dead: %s failures in a row, the last: %s", DEAD, str(error)[:200])
            raise
        self._failures = 0
        return arrays

    def _finish(self, key: Key, queued: Queued, draft: Draft) -> Finished:
        """Encode an image or spell a caption, in one of the batcher's other threads while the next batch is drawn."""
        result = queued.finish(draft.array)
        encoding = time.perf_counter() - draft.drawn
        prometheus.ENCODE.observe(encoding)
        return Finished(result, draft.wait, draft.draw, encoding)

    def _encode(
        self, model: Model, order: Order, request: Request, kept: canvas.Kept | None, pixels: NDArray[np.uint8]
    ) -> bytes:
        """`pixels` (H, W, 3) → the file that the order wants, of its size and with its provenance.

        `kept`: what the answer keeps of the picture that it starts from.
        """
        if order.answered is not None or kept is not None:
            resample = Image.Resampling[self.config.resample.upper()]
            covers = request.image is not None
            pixels = canvas.finish(pixels, order.answered or order.size, resample, covers, kept)
        source = of_request(model.task, request, order.steps, model.name, model.hash)
        provenance = source if self.config.provenance else None
        return encode(pixels, order.format, provenance, order.quality)

    async def _read(self, work: Callable[..., T], *arguments: object) -> T:
        """Decode what a client sent, beside the event loop. QueueFull: as many wait for that as may wait to be drawn."""
        if self._reading >= self.config.max_queue:
            raise QueueFull(1)
        self._reading += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)
        finally:
            self._reading -= 1


def _wish(model: Model, order: Order) -> Input:
    """The input with its pictures, of the size that the model sees. Refused: one cannot be read."""
    size = model.manifest.picture_size or model.manifest.sizes[0]
    given = [name for name in model.task.images if name in order.further]
    pictures = {name: fit(canvas.opened(order.further[name], name), size) for name in given}
    return model.task.joined(order.input, {**order.further, **pictures})

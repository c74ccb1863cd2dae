"""Draws orders of many clients through one batcher and encodes the images; it knows nothing about HTTP."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from base.errors import BadInput
from models.labels import Input
from runtime.generator import Request
from runtime.images import encode, fit
from runtime.provenance import Provenance, fingerprint
from serving import canvas, prometheus
from serving.batcher import Batcher
from serving.order import Order
from serving.refused import Late, Refused
from serving.registry import Model
from serving.serve_config import ServeConfig

T = TypeVar("T")
DEAD = 3
"""After so many failures in a row that no input explains, the backend counts as dead."""
log = logging.getLogger("ippo")
Key = tuple[Model, int, tuple[int, int], tuple[int, ...]]
"""What must be equal inside a batch: model, steps, size (W, H), and for images that start from another one the timesteps."""


@dataclass(frozen=True)
class Timings:
    """Seconds in the queue, in the graphs, in the encoder, and in all; of several images, those of the slowest."""

    wait: float
    draw: float
    encode: float
    total: float

    def milliseconds(self) -> dict[str, float]:
        """Each time by its name, in milliseconds."""
        return {name: 1e3 * seconds for name, seconds in asdict(self).items()}


@dataclass(frozen=True)
class OrderResult:
    """The images of an order."""

    files: list[bytes]
    """Encoded; image i has seed + i."""
    timings: Timings
    dropped: int
    """Tokens of the prompt that the model did not read."""


@dataclass(frozen=True)
class _Queued:
    """One image of an order."""

    order: Order
    request: Request
    arrived: float
    kept: canvas.Kept | None
    """What its answer keeps of the picture that it starts from."""


@dataclass(frozen=True)
class _Draft:
    """One image as the drawing thread leaves it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3)"""
    wait: float
    draw: float
    drawn: float
    """When."""


@dataclass(frozen=True)
class _Image:
    """One image as the encoding threads leave it, and how long each stage took."""

    file: bytes
    wait: float
    draw: float
    encode: float


class Artist:
    """Queue, drawing thread and encoders; needs a running event loop between `start` and `close`."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self._failures = 0
        cores = os.cpu_count() or 1
        self._batcher = Batcher(self._run, self._finish, self._sizes, config.max_queue, config.max_wait_ms, cores)
        self._readers = ThreadPoolExecutor(cores, thread_name_prefix="read")

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
        deadline = min(patience, self.config.deadline)
        dropped = self._dropped(model, order)
        futures: list[asyncio.Future[_Image]] = []
        try:
            async with asyncio.timeout(deadline):
                self._batcher.check_room(order.n, deadline)  # before pictures are decoded
                queued = await self._queued(model, order, arrived)
                futures = self._batcher.submit(_key(model, order, queued[0].request), queued, deadline)
                images = [await future for future in futures]
        except TimeoutError:
            raise Late(deadline) from None
        finally:
            for future in futures:
                future.cancel()  # an image of an order that is given up is not drawn
        end = time.perf_counter()
        prometheus.images(model.name).inc(order.n)
        timings = Timings(
            wait=max(image.wait for image in images),
            draw=max(image.draw for image in images),
            encode=max(image.encode for image in images),
            total=end - arrived,
        )
        return OrderResult([image.file for image in images], timings, dropped)

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

    async def _queued(self, model: Model, order: Order, arrived: float) -> list[_Queued]:
        """One request of the generator an image; the image to start from is decoded once."""
        image, kept = None, None
        if order.image is not None:
            answered = order.answered or order.size
            image, kept = await self._read(canvas.start, order.image, order.size, answered, order.mask)
        seeds = range(order.seed, order.seed + order.n)
        wish = order.input if not order.further else await self._read(_wish, model, order)
        requests = [Request(wish, seed, image, order.strength) for seed in seeds]
        return [_Queued(order, request, arrived, kept) for request in requests]

    def _sizes(self, key: Key) -> tuple[int, ...]:
        _, steps, _, starts = key
        return self.config.sizes(fused=steps == 1 and not starts)

    def _run(self, key: Key, queued: Sequence[_Queued]) -> list[_Draft]:
        """Draw a batch, in the batcher's thread."""
        start = time.perf_counter()
        images = self._generate(key, [one.request for one in queued])  # (N, H, W, 3)
        drawn = time.perf_counter()
        waits = [start - one.arrived for one in queued]
        for wait in waits:
            prometheus.WAIT.observe(wait)
        prometheus.DRAW.observe(drawn - start)
        prometheus.BATCH.observe(len(queued))
        return [_Draft(image, wait, drawn - start, drawn) for image, wait in zip(images, waits, strict=True)]

    def _generate(self, key: Key, requests: Sequence[Request]) -> NDArray[np.uint8]:
        """Requests → images (N, H, W, 3), counting the failures in a row that are not the request's."""
        model, steps, size, _ = key
        try:
            images = model.generator.generate(requests, steps, size)
        except BadInput:
            raise
        except Exception as error:
            self._failures += 1
            if self._failures == DEAD:
                log.error("the backend is dead: %s failures in a row, the last: %s", DEAD, str(error)[:200])
            raise
        self._failures = 0
        return images

    def _finish(self, key: Key, queued: _Queued, draft: _Draft) -> _Image:
        """Encode an image, in one of the batcher's other threads while the next batch is drawn."""
        file = self._encode(key[0], queued, draft.pixels)
        encoding = time.perf_counter() - draft.drawn
        prometheus.ENCODE.observe(encoding)
        return _Image(file, draft.wait, draft.draw, encoding)

    def _encode(self, model: Model, queued: _Queued, pixels: NDArray[np.uint8]) -> bytes:
        """`pixels` (H, W, 3) → the file that the order wants, of its size and with its provenance."""
        order, request = queued.order, queued.request
        if order.answered is not None or queued.kept is not None:
            resample = Image.Resampling[self.config.resample.upper()]
            covers = request.image is not None
            pixels = canvas.finish(pixels, order.answered or order.size, resample, covers, queued.kept)
        provenance = None
        if self.config.provenance:
            inputs = model.task.shown(order.input)
            strength = None if request.image is None else request.strength
            further = {
                name: fingerprint(value) if isinstance(value, bytes) else value for name, value in order.further.items()
            }
            provenance = Provenance(
                inputs, request.seed, order.steps, model.name, model.hash, strength, further=further
            )
        return encode(pixels, order.format, provenance, order.quality)

    async def _read(self, work: Callable[..., T], *arguments: object) -> T:
        """Decode what a client sent, beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)


def _key(model: Model, order: Order, request: Request) -> Key:
    return model, order.steps, order.size, () if request.image is None else request.timesteps(order.steps)


def _wish(model: Model, order: Order) -> Input:
    """The input with its pictures, of the size that the model sees. Refused: one cannot be read."""
    size = model.manifest.picture_size or model.manifest.sizes[0]
    given = [name for name in model.task.images if name in order.further]
    pictures = {name: fit(canvas.opened(order.further[name], name), size) for name in given}
    return model.task.joined(order.input, {**order.further, **pictures})

"""Models behind one batcher: orders in, encoded pictures out; it knows nothing about HTTP."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from runtime.generator import Request
from serving import prometheus
from serving.batcher import Batcher
from serving.images import Provenance, decode, encode
from serving.model import Model
from serving.schema import Order, Refused
from serving.serve_config import Format, ServeConfig

T = TypeVar("T")
DEAD = 3
"""After so many failures in a row that no input explains, the backend counts as dead."""
log = logging.getLogger("ippo")
Key = tuple[Model, int, tuple[int, int], tuple[int, ...]]
"""What must be alike in a batch: the model, the steps, the size, and where images to start from join them."""


class Late(Refused):
    """The deadline passed before the request was drawn."""

    def __init__(self, deadline: float) -> None:
        message = f"the request was not drawn within {deadline:g} s; try again"
        super().__init__(message, status=429, code="deadline_exceeded", retry_after=math.ceil(deadline / 2))


@dataclass(frozen=True)
class Wanted:
    """One image of an order, and the file it becomes."""

    request: Request
    format: Format
    quality: int
    provenance: Provenance | None
    arrived: float

    def file(self, pixels: NDArray[np.uint8]) -> bytes:
        """Encode `pixels` (H, W, 3)."""
        return encode(pixels, self.format, self.provenance, self.quality)


@dataclass(frozen=True)
class Drawn:
    """A file, or where others wait for the thread that draws, the pixels (H, W, 3) it is still to be made of."""

    result: bytes | NDArray[np.uint8]
    waiting: float
    drawing: float
    encoding: float = 0.0


@dataclass(frozen=True)
class Pictures:
    """The files of one order: image i has seed + i. Times in seconds: in the queue, in the graphs, encoding, in all."""

    files: list[bytes]
    waiting: float
    drawing: float
    encoding: float
    total: float
    dropped: int
    """Tokens of the prompt that the model did not read."""


class Artist:
    """Draws for many at once; needs a running event loop between `start` and `close`."""

    def __init__(self, models: Sequence[Model], config: ServeConfig) -> None:
        self.config = config
        self.models = {model.name: model for model in models}
        self._swapping = asyncio.Lock()
        self._failures = 0
        self._batcher = Batcher(self._run, self._sizes, config.max_queue, config.max_wait_ms)
        self._encoders = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="encode")

    @classmethod
    def open(cls, config: ServeConfig) -> Self:
        """Load and warm every bundle. Raises BadInput."""
        models = [Model.open(folder, config, alias) for alias, folder in config.bundles]
        if len({model.manifest.task for model in models}) > 1:
            raise BadInput("models: both must have one task, for they are asked with one kind of body")
        return cls(models, config)

    def start(self) -> None:
        """Accept orders, on the running event loop."""
        self._batcher.start()

    async def close(self) -> None:
        """Finish the orders that were accepted."""
        await self._batcher.close()
        self._encoders.shutdown()

    @property
    def depth(self) -> int:
        """How many images wait."""
        return self._batcher.depth

    @property
    def alive(self) -> bool:
        """Whether the backend still draws."""
        return self._failures < DEAD

    @property
    def first(self) -> Model:
        """The model of requests that name none."""
        return next(iter(self.models.values()))

    def model(self, name: str | None) -> Model:
        """The model a request names. Raises Refused."""
        if name is None:
            return self.first
        if name not in self.models:
            message = f"the model {name!r:.60} does not exist; accepted: {', '.join(self.models)}"
            raise Refused(message, "model", status=404, code="model_not_found")
        return self.models[name]

    async def draw(self, model: Model, order: Order, patience: float = math.inf) -> Pictures:
        """Within `patience` seconds, or by the operator's deadline where it is sooner. Cancelled, it costs nothing more.

        Raises QueueFull, Late, and BadInput when the model cannot take the input.
        """
        start = time.perf_counter()
        deadline = min(patience, self.config.deadline)
        dropped = self._dropped(model, order)
        queued: list[asyncio.Future[Drawn]] = []
        try:
            async with asyncio.timeout(deadline):
                wanted = await self._wanted(model, order, start)
                queued = self._batcher.submit(_key(model, order, wanted[0].request), wanted, deadline)
                drawn = [await one for one in queued]
                encoding = time.perf_counter()
                files = await self._files(wanted, drawn)
        except TimeoutError:
            raise Late(deadline) from None
        finally:
            for one in queued:
                one.cancel()  # a picture of an order that is given up is not drawn
        end = time.perf_counter()
        prometheus.IMAGES.labels(model.name).inc(order.n)
        return Pictures(
            files,
            waiting=max(one.waiting for one in drawn),
            drawing=max(one.drawing for one in drawn),
            encoding=end - encoding + max(one.encoding for one in drawn),
            total=end - start,
            dropped=dropped,
        )

    async def swap(self, old: Model, folder: Path) -> Model:
        """Put the bundle in `folder` in the place of `old`; what was accepted for `old` is finished on it. Raises BadInput."""
        async with self._swapping:
            if old not in self.models.values():
                raise BadInput(f"the model {old.name} was exchanged meanwhile")
            new = await asyncio.to_thread(Model.open, folder, self.config, old.alias)
            if new.manifest.task != old.manifest.task:
                raise BadInput(f"the bundle's task is {new.manifest.task}; accepted: {old.manifest.task}, as is served")
            others = [model for model in self.models.values() if model is not old]
            if new.name in {model.name for model in others}:
                raise BadInput(f"a model {new.name} is served already")
            self.models = {
                model.name: model for model in (new if model is old else model for model in self.models.values())
            }
        prometheus.SWAPS.inc()
        return new

    def _dropped(self, model: Model, order: Order) -> int:
        dropped = model.generator.dropped(order.input)
        if dropped and self.config.long_prompts == "refuse":
            message = (
                f"prompt is too long: {dropped} of its tokens are beyond the {model.manifest.tokens} the model reads"
            )
            raise Refused(message, "prompt")
        if dropped:
            prometheus.DROPPED.inc(dropped)
        return dropped

    async def _wanted(self, model: Model, order: Order, arrived: float) -> list[Wanted]:
        image = None if order.image is None else await self._in_encoder(decode, order.image, order.size)
        inputs = dict.fromkeys(model.manifest.inputs, order.input)
        strength = None if image is None else order.strength
        wanted = []
        for seed in range(order.seed, order.seed + order.n):
            told = Provenance(inputs, seed, order.steps, model.name, model.hash, strength)
            request = Request(order.input, seed, image, order.strength)
            provenance = told if self.config.provenance else None
            wanted.append(Wanted(request, order.format, order.quality, provenance, arrived))
        return wanted

    def _sizes(self, key: Key) -> tuple[int, ...]:
        _, steps, _, starts = key
        return self.config.sizes(fused=steps == 1 and not starts)

    def _run(self, key: Key, wanted: Sequence[Wanted]) -> list[Drawn]:
        start = time.perf_counter()
        images = self._watched(key, [one.request for one in wanted])  # (N, H, W, 3)
        drawing = time.perf_counter() - start
        waits = [start - one.arrived for one in wanted]
        for wait in waits:
            prometheus.WAIT.observe(wait)
        prometheus.DRAW.observe(drawing)
        prometheus.BATCH.observe(len(wanted))
        if len(wanted) > 1 or self._batcher.depth:
            return [Drawn(image, wait, drawing) for image, wait in zip(images, waits, strict=True)]
        # Nobody waits for this thread: it encodes as well, which saves the way through another.
        file = wanted[0].file(images[0])
        return [Drawn(file, waits[0], drawing, time.perf_counter() - start - drawing)]

    def _watched(self, key: Key, requests: Sequence[Request]) -> NDArray[np.uint8]:
        """Draw, and count the failures in a row that are not the request's."""
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

    async def _files(self, wanted: Sequence[Wanted], drawn: Sequence[Drawn]) -> list[bytes]:
        if len(wanted) == 1:
            return [await self._file(wanted[0], drawn[0])]
        return await asyncio.gather(*map(self._file, wanted, drawn))

    async def _file(self, wanted: Wanted, drawn: Drawn) -> bytes:
        if isinstance(drawn.result, bytes):
            prometheus.ENCODE.observe(drawn.encoding)
            return drawn.result
        with prometheus.ENCODE.time():
            return await self._in_encoder(wanted.file, drawn.result)

    async def _in_encoder(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._encoders, work, *given)


def _key(model: Model, order: Order, request: Request) -> Key:
    return model, order.steps, order.size, () if request.image is None else request.timesteps(order.steps)

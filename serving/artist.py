"""A bundle opened, warmed and put behind a batcher: orders in, encoded pictures out; it knows nothing about HTTP."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from export import backend
from export.bundle import open_bundle
from export.generator import Generator, Request
from serving.batcher import Batcher
from serving.config import ServeConfig
from serving.images import Provenance, encode
from serving.schema import Order


@dataclass(frozen=True)
class Drawn:
    """One image (H, W, 3), and how long its batch took."""

    pixels: NDArray[np.uint8]
    seconds: float


@dataclass(frozen=True)
class Pictures:
    """The files of one order: image i has seed + i. Times in seconds: in the graphs, encoding, in all."""

    files: list[bytes]
    drawing: float
    encoding: float
    total: float


class Artist:
    """Draws for many at once; needs a running event loop between `start` and `close`."""

    def __init__(self, generator: Generator, config: ServeConfig) -> None:
        self.config = config
        self.model = generator.name
        self.sizes = generator.sizes
        self.examples: Sequence[str] = generator.bundle.manifest.card.get("examples", ())
        self._generator = generator
        self._batcher = Batcher(self._run, config.batches, config.max_queue, config.max_wait_ms)
        self._encoders = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="encode")

    @classmethod
    def open(cls, config: ServeConfig) -> Self:
        """Load the bundle and run it once in every way it will be asked to. Raises BadInput."""
        bundle = open_bundle(config.bundle)
        generator = Generator(bundle, backend.load(config.backend, bundle, config.threads))
        generator.warm(config.batches)
        return cls(generator, config)

    def start(self) -> None:
        """Accept orders, on the running event loop."""
        self._batcher.start()

    async def close(self) -> None:
        """Finish the orders that were accepted."""
        await self._batcher.close()
        self._encoders.shutdown()

    async def draw(self, order: Order) -> Pictures:
        """Raises QueueFull, and BadInput when the model cannot take the prompt. Cancelled, it costs nothing more."""
        start = time.perf_counter()
        requests = [Request(order.prompt, order.seed + index) for index in range(order.n)]
        drawn = await asyncio.gather(*self._batcher.submit(order.steps, requests))
        encoding = time.perf_counter()
        files = await asyncio.gather(*(self._encode(order, *pair) for pair in zip(requests, drawn, strict=True)))
        end = time.perf_counter()
        return Pictures(files, max(one.seconds for one in drawn), end - encoding, end - start)

    async def _encode(self, order: Order, request: Request, drawn: Drawn) -> bytes:
        provenance = Provenance(request.prompt, request.seed, order.steps, self.model)
        work = (drawn.pixels, order.format, provenance, order.quality)
        return await asyncio.get_running_loop().run_in_executor(self._encoders, encode, *work)

    def _run(self, steps: int, requests: Sequence[Request]) -> list[Drawn]:
        start = time.perf_counter()
        images = self._generator.generate(requests, steps)  # (N, H, W, 3)
        seconds = time.perf_counter() - start
        return [Drawn(image, seconds) for image in images]

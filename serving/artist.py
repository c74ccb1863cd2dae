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
from serving.config import Format, ServeConfig
from serving.images import Provenance, encode
from serving.schema import Order


@dataclass(frozen=True)
class Wanted:
    """One image of an order, and the file it becomes."""

    request: Request
    format: Format
    quality: int
    provenance: Provenance

    def file(self, pixels: NDArray[np.uint8]) -> bytes:
        """Encode `pixels` (H, W, 3)."""
        return encode(pixels, self.format, self.provenance, self.quality)


@dataclass(frozen=True)
class Drawn:
    """A file, or where others wait for the thread that draws, the pixels (H, W, 3) it is still to be made of."""

    result: bytes | NDArray[np.uint8]
    drawing: float
    encoding: float = 0.0


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
        self.manifest = generator.bundle.manifest
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
        """Raises QueueFull, and BadInput when the model cannot take the input. Cancelled, it costs nothing more."""
        start = time.perf_counter()
        wanted = [self._wanted(order, order.seed + index) for index in range(order.n)]
        drawn = await asyncio.gather(*self._batcher.submit(order.steps, wanted))
        encoding = time.perf_counter()
        files = await asyncio.gather(*map(self._file, wanted, drawn))
        end = time.perf_counter()
        encoded = end - encoding + max(one.encoding for one in drawn)
        return Pictures(files, max(one.drawing for one in drawn), encoded, end - start)

    def _wanted(self, order: Order, seed: int) -> Wanted:
        inputs = dict.fromkeys(self.manifest.inputs, order.input)
        provenance = Provenance(inputs, seed, order.steps, self.manifest.model_name)
        return Wanted(Request(order.input, seed), order.format, order.quality, provenance)

    def _run(self, steps: int, wanted: Sequence[Wanted]) -> list[Drawn]:
        start = time.perf_counter()
        images = self._generator.generate([one.request for one in wanted], steps)  # (N, H, W, 3)
        drawing = time.perf_counter() - start
        if len(wanted) > 1 or self._batcher.depth:
            return [Drawn(image, drawing) for image in images]
        # Nobody waits for this thread: it encodes as well, which saves the way through another.
        file = wanted[0].file(images[0])
        return [Drawn(file, drawing, time.perf_counter() - start - drawing)]

    async def _file(self, wanted: Wanted, drawn: Drawn) -> bytes:
        if isinstance(drawn.result, bytes):
            return drawn.result
        return await asyncio.get_running_loop().run_in_executor(self._encoders, wanted.file, drawn.result)

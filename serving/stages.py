"""One image or caption on its way through the queue, as each stage leaves it, and how long that took; it does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from runtime.captioner import WrittenCaption
from runtime.generator import Request


@dataclass(frozen=True)
class Queued:
    """One image or caption that is asked for."""

    request: Request
    arrived: float
    """When."""
    finish: Callable[[NDArray[Any]], bytes | WrittenCaption]
    """What becomes of pixels (H, W, 3) or ids (S,)."""


@dataclass(frozen=True)
class Draft:
    """It as the drawing thread leaves it."""

    array: NDArray[Any]
    """Pixels (H, W, 3), or ids (S,)."""
    wait: float
    draw: float
    drawn: float
    """When."""


@dataclass(frozen=True)
class Finished:
    """It as the finishing threads leave it, and the seconds of each stage."""

    result: Any
    """What `Queued.finish` gave."""
    wait: float
    draw: float
    encode: float


@dataclass(frozen=True)
class Timings:
    """Seconds in the queue, in the graphs, in the encoder, and in all; of several images, those of the slowest."""

    wait: float
    draw: float
    encode: float
    total: float

    def milliseconds(self) -> dict[str, float]:
        """Each time by its name, in milliseconds."""
        seconds = {"wait": self.wait, "draw": self.draw, "encode": self.encode, "total": self.total}
        return {name: 1e3 * value for name, value in seconds.items()}


@dataclass(frozen=True)
class OrderResult:
    """The images of an order."""

    files: list[bytes]
    """Encoded; image i has seed + i."""
    timings: Timings
    dropped: int
    """Tokens of the prompt that the model did not read."""

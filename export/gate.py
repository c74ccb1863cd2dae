"""What a bundle must reach before it is written: what every backend here gives, against torch; it measures no single graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from base.errors import BadInput
from export import parity
from models.labels import Input
from models.pipeline import Pipeline
from models.task import task_named
from runtime import available, backend
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator
from runtime.signature import LEAST_AGREEMENT, LEAST_PSNR


def measured(bundle: Bundle, pipeline: Pipeline, inputs: Sequence[Input], trained: bool) -> dict[str, dict[str, float]]:
    """Backend → figures of what it gives, for every backend installed here; bf16 that misses the bar is not used later."""
    gate, figures = GATES[task_named(pipeline.task).output], {}
    for name, runner in _backends(bundle):
        figures[name] = gate.measure(Generator(bundle, runner), pipeline, inputs)
        if trained and name in available.backends():
            gate.require(name, figures[name])
    return figures


def _backends(bundle: Bundle) -> Iterator[tuple[str, Backend]]:
    """Everything installed here that runs on a CPU, and the other ways in which it computes."""
    loaded = {name: backend.load(name, bundle, BackendOptions(device="cpu")) for name in available.installed("cpu")}
    yield from loaded.items()
    for one in loaded.values():
        yield from one.variants().items()


def require_psnr(backend: str, figures: dict[str, float]) -> None:
    """The gate for trained weights."""
    if figures["psnr"] < LEAST_PSNR:
        shortfall = f"{figures['psnr']:.1f} dB against torch float32, accepted {LEAST_PSNR:.0f} dB or more"
        raise BadInput(f"one_step on {backend} failed the parity gate: {shortfall}")


def require_agreement(backend: str, figures: dict[str, float]) -> None:
    """The gate for trained weights. BadInput: too many tokens differ."""
    if figures["agreement"] < LEAST_AGREEMENT:
        raise BadInput(
            f"caption on {backend} failed the parity gate: {figures['agreement']:.4f} of the tokens are torch's, accepted "
            f"{LEAST_AGREEMENT} or more"
        )


@dataclass(frozen=True)
class Gate:
    """What is measured of what comes out, and what must be reached with trained weights."""

    measure: Callable[[Generator, Pipeline, Sequence[Input]], dict[str, float]]
    require: Callable[[str, dict[str, float]], None]


GATES = {"image": Gate(parity.image, require_psnr), "text": Gate(parity.words, require_agreement)}
"""By what comes out of the task."""

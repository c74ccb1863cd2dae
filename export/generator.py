"""Bundle + backend → images: the one inference path, for every family and backend; it knows neither torch nor HTTP.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import tokenize
from export.backend import Backend
from export.bundle import Bundle
from models import noise, sampling
from models.errors import BadInput
from models.labels import Input
from models.schedule import STUDENT_TIMESTEPS


@dataclass(frozen=True)
class Request:
    """One image of a prompt or a label; an empty one draws what the null condition gives."""

    input: Input
    seed: int


class Generator:
    """Draws batches of requests; threads may share one, a lock lets one batch through at a time."""

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        self.bundle = bundle
        self.backend = backend
        self.tokenizer = tokenize.load(bundle)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What people call the model."""
        return self.bundle.manifest.model_name

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Accepted image sizes (W, H)."""
        return self.bundle.manifest.sizes

    @property
    def steps(self) -> tuple[int, ...]:
        """Accepted numbers of steps."""
        return tuple(STUDENT_TIMESTEPS)

    def generate(self, requests: Sequence[Request], steps: int = 1) -> NDArray[np.uint8]:
        """Requests → images `(N, H, W, 3)`. An image depends on its own input and seed, not on its neighbours."""
        self._check(requests, steps)
        ids = self.tokenizer.ids([request.input for request in requests])
        drawn = noise.gaussian([request.seed for request in requests], steps, self.bundle.manifest.latent_shape)
        with self._lock:
            return self._one_step(ids, drawn) if steps == 1 else self._split(ids, drawn)

    def dropped(self, input: Input) -> int:
        """How many tokens of the input the model will not see."""
        return self.tokenizer.dropped(input)

    def warm(self, batches: Sequence[int] = (1,), steps: Sequence[int] = (1,)) -> None:
        """Load and compile what these batch sizes and steps need, so that no request waits for it."""
        for count in batches:
            for step in steps:
                self.generate([Request("", seed) for seed in range(count)], step)

    def _one_step(self, ids: NDArray[np.int64], drawn: NDArray[np.float32]) -> NDArray[np.uint8]:
        return self.backend.run("one_step", {"input_ids": ids, "noise": drawn[0]})

    def _split(self, ids: NDArray[np.int64], drawn: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The k-step student; `drawn (steps, N, C, h, w)`."""
        hidden = self.backend.run("conditioner", {"input_ids": ids})  # (N, S, D)

        def denoise(sample: NDArray[Any], timestep: int) -> NDArray[Any]:
            time = np.array(timestep, np.int64)
            inputs = {"sample": sample, "timestep": time, "encoder_hidden_states": hidden}
            return self.backend.run("denoiser", inputs)

        timesteps = STUDENT_TIMESTEPS[len(drawn)]
        x0 = sampling.student_loop(denoise, list(drawn), timesteps, self.bundle.schedule)  # (N, C, h, w)
        latents = x0 / self.bundle.manifest.scaling_factor
        return _to_uint8(self.backend.run("decoder", {"latent_sample": latents}))

    def _check(self, requests: Sequence[Request], steps: int) -> None:
        if not requests:
            raise BadInput("no request: at least one is needed")
        if steps not in STUDENT_TIMESTEPS:
            raise BadInput(f"steps {steps} is not offered; accepted: {', '.join(map(str, STUDENT_TIMESTEPS))}")
        for request in requests:
            if not 0 <= request.seed <= noise.MAX_SEED:
                raise BadInput(f"seed {request.seed} is out of range; accepted: 0 to {noise.MAX_SEED}")


def _to_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """`(N, 3, H, W)` in [−1, 1] → `(N, H, W, 3)`, as `models.pipeline.to_uint8` rounds."""
    pixels = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))

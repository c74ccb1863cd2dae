"""Bundle + backend → images: the one inference path, for every family and backend; it knows neither torch nor HTTP.

Shapes: `N` batch, `C` channels, `h w` latent, `H W` pixels, `S` tokens, `A` attributes.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from models import noise, pixels, sampling, word_by_word
from models.labels import Input
from models.schedule import STUDENT_TIMESTEPS, student_timesteps
from models.task import task_of
from models.word_by_word import ByWord
from runtime import pictures, tokenize
from runtime.backend import Backend
from runtime.bundle import Bundle
from runtime.shapes import size_list
from runtime.signature import NEXT_TOKEN


@dataclass(frozen=True, eq=False)
class Request:
    """One image of one input."""

    input: Input
    """What the model's task takes, parsed or as text; `""` draws what the null condition gives."""
    seed: int
    image: NDArray[np.uint8] | None = None
    """To start from instead of noise: (H, W, 3), of the size that is drawn."""
    strength: float = 0.5
    """How far towards noise the image is taken first, above 0, up to 1; snaps to the student's timesteps."""
    further: Mapping[str, str | float] = field(default_factory=dict)
    """What else its provenance tells, as `runtime.provenance.told` makes it: a mix, and which pictures are in the input."""

    def timesteps(self, steps: int) -> tuple[int, ...]:
        """Where the denoiser is called. An image at a low strength leaves fewer than `steps` of them."""
        return student_timesteps(steps, 1.0 if self.image is None else self.strength)


class Generator:
    """Draws batches of requests; threads may share one, a lock lets one batch through at a time."""

    def __init__(self, bundle: Bundle, backend: Backend, fused: bool = True) -> None:
        """Without `fused`, one step runs the split graphs, as several steps always do."""
        self.bundle = bundle
        self.backend = backend
        self._lock = threading.Lock()
        own = tokenize.load(bundle)
        self._task = task_of(bundle.manifest)
        # Not the method: a ring of references outlives the model in a server, whose start freezes the garbage collector.
        embed = partial(_embedded, backend, self._lock)
        self.tokenizer = pictures.load(bundle, own, embed) if self._task.images else own
        self._words = bundle.by_word
        self._fused = fused and self._words is None

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

    @property
    def takes_images(self) -> bool:
        """Whether a request may bring an image to start from: the bundle has an encoder."""
        return self.bundle.manifest.graphs.get("encoder") in self.bundle.manifest.files

    def generate(
        self, requests: Sequence[Request], steps: int = 1, size: tuple[int, int] | None = None
    ) -> NDArray[Any]:
        """Requests → images `(N, H, W, 3)` of `size` (W, H), by default the first of `sizes`; of what writes, ids `(N, S)`.

        An image depends on its own request, not on its neighbours. Requests that start alike (from noise, or from images at
        one timestep) are drawn as one batch. BadInput: what the model or this bundle does not offer.
        """
        size = size or self.sizes[0]
        self.check(requests, steps, size)
        starts = [(request.image is not None, request.timesteps(steps)) for request in requests]
        images: list[NDArray[Any]] = [np.empty(0, np.uint8)] * len(requests)
        for start in dict.fromkeys(starts):
            indices = [index for index, other in enumerate(starts) if other == start]
            batch = self._draw([requests[index] for index in indices], start[1], size)  # (N, H, W, 3)
            if len(indices) == len(requests):
                return batch
            for index, image in zip(indices, batch, strict=True):
                images[index] = image
        return np.stack(images)

    def check_size(self, size: tuple[int, int]) -> None:
        """BadInput: images of this size (W, H) are not offered."""
        if size not in self.sizes:
            raise BadInput(f"size {size_list([size])} is not offered; accepted: {size_list(self.sizes)}")

    def check_steps(self, steps: int) -> None:
        """BadInput: students do not draw in so many steps."""
        if steps not in STUDENT_TIMESTEPS:
            raise BadInput(f"steps {steps} is not offered; accepted: {', '.join(map(str, STUDENT_TIMESTEPS))}")

    def dropped(self, input: Input) -> int:
        """How many tokens of the input the model will not see."""
        return self.tokenizer.dropped(input)

    def conditioning(self, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Inputs `(N, …)` by name → what the denoiser takes besides sample and timestep, by the names of its inputs."""
        outputs = self.backend.outputs("conditioner", {name: given[name] for name in self._task.conditioner_inputs})
        conditioning = dict(zip(self.bundle.manifest.conditioning, outputs.values(), strict=True))
        return conditioning | {name: given[name] for name in self._task.direct_inputs}

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures `(N, H, W, 3)` of the model's own size → their tokens `(N, T, D)`, content then style."""
        return _embedded(self.backend, self._lock, images)

    def warm(
        self,
        batches: Sequence[int] = (1,),
        steps: Sequence[int] = (1,),
        sizes: Sequence[tuple[int, int]] | None = None,
        images: bool = False,
    ) -> None:
        """Load and compile what these batches, steps and sizes need (and images to start from), so that no request waits.

        Without `sizes` it is the first of those that are accepted.
        """
        for (width, height), count, step in itertools.product(sizes or self.sizes[:1], batches, steps):
            grey = np.full((height, width, 3), 127, np.uint8)
            for start in (None, grey) if images else (None,):
                self.generate([Request("", seed, start) for seed in range(count)], step, (width, height))

    def _draw(self, requests: Sequence[Request], timesteps: Sequence[int], size: tuple[int, int]) -> NDArray[Any]:
        """Requests that start alike → what `generate` gives, `(N, …)`."""
        given = self.tokenizer.arrays([request.input for request in requests])
        seeds = [request.seed for request in requests]
        noises = noise.gaussian(seeds, len(timesteps), self.bundle.manifest.latent(size))  # (steps, N, C, h, w)
        images = [request.image for request in requests if request.image is not None]
        with self._lock:
            if images:
                noises[0] = self._renoise(np.stack(images), noises[0], timesteps[0])
            elif self._fused and len(timesteps) == 1:
                return self._one_step(given, noises[0])
            return self._split(given, noises, timesteps)

    def _one_step(self, given: Mapping[str, NDArray[Any]], noise: NDArray[np.float32]) -> NDArray[Any]:
        """Inputs `(N, …)` by name, noise `(N, C, h, w)` → what `generate` gives, by the fused graph."""
        return self.backend.run("one_step", {**given, "noise": noise})

    def _renoise(self, images: NDArray[np.uint8], noise: NDArray[np.float32], timestep: int) -> NDArray[np.float32]:
        """Images `(N, H, W, 3)`, noise `(N, C, h, w)` → the images' latents at a timestep `(N, C, h, w)`."""
        latents = (
            self.backend.run("encoder", {"sample": pixels.from_bytes(images)}) * self.bundle.manifest.scaling_factor
        )
        schedule = self.bundle.schedule
        return sampling.add_noise(latents, noise, schedule.alpha[timestep], schedule.sigma[timestep])

    def _split(
        self, given: Mapping[str, NDArray[Any]], noises: NDArray[np.float32], timesteps: Sequence[int]
    ) -> NDArray[Any]:
        """The k-step student from `noises[0]`, re-noised with the others `(steps, N, C, h, w)` → what `generate` gives."""
        conditioning = self.conditioning(given)

        def denoise(sample: NDArray[Any], timestep: int) -> NDArray[Any]:
            time = np.array(timestep, np.int64)
            return self.backend.run("denoiser", {"sample": sample, "timestep": time, **conditioning})

        x0 = sampling.student_loop(denoise, list(noises), timesteps, self.bundle.schedule)  # (N, C, h, w)
        latents = x0 / self.bundle.manifest.scaling_factor
        if self._words is not None:
            return self._word_by_word(latents, self._words)
        decoded = self.backend.run("decoder", {"latent_sample": latents})
        return pixels.to_bytes(decoded) if self._task.output == "image" else decoded

    def _word_by_word(self, latents: NDArray[np.float32], how: ByWord) -> NDArray[np.int64]:
        """Texts `(N, C, h, w)` → ids `(N, S)`, a call of a graph for every word."""

        def step(ids: NDArray[np.int64], place: int, past: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
            given: dict[str, NDArray[Any]] = {"latent_sample": latents, "token_ids": ids, "past": past}
            given["position"] = np.array(place, np.int64)
            logits, now = self.backend.outputs(NEXT_TOKEN, given).values()
            return logits.argmax(axis=-1, keepdims=True), now

        return word_by_word.write(step, np.zeros((len(latents), *how.past), np.float32), len(latents), how)

    def check(self, requests: Sequence[Request], steps: int, size: tuple[int, int] | None = None) -> None:
        """BadInput: what the model or this bundle does not offer; inputs are looked at by the tokenizer."""
        size = size or self.sizes[0]
        if not requests:
            raise BadInput("no request: at least one is needed")
        self.check_steps(steps)
        self.check_size(size)
        for request in requests:
            if not 0 <= request.seed <= noise.MAX_SEED:
                raise BadInput(f"seed {request.seed} is out of range; accepted: 0 to {noise.MAX_SEED}")
            if request.image is not None:
                self._check_image(request.image, size)

    def _check_image(self, image: NDArray[np.uint8], size: tuple[int, int]) -> None:
        if not self.takes_images:
            raise BadInput(f"{self.name} has no encoder: it draws from noise, not from an image")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BadInput(f"an image to start from must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
        if (own := (image.shape[1], image.shape[0])) != size:
            raise BadInput(f"the image to start from is {size_list([own])}; accepted: {size_list([size])}")


def _embedded(backend: Backend, lock: threading.Lock, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    with lock:
        return backend.run("image_encoder", {"pixel_values": pixels.from_bytes(images)})

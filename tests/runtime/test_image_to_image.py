"""Starting from an image: the sampler's own arithmetic on every backend, strengths that snap, batches of all kinds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from models import noise, sampling
from models.pipeline import Pipeline
from models.pixel_tensors import from_uint8, to_uint8
from models.schedule import STUDENT_TIMESTEPS, student_timesteps
from runtime import available
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request

STARTS = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


def _asked(strength: float) -> list[Request]:
    return [Request(prompt, seed, STARTS[seed], strength) for seed, prompt in enumerate(("a cat", "", "two dogs"))]


@torch.no_grad()
def _expected(pipeline: Pipeline, requests: list[Request], timesteps: tuple[int, ...]) -> Any:
    """The same in torch, written out."""
    drawn = torch.from_numpy(noise.gaussian([r.seed for r in requests], len(timesteps), pipeline.latent_shape))
    latents = pipeline.autoencoder.encode(from_uint8(np.stack([r.image for r in requests])))  # type: ignore[operator, misc]
    alpha, sigma = pipeline.schedule.alpha[timesteps[0]], pipeline.schedule.sigma[timesteps[0]]
    start = [alpha * latents + sigma * drawn[0], *drawn[1:]]
    denoise = pipeline.denoise(pipeline.condition([r.input for r in requests]))
    x0 = sampling.student_loop(denoise, start, timesteps, pipeline.schedule)
    return to_uint8(pipeline.autoencoder.decode(x0))  # type: ignore[operator]


@given(steps=st.sampled_from(sorted(STUDENT_TIMESTEPS)), strength=st.floats(0, 1, exclude_min=True))
def test_strengths_snap_to_the_students_timesteps(steps: int, strength: float) -> None:
    found = student_timesteps(steps, strength)
    assert set(found) <= set(STUDENT_TIMESTEPS[4]) and list(found) == sorted(set(found), reverse=True)
    assert 1 <= len(found) <= steps
    distances = {timestep: abs((timestep + 1) / 1000 - strength) for timestep in STUDENT_TIMESTEPS[4]}
    assert distances[found[0]] == pytest.approx(min(distances.values()))


def test_all_of_the_way_is_the_students_own_loop() -> None:
    assert {steps: student_timesteps(steps) for steps in STUDENT_TIMESTEPS} == STUDENT_TIMESTEPS
    assert student_timesteps(2, 0.75) == (749, 499) and student_timesteps(4, 0.5) == (499, 249)
    assert student_timesteps(1, 0.625) == (749,) and student_timesteps(3, 0.01) == (249,)


@pytest.mark.parametrize("steps, strength", [(1, 0.25), (1, 0.5), (2, 0.75), (4, 1.0)])
@pytest.mark.parametrize("name", available.installed("cpu"))
def test_images_are_those_of_the_networks(
    name: str, steps: int, strength: float, bundle: Bundle, backends: dict[str, Backend], pipeline: Pipeline
) -> None:
    requests = _asked(strength)
    expected = _expected(pipeline, requests, student_timesteps(steps, strength))
    found = Generator(bundle, backends[name]).generate(requests, steps)
    assert found.shape == expected.shape and found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("steps", [1, 2])
def test_a_mixed_batch_is_each_request_alone(steps: int, bundle: Bundle, backends: dict[str, Backend]) -> None:
    generator = Generator(bundle, backends["ort"])
    mixed = [*_asked(0.5), Request("a cat", 4), *_asked(0.25), Request("", 5), *_asked(0.5)]
    together = generator.generate(mixed, steps)
    assert len(together) == len(mixed)
    for image, request in zip(together, mixed, strict=True):
        assert np.abs(generator.generate([request], steps)[0].astype(int) - image).max() <= 1


def test_the_image_counts_less_the_stronger_it_is_redrawn(bundle: Bundle, backends: dict[str, Backend]) -> None:
    generator = Generator(bundle, backends["ort"])
    assert generator.takes_images

    def spread(strength: float) -> float:
        one, other = generator.generate([Request("a", 7, start, strength) for start in STARTS[:2]])
        return float(np.abs(one.astype(int) - other).mean())

    assert spread(0.25) > spread(0.5) > spread(0.75) > 0
    assert spread(1.0) == 0  # zero terminal SNR: nothing is left of the image
    from_noise, from_image = generator.generate([Request("a", 7), Request("a", 7, STARTS[0], 1.0)])
    assert np.abs(from_noise.astype(int) - from_image).max() <= 1


@pytest.mark.parametrize(
    "image, strength, message",
    [
        (STARTS[0], 0.0, "strength 0.0 is out of range; accepted: above 0, up to 1"),
        (STARTS[0], 1.01, "strength 1.01 is out of range"),
        (STARTS[0], math.nan, "strength nan is out of range"),
        (STARTS[0, :8], 0.5, "the image to start from is 16x8; accepted: 16x16"),
        (STARTS[0].astype(np.float32), 0.5, r"must be uint8 \(H, W, 3\), got float32 \(16, 16, 3\)"),
        (STARTS[0, ..., 0], 0.5, r"must be uint8 \(H, W, 3\), got uint8 \(16, 16\)"),
        (STARTS, 0.5, r"got uint8 \(3, 16, 16, 3\)"),
    ],
)
def test_what_cannot_be_started_from_is_refused(
    image: Any, strength: float, message: str, bundle: Bundle, backends: dict[str, Backend]
) -> None:
    with pytest.raises(BadInput, match=message):
        Generator(bundle, backends["ort"]).generate([Request("a", 1), Request("a", 1, image, strength)])


def test_without_an_encoder_there_is_only_noise(bundle: Bundle, backends: dict[str, Backend]) -> None:
    graphs = {name: path for name, path in bundle.manifest.graphs.items() if name != "encoder"}
    without = dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"graphs": graphs}))
    generator = Generator(without, backends["ort"])
    assert not generator.takes_images
    assert generator.generate([Request("a", 1)]).shape == (1, 16, 16, 3)
    with pytest.raises(BadInput, match="tiny has no encoder: it draws from noise, not from an image"):
        generator.generate(_asked(0.5))


def test_warming_runs_the_encoder_as_well(bundle: Bundle) -> None:
    from runtime.ort import OrtBackend

    runner = OrtBackend(bundle, BackendOptions(threads=1))
    Generator(bundle, runner).warm(batches=(1, 2), images=True)
    assert set(runner._sessions) == {"one_step", "encoder", "conditioner", "denoiser", "decoder"}

"""Schedule and sampling: exact conversions, stock diffusers' tables, the same code for torch and numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler
from hypothesis import given
from hypothesis import strategies as st

from models import sampling
from models.errors import BadInput
from models.schedule import STUDENT_TIMESTEPS, Prediction, Schedule, student_scheduler
from models.stable_diffusion import TEACHER_SCHEDULER

PREDICTIONS: list[Prediction] = ["epsilon", "v_prediction", "sample"]


@pytest.mark.parametrize("kind", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("zero", [False, True])
def test_the_tables_are_those_of_diffusers(kind: str, zero: bool) -> None:
    config = {"beta_schedule": kind, "beta_start": 0.00085, "beta_end": 0.012, "rescale_betas_zero_snr": zero}
    stock = DDIMScheduler(**config).alphas_cumprod.double()
    ours = Schedule.from_config({**config, "prediction_type": "v_prediction"})
    assert np.allclose(np.square(ours.alpha), stock.numpy(), atol=2e-5)
    assert (ours.alpha[-1] == 0.0) == (zero or False)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_student_walks_the_timesteps_of_stock_diffusers(steps: int) -> None:
    config = student_scheduler(TEACHER_SCHEDULER)
    stock = LCMScheduler(**{key: value for key, value in config.items() if key != "_class_name"})
    stock.set_timesteps(steps)
    assert tuple(int(step) for step in stock.timesteps) == STUDENT_TIMESTEPS[steps]


@pytest.mark.parametrize("steps", [1, 4, 20, 50])
def test_trailing_timesteps_are_those_of_diffusers(steps: int) -> None:
    stock = DDIMScheduler(timestep_spacing="trailing")
    stock.set_timesteps(steps)
    ours = Schedule.from_config({"prediction_type": "epsilon"}).trailing(steps)
    assert ours == tuple(int(step) for step in stock.timesteps)


@given(
    st.floats(0.05, 0.999),
    st.sampled_from(PREDICTIONS),
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
)
def test_conversions_are_exact(alpha: float, prediction: Prediction, clean: list[float], drawn: list[float]) -> None:
    sigma = (1 - alpha**2) ** 0.5
    x0, noise = np.array(clean), np.array(drawn)
    sample = sampling.add_noise(x0, noise, alpha, sigma)
    outputs = {"epsilon": noise, "v_prediction": sampling.to_velocity(x0, noise, alpha, sigma), "sample": x0}
    assert np.allclose(sampling.to_x0(sample, outputs[prediction], alpha, sigma, prediction), x0, atol=1e-9)
    assert np.allclose(sampling.to_epsilon(sample, outputs[prediction], alpha, sigma, prediction), noise, atol=1e-9)


@given(st.floats(-4, 4), st.floats(-4, 4))
def test_guidance_composes_linearly(first: float, second: float) -> None:
    null, one, two = np.array([1.0, 2.0]), np.array([3.0, -1.0]), np.array([0.5, 0.5])
    guided = sampling.guide(null, [one, two], [first, second])
    assert np.allclose(guided, null + first * (one - null) + second * (two - null))


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_torch_and_numpy_walk_alike(steps: int) -> None:
    schedule = Schedule.from_config(TEACHER_SCHEDULER)
    noise = np.random.default_rng(0).standard_normal((steps, 2, 3, 4, 4)).astype(np.float32)

    def denoise(sample: Any, timestep: int) -> Any:
        return sample * 0.3 - timestep / 1000

    ours = sampling.student_loop(denoise, list(noise), STUDENT_TIMESTEPS[steps], schedule)
    theirs = sampling.student_loop(denoise, list(torch.from_numpy(noise)), STUDENT_TIMESTEPS[steps], schedule)
    assert ours.dtype == np.float32
    assert np.allclose(ours, theirs.numpy(), atol=1e-6)


def test_ddim_recovers_a_known_image_from_a_perfect_denoiser() -> None:
    schedule = Schedule.from_config(TEACHER_SCHEDULER)
    image = np.random.default_rng(1).standard_normal((1, 2, 4, 4))
    noise = np.random.default_rng(2).standard_normal((1, 2, 4, 4))

    def denoise(sample: Any, timestep: int) -> Any:
        alpha, sigma = schedule.alpha[timestep], schedule.sigma[timestep]
        epsilon = (sample - alpha * image) / sigma
        return sampling.to_velocity(image, epsilon, alpha, sigma)

    assert np.allclose(sampling.ddim(denoise, noise, schedule.trailing(5), schedule), image, atol=1e-6)


def test_unknown_schedules_are_refused_by_name() -> None:
    with pytest.raises(BadInput, match="beta_schedule 'sigmoid'"):
        Schedule.from_config({"beta_schedule": "sigmoid"})
    with pytest.raises(BadInput, match="prediction_type 'flow'"):
        Schedule.from_config({"prediction_type": "flow"})

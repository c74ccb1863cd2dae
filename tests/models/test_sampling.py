"""Schedule and sampling: exact conversions, stock diffusers' tables, the same code for torch and numpy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, LCMScheduler
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from models import sampling
from models.schedule import STUDENT_TIMESTEPS, Prediction, Schedule
from models.scheduler_configs import student_scheduler
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


@given(st.integers(0, 999), st.integers(-1, 1002))
def test_timesteps_are_distinct_and_of_the_schedule_or_refused(start: int, steps: int) -> None:
    schedule = Schedule.from_config({"prediction_type": "epsilon"})
    if 1 <= steps <= start + 1:
        walked = schedule.trailing(steps, start)
        assert len(set(walked)) == steps and walked[0] == start and walked[-1] >= 0
    else:
        with pytest.raises(BadInput, match=f"accepted: 1 to {start + 1}"):
            schedule.trailing(steps, start)


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


ZERO_SNR = {"beta_schedule": "squaredcos_cap_v2", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
EPSILON = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": "epsilon"}
SAMPLE = {**EPSILON, "prediction_type": "sample"}


def wavy(sample: Any, timestep: int) -> Any:
    """No perfect denoiser: its x0 moves from step to step, so the order of the solver shows."""
    return torch.tanh(sample) * 0.7 + 0.2 * np.cos(timestep / 150)


def by_diffusers(config: dict[str, Any], start: torch.Tensor, steps: int) -> torch.Tensor:
    stock = DPMSolverMultistepScheduler(**config, timestep_spacing="trailing")
    stock.set_timesteps(steps)
    sample = start
    for timestep in stock.timesteps:
        sample = stock.step(wavy(sample, int(timestep)), timestep, sample).prev_sample
    return sample


@pytest.mark.parametrize("steps", [2, 10, 20, 50])
@pytest.mark.parametrize("config", [ZERO_SNR, EPSILON, SAMPLE], ids=["v, zero SNR", "epsilon", "sample"])
def test_dpm_solver_is_that_of_diffusers(config: dict[str, Any], steps: int) -> None:
    """Stock diffusers puts ᾱ = 2⁻²⁴ in place of a zero; with the same number both walk alike."""
    schedule = Schedule.from_config(config)
    if config is ZERO_SNR:
        schedule = replace(schedule, alpha=(*schedule.alpha[:-1], 2.0**-12))
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ours = sampling.dpm_solver(wavy, start, schedule.trailing(steps), schedule)
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, by_diffusers(config, start, steps), atol=2e-4)


def test_dpm_solver_at_exactly_zero_snr_stays_near_diffusers() -> None:
    schedule = Schedule.from_config(ZERO_SNR)
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ours = sampling.dpm_solver(wavy, start, schedule.trailing(50), schedule)
    assert torch.allclose(ours, by_diffusers(ZERO_SNR, start, 50), atol=0.02)


def test_dpm_solver_needs_fewer_steps_than_ddim() -> None:
    """Of second order: at 15 steps it lies nearer to the limit of many steps."""
    schedule = Schedule.from_config(ZERO_SNR)
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    limit = sampling.ddim(wavy, start, schedule.trailing(1000), schedule)
    far = {name: (walk(wavy, start, schedule.trailing(15), schedule) - limit).abs().mean()
           for name, walk in sampling.SAMPLERS.items()}  # fmt: skip
    assert far["dpm-solver++"] < 0.7 * far["ddim"]


@pytest.mark.parametrize("config", [ZERO_SNR, EPSILON], ids=["v, zero SNR", "epsilon"])
def test_ddpm_is_stock_ddim_with_all_its_noise(config: dict[str, Any]) -> None:
    steps, schedule = 10, Schedule.from_config(config)
    stock = DDIMScheduler(**config, timestep_spacing="trailing", clip_sample=False)
    stock.set_timesteps(steps)
    noise = torch.randn(steps, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = noise[0]
    for timestep, fresh in zip(stock.timesteps, [*noise[1:], noise[0]], strict=True):  # the last step adds none
        output = wavy(expected, int(timestep))
        expected = stock.step(output, timestep, expected, eta=1.0, variance_noise=fresh).prev_sample
    found = sampling.ddpm(wavy, list(noise), schedule.trailing(steps), schedule)
    assert torch.allclose(found, expected, atol=1e-3)


def test_one_step_of_either_sampler_is_the_prediction() -> None:
    schedule = Schedule.from_config(ZERO_SNR)
    start = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    first, second = (walk(wavy, start, (999,), schedule) for walk in sampling.SAMPLERS.values())
    assert torch.equal(first, second)


def test_unknown_schedules_are_refused_by_name() -> None:
    with pytest.raises(BadInput, match="beta_schedule 'sigmoid'"):
        Schedule.from_config({"beta_schedule": "sigmoid"})
    with pytest.raises(BadInput, match="prediction_type 'flow'"):
        Schedule.from_config({"prediction_type": "flow"})

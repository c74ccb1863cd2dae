"""Sampling written once for training, the eager reference and the deployed generator; knows neither torch nor numpy.

Coefficients come in as Python floats (samplers) or as arrays of the sample's own kind, shaped to broadcast (training).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from models.schedule import Prediction, Schedule

Array = Any
"""A torch tensor or a numpy array, `(N, C, h, w)`."""
Denoise = Callable[[Array, Any], Array]
"""`(sample, timestep) → model output`, conditioning already bound; samplers pass one int, training one a sample."""


def add_noise(x0: Array, noise: Array, alpha: Any, sigma: Any) -> Array:
    """The forward process `x_t = α·x0 + σ·ε` of `(N, C, h, w)` arrays (DDPM, arXiv 2006.11239, equation 4)."""
    return x0 * alpha + noise * sigma


def to_x0(sample: Array, output: Array, alpha: Any, sigma: Any, prediction: Prediction) -> Array:
    """The clean sample `(N, C, h, w)` that a model output stands for; v is that of Salimans & Ho 2022 (arXiv 2202.00512)."""
    if prediction == "v_prediction":
        return sample * alpha - output * sigma
    if prediction == "epsilon":
        return (sample - output * sigma) / alpha
    return output


def to_epsilon(sample: Array, output: Array, alpha: Any, sigma: Any, prediction: Prediction) -> Array:
    """The noise `(N, C, h, w)` that a model output stands for."""
    if prediction == "v_prediction":
        return output * alpha + sample * sigma
    if prediction == "epsilon":
        return output
    return (sample - output * alpha) / sigma


def to_velocity(x0: Array, noise: Array, alpha: Any, sigma: Any) -> Array:
    """The v-prediction target `v = α·ε − σ·x0` of `(N, C, h, w)` arrays (arXiv 2202.00512, appendix D)."""
    return noise * alpha - x0 * sigma


def guide(null: Array, conditions: Sequence[Array], weights: Sequence[Any]) -> Array:
    """Guidance over any number of conditions, `null + Σ wᵢ·(condᵢ − null)`: model outputs `(N, C, h, w)` → the same.

    Weights are numbers, or arrays that broadcast (classifier-free: arXiv 2207.12598, equation 6; composed: 2206.01714).
    """
    out = null
    for condition, weight in zip(conditions, weights, strict=True):
        out = out + (condition - null) * weight
    return out


def student_loop(denoise: Denoise, noise: Sequence[Array], timesteps: Sequence[int], schedule: Schedule) -> Array:
    """ADD's k-step sampler (arXiv 2311.17042, section 3): predict x0, re-noise to the next timestep, repeat.

    `noise` holds one `(N, C, h, w)` array a timestep; the first is the start. Returns x0 `(N, C, h, w)`.
    """
    first, *later = timesteps
    sample = noise[0]
    x0 = _predict(denoise, sample, first, schedule)
    for timestep, fresh in zip(later, noise[1:], strict=True):
        sample = add_noise(x0, fresh, schedule.alpha[timestep], schedule.sigma[timestep])
        x0 = _predict(denoise, sample, timestep, schedule)
    return x0


def ddpm(denoise: Denoise, noise: Sequence[Array], timesteps: Sequence[int], schedule: Schedule) -> Array:
    """Ancestral sampling: mean and variance of the posterior (DDPM, equation 7) between any two timesteps t > s, which is
    DDIM with η = 1 (arXiv 2010.02502, equation 16). `noise` as `student_loop` takes it. Returns x0 `(N, C, h, w)`."""
    sample = noise[0]
    for (timestep, following), fresh in zip(itertools.pairwise(timesteps), noise[1:], strict=True):
        x0 = _predict(denoise, sample, timestep, schedule)
        alpha, sigma = schedule.alpha[following], schedule.sigma[following]
        ratio = schedule.alpha[timestep] / alpha  # how much of x_s is in x_t; 0 at zero terminal SNR
        beta = 1.0 - ratio**2  # of the way from s to t
        variance = schedule.sigma[timestep] ** 2
        mean = x0 * (alpha * beta / variance) + sample * (ratio * sigma**2 / variance)
        sample = mean + fresh * (sigma * math.sqrt(beta / variance))
    return _predict(denoise, sample, timesteps[-1], schedule)


def ddim(denoise: Denoise, sample: Array, timesteps: Sequence[int], schedule: Schedule) -> Array:
    """Deterministic DDIM (arXiv 2010.02502, equation 12 with η = 0) from `sample (N, C, h, w)` at timesteps[0] to x0."""
    for index, timestep in enumerate(timesteps):
        alpha, sigma = schedule.alpha[timestep], schedule.sigma[timestep]
        output = denoise(sample, timestep)
        x0 = to_x0(sample, output, alpha, sigma, schedule.prediction_type)
        if index + 1 == len(timesteps):
            return x0
        epsilon = to_epsilon(sample, output, alpha, sigma, schedule.prediction_type)
        following = timesteps[index + 1]
        sample = add_noise(x0, epsilon, schedule.alpha[following], schedule.sigma[following])
    raise AssertionError("ddim needs at least one timestep")


def dpm_solver(denoise: Denoise, sample: Array, timesteps: Sequence[int], schedule: Schedule) -> Array:
    """DPM-Solver++(2M), data prediction (arXiv 2211.01095, algorithm 2), from `sample (N, C, h, w)` down to x0.

    The first step is of first order, and so is the second where the schedule starts at zero SNR: λ = log(α/σ) is −∞ there,
    and no slope of x0 over λ can be known yet.
    """
    before: Array | None = None
    step_before = math.inf
    for timestep, following in itertools.pairwise(timesteps):
        x0 = _predict(denoise, sample, timestep, schedule)
        step = _log_snr(schedule, following) - _log_snr(schedule, timestep)  # h in the paper, > 0
        slope = 0.0 if before is None else step / (2 * step_before)  # 1/2r
        extrapolated = x0 if slope == 0.0 else x0 + (x0 - before) * slope
        shrink = schedule.sigma[following] / schedule.sigma[timestep]
        sample = sample * shrink - extrapolated * (schedule.alpha[following] * math.expm1(-step))
        before, step_before = x0, step
    return _predict(denoise, sample, timesteps[-1], schedule)


Deterministic = Literal["ddim", "dpm-solver++"]
"""Names of the many-step samplers that end where their start says."""
SAMPLERS: dict[str, Callable[..., Array]] = {"ddim": ddim, "dpm-solver++": dpm_solver}
"""The deterministic many-step samplers by name."""
ANCESTRAL = {"ddpm": ddpm}
"""Those that draw noise at every step."""


def _log_snr(schedule: Schedule, timestep: int) -> float:
    """λ = log(α/σ)."""
    alpha, sigma = schedule.alpha[timestep], schedule.sigma[timestep]
    return -math.inf if alpha == 0.0 else math.log(alpha / sigma)


def _predict(denoise: Denoise, sample: Array, timestep: int, schedule: Schedule) -> Array:
    alpha, sigma = schedule.alpha[timestep], schedule.sigma[timestep]
    return to_x0(sample, denoise(sample, timestep), alpha, sigma, schedule.prediction_type)

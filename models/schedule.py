"""The noise schedule as plain numbers; it knows neither torch nor numpy nor any network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from base.errors import BadInput

Prediction = Literal["epsilon", "v_prediction", "sample"]
BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]

STUDENT_TIMESTEPS: dict[int, tuple[int, ...]] = {1: (999,), 2: (999, 499), 3: (999, 749, 499), 4: (999, 749, 499, 249)}
"""Steps → timesteps of ADD's student, as diffusers' LCMScheduler walks them with `original_inference_steps: 4`."""
TRIGONOMETRIC_STEPS = 1000
"""Timesteps that a trigonometric schedule is cut into."""


def student_timesteps(steps: int, strength: float = 1.0) -> tuple[int, ...]:
    """The student's timesteps from `strength` (above 0, up to 1: all the way to noise) down, descending.

    The first is the nearest of the student's own (0.25, 0.5, 0.75 and 1 of the way; a tie goes to more noise). There are
    `steps` of them, or as many as are left from there. BadInput: a strength out of range.
    """
    if not 0 < strength <= 1:  # NaN is out of range too
        raise BadInput(f"strength {strength} is out of range; accepted: above 0, up to 1")
    every = STUDENT_TIMESTEPS[max(STUDENT_TIMESTEPS)]
    left = max(1, int(strength * len(every) + 0.5))
    count = min(steps, left)
    return tuple(every[len(every) - left + index * left // count] for index in range(count))


@dataclass(frozen=True)
class Schedule:
    """`x_t = alpha[t]·x0 + sigma[t]·ε` for t = 0 … T−1, and what the denoiser predicts."""

    alpha: tuple[float, ...]
    sigma: tuple[float, ...]
    prediction_type: Prediction

    def __len__(self) -> int:
        return len(self.alpha)

    def trailing(self, steps: int, start: int | None = None) -> tuple[int, ...]:
        """`steps` timesteps from `start` (T−1) downwards, evenly spaced ("trailing", Lin et al. 2023, arXiv 2305.08891).

        BadInput: none, or more than there are from there.
        """
        total = len(self) if start is None else start + 1
        if not 1 <= steps <= total:  # of more, some would be one timestep twice, and the last none at all
            raise BadInput(f"{steps} steps from timestep {total - 1} are not to be had; accepted: 1 to {total}")
        return tuple(round(total - index * total / steps) - 1 for index in range(steps))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Schedule:
        """Build from a diffusers `scheduler_config.json`. BadInput: one that is not read."""
        if is_flow(config):
            return cls.trigonometric()
        total = int(config.get("num_train_timesteps", 1000))
        products = _alphas_cumprod(config, total)
        if config.get("rescale_betas_zero_snr", False):
            products = _zero_terminal_snr(products)
        prediction = config.get("prediction_type", "epsilon")
        if prediction not in ("epsilon", "v_prediction", "sample"):
            raise BadInput(f"prediction_type '{prediction}' is not one of epsilon, v_prediction, sample")
        return cls(
            alpha=tuple(math.sqrt(product) for product in products),
            sigma=tuple(math.sqrt(1.0 - product) for product in products),
            prediction_type=prediction,
        )

    @classmethod
    def trigonometric(cls) -> Schedule:
        """α = cos, σ = sin of an angle that grows evenly up to π/2 (TrigFlow, arXiv 2410.11081, section 4).

        Every flow-matching network is a v-prediction of it: `models/sana_transformer.py` shows how.
        """
        angles = [(index + 1) / TRIGONOMETRIC_STEPS * math.pi / 2 for index in range(TRIGONOMETRIC_STEPS)]
        alpha = (*(math.cos(angle) for angle in angles[:-1]), 0.0)
        return cls(alpha, tuple(math.sin(angle) for angle in angles), "v_prediction")


def is_flow(config: Mapping[str, Any]) -> bool:
    """Whether a `scheduler_config.json` is one of flow matching, straight or trigonometric."""
    predicts = config.get("prediction_type") in ("flow_prediction", "trigflow")
    return predicts or str(config.get("_class_name", "")).startswith("FlowMatch")


def _alphas_cumprod(config: Mapping[str, Any], total: int) -> list[float]:
    products, product = [], 1.0
    for beta in _betas(config, total):
        product *= 1.0 - beta
        products.append(product)
    return products


def _betas(config: Mapping[str, Any], total: int) -> list[float]:
    kind = config.get("beta_schedule", "linear")
    start, end = float(config.get("beta_start", 1e-4)), float(config.get("beta_end", 0.02))
    if kind == "linear":
        return [start + (end - start) * t / (total - 1) for t in range(total)]
    if kind == "scaled_linear":
        low, high = math.sqrt(start), math.sqrt(end)
        return [(low + (high - low) * t / (total - 1)) ** 2 for t in range(total)]
    if kind == "squaredcos_cap_v2":
        return [min(1.0 - _cosine((t + 1) / total) / _cosine(t / total), 0.999) for t in range(total)]
    raise BadInput(f"beta_schedule '{kind}' is not one of linear, scaled_linear, squaredcos_cap_v2")


def _cosine(time: float) -> float:
    """Nichol & Dhariwal 2021 (arXiv 2102.09672), equation 17."""
    return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2


def _zero_terminal_snr(products: list[float]) -> list[float]:
    """Shift and scale so that the last product is 0 and the first stays (arXiv 2305.08891, algorithm 1)."""
    roots = [math.sqrt(product) for product in products]
    first, last = roots[0], roots[-1]
    return [((root - last) * first / (first - last)) ** 2 for root in roots]

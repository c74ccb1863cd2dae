"""The noise schedule as plain numbers; it knows neither torch nor numpy nor any network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from base.errors import BadInput

Prediction = Literal["epsilon", "v_prediction", "sample"]
BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]

BETAS: dict[BetaSchedule, tuple[float, float]] = {
    "linear": (1e-4, 0.02),
    "scaled_linear": (0.00085, 0.012),
    "squaredcos_cap_v2": (1e-4, 0.02),
}
"""First and last β of each schedule: DDPM's (arXiv 2006.11239), Stable Diffusion's; the cosine one needs none."""

STUDENT_TIMESTEPS: dict[int, tuple[int, ...]] = {1: (999,), 2: (999, 499), 3: (999, 749, 499), 4: (999, 749, 499, 249)}
"""Steps → timesteps of ADD's student, as diffusers' LCMScheduler walks them with `original_inference_steps: 4`."""
STUDENT_SCHEDULERS = ("LCMScheduler", "SCMScheduler")
"""By which a student is known on disk; the second is of the trigonometric schedule."""
TRIGONOMETRIC_STEPS = 1000
"""Timesteps that a trigonometric schedule is cut into."""
TRAINED_TIMESTEPS = 1000
"""T of every schedule that is read: the student's timesteps are of it."""

_BETA_KEYS = ("beta_schedule", "beta_start", "beta_end")
_TURBO_SCHEDULERS = ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
_OTHER_SCHEDULES = {"use_flow_sigmas": True, "timestep_type": "continuous"}
"""Settings of schedulers that have betas and do not train or sample by them: flow matching, EDM."""


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


def is_student(config: Mapping[str, Any]) -> bool:
    """Whether a `scheduler_config.json` is a student's."""
    return config["_class_name"] in STUDENT_SCHEDULERS


def check_student(config: Mapping[str, Any], name: str) -> None:
    """BadInput: the scheduler of what the user calls `name` is no student's."""
    if not is_student(config):
        accepted = " or ".join(STUDENT_SCHEDULERS)
        raise BadInput(f"{name} is no student: its scheduler is {config['_class_name']}, a student's is {accepted}")


def base_scheduler(base: Mapping[str, Any], name: str = "the base") -> dict[str, Any]:
    """The scheduler of an opened pipeline: stock diffusers then samples as we do. `name`: what messages call the base.

    Whatever a base comes with (PNDM, Euler, DDIM from its first timesteps) becomes DDIM from the last timestep down, over
    the same betas and prediction; a student's LCM stays. BadInput: a schedule without betas or with betas of its own, or a
    prediction that is not read.
    """
    kind = base.get("_class_name")
    if base.get("trained_betas") is not None:
        raise BadInput(
            f"{name}: a scheduler with trained_betas is not read: beta_schedule, beta_start and beta_end are"
        )
    if missing := [key for key in _BETA_KEYS if base.get(key) is None]:
        raise BadInput(
            f"{name}: its scheduler {kind} has no betas ({missing[0]}), so it was trained on another schedule"
        )
    if odd := [key for key, value in _OTHER_SCHEDULES.items() if base.get(key) == value]:
        raise BadInput(
            f"{name}: its scheduler {kind} has {odd[0]} {_OTHER_SCHEDULES[odd[0]]}: that schedule is not read"
        )
    scheduler = dict(base) if kind in STUDENT_SCHEDULERS else _ddim(base)
    try:
        schedule = Schedule.from_config(scheduler)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
    if len(schedule) != TRAINED_TIMESTEPS:
        raise BadInput(f"{name}: it was trained on {len(schedule)} timesteps; accepted: {TRAINED_TIMESTEPS}")
    if schedule.prediction_type == "epsilon" and schedule.alpha[-1] == 0:
        raise BadInput(
            f"{name}: epsilon with zero terminal SNR: pure noise holds no x0; accepted: v_prediction, sample"
        )
    return scheduler


def is_few_step(published: Mapping[str, Any]) -> bool:
    """Whether a base's published scheduler is that of a model distilled by ADD: SD-Turbo's, SDXL-Turbo's.

    Euler from the last timestep down ("trailing") over an epsilon schedule that does not end in pure noise: a teacher of
    that kind has no use for it.
    """
    return (
        published.get("_class_name") in _TURBO_SCHEDULERS
        and published.get("timestep_spacing") == "trailing"
        and published.get("prediction_type", "epsilon") == "epsilon"
        and not published.get("rescale_betas_zero_snr", False)
    )


def _ddim(base: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_class_name": "DDIMScheduler",
        **{key: base[key] for key in ("num_train_timesteps", *_BETA_KEYS) if key in base},
        "clip_sample": False,
        "prediction_type": base.get("prediction_type", "epsilon"),
        "rescale_betas_zero_snr": bool(base.get("rescale_betas_zero_snr", False)),
        "set_alpha_to_one": True,
        "timestep_spacing": "trailing",
    }


def teacher_scheduler(
    prediction: Prediction, beta_schedule: BetaSchedule, zero_snr: bool | None = None
) -> dict[str, Any]:
    """The scheduler of a teacher from scratch, as diffusers writes it; zero terminal SNR (arXiv 2305.08891) where it can be.

    BadInput: epsilon with zero terminal SNR.
    """
    zero = prediction != "epsilon" if zero_snr is None else zero_snr
    if zero and prediction == "epsilon":
        raise BadInput("zero_snr with prediction epsilon: pure noise holds no x0; accepted: v_prediction, sample")
    start, end = BETAS[beta_schedule]
    return {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 1000,
        "beta_schedule": beta_schedule,
        "beta_start": start,
        "beta_end": end,
        "clip_sample": False,
        "prediction_type": prediction,
        "rescale_betas_zero_snr": zero,
        "set_alpha_to_one": True,
        "timestep_spacing": "trailing",
    }


def student_scheduler(teacher: Mapping[str, Any], prediction: Prediction | None = None) -> dict[str, Any]:
    """The scheduler of a student of `teacher`: stock diffusers then runs exactly ADD's k-step loop at guidance 0.

    Students of v and x0 have zero terminal SNR whatever their teacher had; one of epsilon cannot (α would be 0).
    """
    if is_flow(teacher):
        if prediction not in (None, "v_prediction"):
            raise BadInput(
                f"prediction: {prediction} is not to be had of a flow-matching teacher; accepted: v_prediction"
            )
        config = {"num_train_timesteps": TRIGONOMETRIC_STEPS, "prediction_type": "trigflow", "sigma_data": 0.5}
        return {"_class_name": STUDENT_SCHEDULERS[1], **config}
    prediction = prediction or teacher.get("prediction_type", "epsilon")
    keys = ("num_train_timesteps", "beta_schedule", "beta_start", "beta_end")
    return {
        **{key: teacher[key] for key in keys if key in teacher},
        "_class_name": STUDENT_SCHEDULERS[0],
        "prediction_type": prediction,
        "rescale_betas_zero_snr": prediction != "epsilon",
        "original_inference_steps": 4,
        "steps_offset": 1,
        "clip_sample": False,
    }


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

"""`scheduler_config.json` as diffusers writes it: of a base, a teacher from scratch, a student; it knows no network.

It imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from base.errors import BadInput
from models.schedule import TRIGONOMETRIC_STEPS, BetaSchedule, Prediction, Schedule, is_flow

BETAS: dict[BetaSchedule, tuple[float, float]] = {
    "linear": (1e-4, 0.02),
    "scaled_linear": (0.00085, 0.012),
    "squaredcos_cap_v2": (1e-4, 0.02),
}
"""First and last β of each schedule: DDPM's (arXiv 2006.11239), Stable Diffusion's; the cosine one needs none."""

STUDENT_SCHEDULERS = ("LCMScheduler", "SCMScheduler")
"""By which a student is known on disk; the second is of the trigonometric schedule."""
TRAINED_TIMESTEPS = 1000
"""T of every schedule that is read: the student's timesteps are of it."""

_BETA_KEYS = ("beta_schedule", "beta_start", "beta_end")
_TURBO_SCHEDULERS = ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
_OTHER_SCHEDULES = {"use_flow_sigmas": True, "timestep_type": "continuous"}
"""Settings of schedulers that have betas and do not train or sample by them: flow matching, EDM."""


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

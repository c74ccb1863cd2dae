"""What clients of Automatic1111's web UI read beside pictures: lists, progress, memory; it knows no model and draws nothing.

A part of the dialect in `automatic1111.py`. Most lists are empty: a bundle has no other networks than its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import psutil
from fastapi import APIRouter, Request

from serving.answering import artist_of
from serving.dialects.automatic1111_upscalers import UPSCALERS

SAMPLER = "LCM"
FIXED: dict[str, Any] = {
    "samplers": [{"name": SAMPLER, "aliases": [SAMPLER.lower()], "options": {}}],
    "schedulers": [
        {"name": "automatic", "label": "Automatic", "aliases": None, "default_rho": -1.0, "need_inner_model": False}
    ],
    "upscalers": [
        {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4.0} for name in UPSCALERS
    ],
    "latent-upscale-modes": [],
    "sd-vae": [],
    "sd-modules": [],
    "loras": [],
    "hypernetworks": [],
    "face-restorers": [],
    "realesrgan-models": [],
    "prompt-styles": [],
    "embeddings": {"loaded": {}, "skipped": {}},
    "scripts": {"txt2img": [], "img2img": []},
    "script-info": [],
    "extensions": [],
    "cmd-flags": {"api": True},
}
"""Path → what is always answered to GET."""
NOTHING_TO_DO: dict[str, Any] = {
    "interrupt": {},
    "skip": None,
    "refresh-checkpoints": None,
    "refresh-vae": None,
    "refresh-loras": None,
    "refresh-embeddings": None,
    "reload-checkpoint": None,
    "unload-checkpoint": {},
}
"""Path → what is answered to POST. No picture of others is interrupted: one whose client hangs up is given up anyway."""

router = APIRouter(prefix="/sdapi/v1")


def _always(answer: Any) -> Callable[[], Awaitable[Any]]:
    async def fixed() -> Any:
        return answer

    return fixed


for path, answer in FIXED.items():
    router.add_api_route(
        f"/{path}", _always(answer), methods=["GET"], name=path, description="The same for every model."
    )
for path, answer in NOTHING_TO_DO.items():
    router.add_api_route(f"/{path}", _always(answer), methods=["POST"], name=path, description="Changes nothing here.")


@router.get("/progress")
async def progress(request: Request) -> dict[str, Any]:
    """How many pictures wait to be drawn; each takes one step, so that there is nothing to see of it before."""
    waiting = artist_of(request).depth
    state = {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "",
        "job_count": waiting,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    }
    return {
        "progress": 0.0,
        "eta_relative": 0.0,
        "state": state,
        "current_image": None,
        "textinfo": None,
        "current_task": None,
    }


@router.get("/memory")
async def memory() -> dict[str, Any]:
    """Bytes of memory that the machine has and that this process uses."""
    total, used = psutil.virtual_memory().total, psutil.Process().memory_info().rss
    return {"ram": {"free": total - used, "used": used, "total": total}, "cuda": {"error": "GPUs are not looked at"}}

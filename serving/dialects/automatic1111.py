"""What clients of Automatic1111's web UI ask for below `/sdapi/v1`: as tolerant as they need it; it knows no model.

What means nothing to a one-step student (negative prompt, guidance, sampler) is accepted and ignored; `info` tells what was
drawn.
"""

from __future__ import annotations

import base64
import json
from http.client import responses
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from models.noise import MAX_SEED
from runtime.shapes import size_list
from serving import schema
from serving.answering import artist_of, draw, registry_of
from serving.dialect import Dialect
from serving.schema import Order, Refused

if TYPE_CHECKING:
    from serving.registry import Model

MOST_STEPS = 4
SAMPLER = "LCM"


class Txt2Img(BaseModel):
    """`POST /sdapi/v1/txt2img`: the fields that have a meaning here, other ones are ignored."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    prompt: str = ""
    """What to draw; a label's name where the model knows classes, text such as `Zombie, Cap=2` where it knows attributes."""
    negative_prompt: str | None = ""
    """Ignored: it has no effect without guidance."""
    seed: int = Field(default=-1, ge=-1, le=MAX_SEED)
    """-1: a random one."""
    steps: int = Field(default=1, ge=1)
    """More than 4 are 4."""
    batch_size: int = Field(default=1, ge=1)
    n_iter: int = Field(default=1, ge=1)
    width: int | None = None
    height: int | None = None
    """A size that the model does not offer is its own one."""
    override_settings: dict[str, Any] | None = None
    """`sd_model_checkpoint` chooses the model of this request."""


class Img2Img(Txt2Img):
    """`POST /sdapi/v1/img2img`."""

    init_images: list[str] = Field(min_length=1, max_length=1)
    """One picture to start from, in base64."""
    denoising_strength: float = Field(default=0.75, ge=0, le=1)


class OptionsBody(BaseModel):
    """`POST /sdapi/v1/options`: the model of requests that name none; other options are ignored."""

    model_config = ConfigDict(extra="ignore")

    sd_model_checkpoint: str | None = None


router = APIRouter(prefix="/sdapi/v1")


@router.post("/txt2img")
async def txt2img(body: Txt2Img, request: Request) -> dict[str, Any]:
    """Draw."""
    return await _draw(body, request, {})


@router.post("/img2img")
async def img2img(body: Img2Img, request: Request) -> dict[str, Any]:
    """Draw, starting from a picture."""
    strength = max(body.denoising_strength, 1e-6)  # none at all snaps to the least there is
    return await _draw(body, request, {"image": body.init_images[0], "strength": strength})


@router.get("/options")
async def options(request: Request) -> dict[str, Any]:
    """The options that have a meaning here."""
    model = _checkpoint(request)
    return {"sd_model_checkpoint": model.title, "sd_checkpoint_hash": model.hash, "samples_format": "png"}


@router.post("/options")
async def set_options(body: OptionsBody, request: Request) -> None:
    """Choose the model of requests that name none."""
    if body.sd_model_checkpoint is not None:
        request.app.state.checkpoint = _named(request, body.sd_model_checkpoint).name


@router.get("/sd-models")
async def sd_models(request: Request) -> list[dict[str, Any]]:
    """The models that are served."""
    return [
        {
            "title": model.title,
            "model_name": model.name,
            "hash": model.hash[:10],
            "sha256": model.hash,
            "filename": model.name,
            "config": None,
        }
        for model in registry_of(request)
    ]


@router.get("/samplers")
async def samplers() -> list[dict[str, Any]]:
    """The student's one way to draw."""
    return [{"name": SAMPLER, "aliases": [SAMPLER.lower()], "options": {}}]


async def _draw(body: Txt2Img, request: Request, start: dict[str, Any]) -> dict[str, Any]:
    """Draw `body`, with the fields `start` of `/generate` for an image to start from."""
    chosen = (body.override_settings or {}).get("sd_model_checkpoint")
    model = _checkpoint(request) if chosen is None else _named(request, str(chosen))
    order = _order(body, request, model, start)
    result = await draw(request, model, order)
    images = [base64.b64encode(file).decode() for file in result.files]
    parameters = body.model_dump(include={"prompt", "seed", "steps", "batch_size", "n_iter", "width", "height"})
    return {"images": images, "parameters": parameters, "info": json.dumps(_info(model, order))}


def _order(body: Txt2Img, request: Request, model: Model, start: dict[str, Any]) -> Order:
    """The order that `/generate` would make of the same request. Raises Refused."""
    fields = {
        **dict.fromkeys(model.manifest.inputs, body.prompt),
        "seed": None if body.seed == -1 else body.seed,
        "steps": min(body.steps, MOST_STEPS),
        "n": body.batch_size * body.n_iter,
        "size": size_list([size for size in model.manifest.sizes if size == (body.width, body.height)]) or "auto",
        "format": "png",
        **start,
    }
    return schema.order(schema.checked(model.manifest.task, fields), artist_of(request).config, model.manifest)


def _info(model: Model, order: Order) -> dict[str, Any]:
    """What Automatic1111's field `info` holds, as JSON."""
    (width, height), prompt = order.size, model.task.text(order.input)
    seeds = list(range(order.seed, order.seed + order.n))
    settings = f"Steps: {order.steps}, Sampler: {SAMPLER}, Size: {width}x{height}, Model: {model.name}"
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * order.n,
        "negative_prompt": "",
        "seed": order.seed,
        "all_seeds": seeds,
        "width": width,
        "height": height,
        "sampler_name": SAMPLER,
        "cfg_scale": 0,
        "steps": order.steps,
        "batch_size": order.n,
        "sd_model_name": model.name,
        "sd_model_hash": model.hash[:10],
        "infotexts": [f"{prompt}\n{settings}, Seed: {seed}" for seed in seeds],
    }


def _checkpoint(request: Request) -> Model:
    """The model chosen by the options, while it is served; otherwise the first."""
    registry = registry_of(request)
    chosen = getattr(request.app.state, "checkpoint", None)
    return next((model for model in registry if model.name == chosen), registry.first)


def _named(request: Request, text: str) -> Model:
    """The model of a name, title or hash, with a file's ending or without. Raises Refused."""
    registry = registry_of(request)
    name = text.removesuffix(".safetensors").removesuffix(".ckpt")
    for model in registry:
        if name in (model.name, model.title, model.hash, model.hash[:10]):
            return model
    titles = ", ".join(model.title for model in registry)
    raise Refused(f"the model {text!r:.60} does not exist; accepted: {titles}", status=404)


def error_body(refused: Refused) -> dict[str, Any]:
    """Automatic1111's error: the status in words, and the line as detail and errors."""
    phrase = responses.get(refused.status, "Client Closed Request")  # 499 is nginx's, no standard's
    return {"error": phrase, "detail": str(refused), "body": "", "errors": str(refused)}


ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "detail"],
    "properties": {"error": {"type": "string"}, "detail": {"type": "string"}},
}
DIALECT = Dialect(
    prefix="/sdapi",
    router=lambda model: router,
    error_body=error_body,
    error_schema=ERROR_SCHEMA,
    error_description="What was wrong and what is accepted, in Automatic1111's shape.",
)

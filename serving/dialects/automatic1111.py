"""What clients of Automatic1111's web UI ask for below `/sdapi/v1`: as tolerant as they need it; it knows no model.

What means nothing to a one-step student (negative prompt, guidance, sampler, marks in a prompt) is accepted and ignored; `info`
tells what was drawn and lists what was ignored.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from http.client import responses
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from models.noise import MAX_SEED
from runtime.shapes import size_list
from serving.answering import artist_of, draw, headers, registry_of, resized
from serving.canvas import Mask
from serving.dialect import Dialect, joined
from serving.dialects import automatic1111_lists, automatic1111_pictures
from serving.dialects.automatic1111_lists import SAMPLER
from serving.dialects.automatic1111_pictures import chosen_model
from serving.dialects.automatic1111_prompts import by_weight, plain
from serving.order import Order, order_of
from serving.refused import Refused
from serving.schema import PICTURE, OptionalNulls, checked, from_base64
from serving.serve_config import MOST_STEPS

if TYPE_CHECKING:
    from serving.registry import Model

NO_EFFECT = ("negative_prompt", "styles", "enable_hr", "restore_faces", "tiling", "refiner_checkpoint", "script_name")
"""Keys that `info` lists where a request sets them."""


class Txt2Img(OptionalNulls):
    """`POST /sdapi/v1/txt2img`: the fields that have a meaning here, other ones are ignored; null is the default of each."""

    prompt: str = ""
    """What to draw; a label's name where the model knows classes, text such as `Zombie, Cap=2` where it knows attributes.
    Empty: whatever the seed gives."""
    seed: int = Field(default=-1, ge=-1, le=MAX_SEED)
    """-1: a random one."""
    steps: int | None = Field(default=None, ge=1)
    """More than 4, which a student does not know, are as many as the operator set: one by default."""
    batch_size: int = Field(default=1, ge=1)
    n_iter: int = Field(default=1, ge=1)
    width: int = Field(default=0, ge=0)
    height: int = Field(default=0, ge=0)
    """A size that the model does not draw is resized; the header `x-drawn-size` says from which size. 0: the model's own."""
    override_settings: dict[str, Any] = {}
    """`sd_model_checkpoint` chooses the model of this request."""
    alwayson_scripts: dict[str, Any] = {}
    """Extensions, of which there are none: ignored, and listed."""
    send_images: bool = True


class Img2Img(Txt2Img):
    """`POST /sdapi/v1/img2img`."""

    init_images: list[str] = Field(min_length=1, max_length=1, examples=[[PICTURE]])
    """One picture to start from, in base64."""
    denoising_strength: float = Field(default=0.75, ge=0, le=1)
    mask: str | None = Field(default=None, examples=[PICTURE])
    """A picture of its proportions, in base64, white where to draw anew: what it leaves is kept to the bit."""
    inpainting_mask_invert: int = Field(default=0, ge=0, le=1)
    """1: black where to draw anew."""
    mask_blur: float = Field(default=4, ge=0, le=64)


class OptionsBody(BaseModel):
    """`POST /sdapi/v1/options`: the model of requests that name none; other options are ignored."""

    model_config = ConfigDict(extra="ignore")

    sd_model_checkpoint: str | None = None


router = APIRouter(prefix="/sdapi/v1")


@router.post("/txt2img")
async def txt2img(body: Txt2Img, request: Request, response: Response) -> dict[str, Any]:
    """Draw."""
    model = _model(body, request)
    return await _draw(body, request, response, model, _order(body, request, model))


@router.post("/img2img")
async def img2img(body: Img2Img, request: Request, response: Response) -> dict[str, Any]:
    """Draw, starting from a picture."""
    model = _model(body, request)
    strength = max(body.denoising_strength, 1e-6)  # none at all snaps to the least there is
    start = {"image": body.init_images[0], "strength": strength}
    order = _order(body, request, model, start)
    if body.mask:
        file = from_base64(body.mask, "mask")
        order = replace(order, mask=Mask(file, inverted=bool(body.inpainting_mask_invert), blur=body.mask_blur))
    return await _draw(body, request, response, model, order)


@router.get("/options")
async def options(request: Request) -> dict[str, Any]:
    """The options that have a meaning here."""
    model = chosen_model(request)
    return {"sd_model_checkpoint": model.title, "sd_checkpoint_hash": model.hash, "samples_format": "png"}


@router.post("/options")
async def set_options(body: OptionsBody, request: Request) -> None:
    """Choose the model of requests that name none."""
    if body.sd_model_checkpoint:
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


async def _draw(body: Txt2Img, request: Request, response: Response, model: Model, order: Order) -> dict[str, Any]:
    """Draw an order that was made of `body`."""
    result = await draw(request, model, order)
    response.headers.update(headers(order, result))
    images = [base64.b64encode(file).decode() for file in result.files] if body.send_images else []
    parameters = body.model_dump(include={"prompt", "seed", "steps", "batch_size", "n_iter", "width", "height"})
    return {"images": images, "parameters": parameters, "info": json.dumps(_info(model, order, _ignored(body, model)))}


def _order(body: Txt2Img, request: Request, model: Model, start: dict[str, Any] | None = None) -> Order:
    """The order that `/generate` would make of the same request, with its fields `start` for a picture. Raises Refused."""
    config = artist_of(request).config
    if (count := body.batch_size * body.n_iter) > config.max_images:
        raise Refused(f"batch_size times n_iter is {count}; at most {config.max_images}", "batch_size")
    fields = {
        **dict.fromkeys(model.manifest.inputs, _prompt(body.prompt, model)),
        "seed": None if body.seed == -1 else body.seed,
        "steps": body.steps if body.steps and body.steps <= MOST_STEPS else None,
        "n": count,
        "format": "png",
        **(start or {}),
    }
    order = order_of(checked(model.manifest.task, fields), config, model.manifest)
    width, height = body.width or body.height, body.height or body.width
    return resized(order, (width, height) if width and height else None, config, model.manifest)


def _prompt(text: str, model: Model) -> str:
    """A prompt as the model's task reads it: a label to the letter, attributes with their weights, words without."""
    if model.task.tokenized:
        return plain(text).text
    return by_weight(text) if "weights" in model.task.conditioner_inputs else text


def _ignored(body: Txt2Img, model: Model) -> list[str]:
    """What a request asks for and does not get."""
    given = body.model_extra or {}
    marks = plain(body.prompt).ignored if model.task.tokenized else ()
    scripts = [
        name for name, script in body.alwayson_scripts.items() if script not in ({}, {"args": []}, {"args": [False]})
    ]
    return [*marks, *(name for name in NO_EFFECT if given.get(name)), *scripts]


def _info(model: Model, order: Order, ignored: list[str]) -> dict[str, Any]:
    """What Automatic1111's field `info` holds, as JSON."""
    (width, height), prompt = order.answered or order.size, model.task.text(order.input)
    seeds = list(range(order.seed, order.seed + order.n))
    settings = f"Steps: {order.steps}, Sampler: {SAMPLER}, Size: {width}x{height}, Model: {model.name}"
    notes = {"Drawn at": size_list([order.size])} if order.answered else {}
    notes |= {"Ignored": "; ".join(ignored)} if ignored else {}
    settings += "".join(f", {name}: {json.dumps(note)}" for name, note in notes.items())
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * order.n,
        "negative_prompt": "",
        "all_negative_prompts": [""] * order.n,
        "seed": order.seed,
        "all_seeds": seeds,
        "subseed": order.seed,
        "all_subseeds": seeds,
        "subseed_strength": 0,
        "width": width,
        "height": height,
        "sampler_name": SAMPLER,
        "cfg_scale": 0,
        "steps": order.steps,
        "batch_size": order.n,
        "sd_model_name": model.name,
        "sd_model_hash": model.hash[:10],
        "denoising_strength": None if order.image is None else order.strength,
        "extra_generation_params": notes,
        "index_of_first_image": 0,
        "infotexts": [f"{prompt}\n{settings}, Seed: {seed}" for seed in seeds],
        "styles": [],
    }


def _model(body: Txt2Img, request: Request) -> Model:
    """The model that a request is for. Raises Refused."""
    chosen = body.override_settings.get("sd_model_checkpoint")
    return _named(request, str(chosen)) if chosen else chosen_model(request)


def _named(request: Request, text: str) -> Model:
    """The model of a name, alias, title or hash, with a file's ending or without. Raises Refused."""
    registry = registry_of(request)
    name = text.removesuffix(".safetensors").removesuffix(".ckpt")
    name = registry.aliases.get(name, name)
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
PICTURES = ("img2img", "extra-single-image", "extra-batch-images", "png-info", "interrogate")
DIALECT = Dialect(
    prefix="/sdapi",
    router=lambda model: joined(automatic1111_lists.router, automatic1111_pictures.router, router),
    error_body=error_body,
    error_schema=ERROR_SCHEMA,
    error_description="What was wrong and what is accepted, in Automatic1111's shape.",
    picture_paths=frozenset(f"{router.prefix}/{path}" for path in PICTURES),
)

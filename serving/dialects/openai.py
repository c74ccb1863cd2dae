"""OpenAI's Images API below `/v1`: its bodies, answers and errors; it knows no model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from models.noise import MAX_SEED
from runtime.bundle import Manifest
from runtime.formats import Format
from serving import schema
from serving.answering import IMAGES_SCHEMA, artist_of, draw, headers, images_json, registry_of
from serving.dialect import Dialect
from serving.schema import Order, Refused
from serving.serve_config import ServeConfig

if TYPE_CHECKING:
    from serving.registry import Model


class _Images(BaseModel):
    """What both ways to images have in common; `seed` and `num_inference_steps` are ours.

    Where the model knows classes, the prompt is the name of one; where it knows attributes, text such as `Zombie, Cap=2`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    prompt: str
    model: str | None = None
    n: int | None = Field(default=1, ge=1)
    size: str | None = "auto"
    response_format: Literal["b64_json"] | None = None
    output_format: Format | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    num_inference_steps: int | None = Field(default=1, ge=1, le=4)
    background: Any = None
    """Accepted and ignored, as are the fields below."""
    moderation: Any = None
    partial_images: Any = None
    quality: Any = None
    user: Any = None


class GenerationsBody(_Images):
    """`POST /v1/images/generations` of the OpenAI Images API, with `seed` and `num_inference_steps` beside."""

    model_config = ConfigDict(strict=True)

    stream: Literal[False] | None = None
    style: Any = None
    """Accepted and ignored."""


class EditsBody(_Images):
    """`POST /v1/images/edits` of the OpenAI Images API, a form, with `seed`, `strength` and `num_inference_steps` beside."""

    image: UploadFile
    """PNG, JPEG or WebP to start from."""
    strength: float = Field(default=0.5, gt=0, le=1)
    """How far from that picture."""
    input_fidelity: Any = None
    """Accepted and ignored."""


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The images.", "content": {"application/json": {"schema": IMAGES_SCHEMA}}}
}
router = APIRouter(prefix="/v1")


@router.post("/images/generations", responses=ANSWERS, response_class=JSONResponse)
async def images_generations(body: GenerationsBody, request: Request) -> JSONResponse:
    """Draw what a prompt says."""
    model = registry_of(request).model(body.model)
    return await _answer(request, model, _order(body, artist_of(request).config, model.manifest))


@router.post("/images/edits", responses=ANSWERS, response_class=JSONResponse)
async def images_edits(body: Annotated[EditsBody, Form()], request: Request) -> JSONResponse:
    """Draw what a prompt says, starting from an image; `strength` says how far from it."""
    config = artist_of(request).config
    if not config.image_to_image:
        raise Refused("image to image is switched off here", "image")
    model = registry_of(request).model(body.model)
    order = _order(body, config, model.manifest)
    return await _answer(request, model, replace(order, image=await body.image.read(), strength=body.strength))


@router.get("/models")
async def models(request: Request) -> dict[str, Any]:
    """The models that are served; the first is drawn with when a request names none."""
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "ippo"} for name in registry_of(request).names]
    return {"object": "list", "data": listed}


async def _answer(request: Request, model: Model, order: Order) -> JSONResponse:
    result = await draw(request, model, order)
    return JSONResponse(images_json(order, result), headers=headers(order, result))


def _order(body: _Images, config: ServeConfig, model: Manifest) -> Order:
    """The order that `/generate` would make of the same request. Raises Refused."""
    fields = {
        **dict.fromkeys(model.inputs, body.prompt),
        "seed": body.seed,
        "steps": body.num_inference_steps or 1,
        "n": body.n or 1,
        "size": body.size or "auto",
        "format": body.output_format,
    }
    try:
        order = schema.order(schema.checked(model.task, fields), config, model)
    except Refused as refused:
        refused.key = "prompt" if refused.key in model.inputs else refused.key
        raise
    return order if body.output_compression is None else replace(order, quality=body.output_compression)


def error_body(refused: Refused) -> dict[str, Any]:
    """OpenAI's error object: message, type, param, code."""
    kind = "invalid_request_error" if refused.status < 500 else "server_error"
    return {"error": {"message": str(refused), "type": kind, "param": refused.key, "code": refused.code}}


ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {"message": {"type": "string"}, "type": {"type": "string"}},
        }
    },
}
DIALECT = Dialect(
    prefix=router.prefix,
    router=lambda model: router,
    error_body=error_body,
    error_schema=ERROR_SCHEMA,
    error_description="What was wrong and what is accepted, in OpenAI's shape.",
)

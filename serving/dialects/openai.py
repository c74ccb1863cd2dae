"""OpenAI's Images API below `/v1`: its bodies, answers and errors; it knows no model."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from models.noise import MAX_SEED
from runtime.bundle import Manifest
from serving import answers
from serving.dialects import native
from serving.schema import Order, Refused, checked, order
from serving.serve_config import Format, ServeConfig


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


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "What was wrong and what is accepted, in OpenAI's shape.",
        "content": {
            "application/json": {
                "schema": {
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
            }
        },
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The images.", "content": {"application/json": {"schema": answers.MANY}}},
    **ERRORS,
}
router = APIRouter(prefix="/v1", include_in_schema=True)


@router.post("/images/generations", responses=ANSWERS, response_class=JSONResponse)
async def images_generations(body: GenerationsBody, request: Request) -> JSONResponse:
    """Draw what a prompt says."""
    artist = native.artist_of(request)
    model = artist.model(body.model)
    wanted = _order(body, artist.config, model.manifest)
    pictures = await native.drawn(request, model, wanted)
    return JSONResponse(native.as_json(wanted, pictures), headers=native.headers(wanted, pictures))


@router.post("/images/edits", responses=ANSWERS, response_class=JSONResponse)
async def images_edits(body: Annotated[EditsBody, Form()], request: Request) -> JSONResponse:
    """Draw what a prompt says, starting from an image; `strength` says how far from it."""
    artist = native.artist_of(request)
    if not artist.config.image_to_image:
        raise Refused("image to image is switched off here", "image")
    model = artist.model(body.model)
    wanted = _order(body, artist.config, model.manifest)
    wanted = replace(wanted, image=await body.image.read(), strength=body.strength)
    pictures = await native.drawn(request, model, wanted)
    return JSONResponse(native.as_json(wanted, pictures), headers=native.headers(wanted, pictures))


@router.get("/models", responses=ERRORS)
async def models(request: Request) -> dict[str, Any]:
    """The models that are served; the first is drawn with when a request names none."""
    listed = [
        {"id": name, "object": "model", "created": 0, "owned_by": "ippo"} for name in native.artist_of(request).models
    ]
    return {"object": "list", "data": listed}


def _order(body: _Images, config: ServeConfig, model: Manifest) -> Order:
    """What `/generate` would make of it. Raises Refused."""
    asked = {
        **dict.fromkeys(model.inputs, body.prompt),
        "seed": body.seed,
        "steps": body.num_inference_steps or 1,
        "n": body.n or 1,
        "size": body.size or "auto",
        "format": body.output_format,
    }
    try:
        wanted = order(checked(model.task, asked), config, model)
    except Refused as refused:
        refused.key = "prompt" if refused.key in model.inputs else refused.key
        raise
    return wanted if body.output_compression is None else replace(wanted, quality=body.output_compression)

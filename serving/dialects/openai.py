"""OpenAI's Images API below `/v1`: its bodies, answers and errors; it knows no model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from base.errors import BadInput
from models.noise import MAX_SEED
from models.task import task_of
from runtime.bundle import Manifest
from runtime.formats import Format
from runtime.shapes import parse_size
from serving import chat, schema
from serving.answering import IMAGES_SCHEMA, artist_of, draw, headers, images_json, registry_of, resized
from serving.canvas import Mask
from serving.dialect import Dialect
from serving.schema import Order, Refused
from serving.serve_config import ServeConfig

if TYPE_CHECKING:
    from serving.registry import Model, Registry


class _Images(BaseModel):
    """What both ways to images have in common; `seed` and `num_inference_steps` are ours.

    Where the model knows classes, the prompt is the name of one; where it knows attributes, text such as `Zombie, Cap=2`.
    An empty one is refused, as OpenAI does; ippo's own interface and Automatic1111's draw whatever the seed gives.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    prompt: str
    model: str | None = None
    n: int | None = Field(default=1, ge=1)
    size: str | None = "auto"
    """`WIDTHxHEIGHT`: what the model does not draw is resized; the header `x-drawn-size` says from which size."""
    response_format: Literal["b64_json", "url"] | None = None
    """url: a data URL, for no file is kept."""
    output_format: Format | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    num_inference_steps: int | None = Field(default=None, ge=1, le=4)
    stream: bool | None = None
    """False: a picture is answered whole."""
    background: Any = None
    """Accepted and ignored, as are the fields below."""
    moderation: Any = None
    partial_images: Any = None
    quality: Any = None
    user: Any = None


class GenerationsBody(_Images):
    """`POST /v1/images/generations` of the OpenAI Images API, with `seed` and `num_inference_steps` beside."""

    model_config = ConfigDict(strict=True)

    style: Any = None
    """Accepted and ignored."""


class EditsBody(_Images):
    """`POST /v1/images/edits` of the OpenAI Images API, a form, with `seed`, `strength` and `num_inference_steps` beside."""

    image: list[UploadFile] = []
    """One PNG, JPEG or WebP to start from."""
    several: list[UploadFile] = Field(default=[], alias="image[]")
    """The same under the name that clients give a list, of one."""
    mask: UploadFile | None = None
    """A PNG of the picture's proportions, transparent where to draw anew; what it leaves is kept to the bit."""
    strength: float = Field(default=0.5, gt=0, le=1)
    """How far from that picture."""
    input_fidelity: Any = None
    """Accepted and ignored."""


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The images.", "content": {"application/json": {"schema": IMAGES_SCHEMA}}}
}
router = APIRouter(prefix="/v1")
router.include_router(chat.router)


@router.post("/images/generations", responses=ANSWERS, response_class=JSONResponse)
async def images_generations(body: GenerationsBody, request: Request) -> JSONResponse:
    """Draw what a prompt says."""
    model = registry_of(request).model(body.model)
    return await _answer(body, request, model, _order(body, artist_of(request).config, model.manifest))


@router.post("/images/edits", responses=ANSWERS, response_class=JSONResponse)
async def images_edits(body: Annotated[EditsBody, Form()], request: Request) -> JSONResponse:
    """Draw what a prompt says, starting from an image; `strength` says how far from it."""
    config = artist_of(request).config
    if not config.image_to_image:
        raise Refused("image to image is switched off here", "image")
    pictures = [*body.image, *body.several]
    if len(pictures) != 1:
        given = f"{len(pictures)} pictures" if pictures else "no picture"
        raise Refused(f"image: {given}; accepted: one, to start from", "image", code="invalid_value")
    model = registry_of(request).model(body.model)
    order = _order(body, config, model.manifest)
    mask = None if body.mask is None else Mask(await body.mask.read(), transparent=True)
    started = replace(order, image=await pictures[0].read(), strength=body.strength, mask=mask)
    return await _answer(body, request, model, started)


@router.get("/models")
async def models(request: Request) -> dict[str, Any]:
    """The models that are served, then their other names; the first is drawn with when a request names none."""
    registry = registry_of(request)
    return {"object": "list", "data": [_listed(name, registry) for name in (*registry.names, *registry.aliases)]}


@router.get("/models/{name}")
async def one_model(name: str, request: Request) -> dict[str, Any]:
    """One of them."""
    registry = registry_of(request)
    registry.model(name)
    return _listed(name, registry)


@router.get("/models/{owner}/{name}")
async def owned_model(owner: str, name: str, request: Request) -> dict[str, Any]:
    """One whose name, or other name, holds its owner's."""
    return await one_model(f"{owner}/{name}", request)


def _listed(name: str, registry: Registry) -> dict[str, Any]:
    """A model as the list has it; `root` is its own name."""
    own = registry.aliases.get(name, name)
    return {"id": name, "object": "model", "created": 0, "owned_by": "ippo", "root": own}


async def _answer(body: _Images, request: Request, model: Model, order: Order) -> JSONResponse:
    result = await draw(request, model, order)
    images = images_json(order, result, urls=body.response_format == "url")
    return JSONResponse(images, headers=headers(order, result))


def _order(body: _Images, config: ServeConfig, model: Manifest) -> Order:
    """The order that `/generate` would make of the same request. Raises Refused."""
    if body.stream:
        raise Refused("stream: a picture is answered whole; accepted: false, or nothing", "stream")
    if task_of(model).required and not body.prompt.strip():
        raise Refused("prompt is empty; describe what to draw", "prompt", code="empty_string")
    fields = {
        **dict.fromkeys(model.inputs, body.prompt),
        "seed": body.seed,
        "steps": body.num_inference_steps,
        "n": body.n or 1,
        "format": body.output_format,
    }
    try:
        order = schema.order(schema.checked(model.task, fields), config, model)
    except Refused as refused:
        refused.key = "prompt" if refused.key in model.inputs else refused.key
        raise
    order = resized(order, _asked(body.size), config, model)
    return order if body.output_compression is None else replace(order, quality=body.output_compression)


def _asked(size: str | None) -> tuple[int, int] | None:
    """A size's text → (W, H); None: the model's own. Raises Refused."""
    if size in (None, "", "auto"):
        return None
    try:
        return parse_size(str(size))
    except BadInput as error:
        raise Refused(f"{error}, or auto", "size") from None


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
    picture_paths=frozenset({"/v1/images/edits", "/v1/chat/completions"}),
)

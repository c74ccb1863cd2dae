"""OpenAI's Images API below `/v1`: its paths, answers and errors; it knows no model."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from starlette.responses import JSONResponse

from base.errors import BadInput
from models.task import task_of
from runtime.manifest import Manifest
from runtime.shapes import parse_size
from serving import error_answers
from serving.answering import IMAGES_SCHEMA, artist_of, draw, headers, images_json, registry_of, resized
from serving.canvas import Mask
from serving.dialect import Dialect, joined
from serving.dialects import openai_chat
from serving.dialects.openai_bodies import EditsBody, GenerationsBody, ImagesBody, VariationsBody
from serving.order import NO_START, Order, order_of
from serving.refused import Refused
from serving.schema import checked
from serving.serve_config import ServeConfig

if TYPE_CHECKING:
    from serving.registry import Model, Registry


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The images.", "content": {"application/json": {"schema": IMAGES_SCHEMA}}}
}
FORM = [Depends(error_answers.check_form)]
router = APIRouter(prefix="/v1")


@router.post("/images/generations", responses=ANSWERS, response_class=JSONResponse)
async def images_generations(body: GenerationsBody, request: Request) -> JSONResponse:
    """Draw what a prompt says."""
    model = registry_of(request).model(body.model)
    return await _answer(body, request, model, _order(body, body.prompt, artist_of(request).config, model.manifest))


@router.post("/images/edits", responses=ANSWERS, response_class=JSONResponse, dependencies=FORM)
async def images_edits(body: Annotated[EditsBody, Form()], request: Request) -> JSONResponse:
    """Draw what a prompt says, starting from an image; `strength` says how far from it."""
    config, model = artist_of(request).config, registry_of(request).model(body.model)
    drawn_from = {"content": body.content, "style": body.style}
    further: dict[str, Any] = {name: _only(given, name, "to draw from") for name, given in drawn_from.items() if given}
    further |= {name: value for name, value in (("mix", body.mix), ("focus", body.focus)) if value is not None}
    pictures = [*body.image, *body.several]
    mask = _only(body.mask, "mask", "transparent where to draw anew") if body.mask else None
    if further and not pictures and mask is None:
        if "strength" in body.model_fields_set:
            raise Refused(NO_START, "strength")
        encoded = {name: await _base64(value, name) for name, value in further.items()}
        return await _answer(body, request, model, _order(body, body.prompt, config, model.manifest, encoded))
    if further:
        other = "image" if pictures else "mask"
        raise Refused(
            f"{next(iter(further))} and {other}: accepted: pictures to draw from, or one to start from", other
        )
    if not body.prompt:
        raise Refused("prompt is missing", "prompt", code="missing_required_parameter")
    if not config.image_to_image:
        raise Refused("image to image is switched off here", "image")
    others = "" if pictures or mask or not model.task.images else f", or {' or '.join(model.task.images)} to draw from"
    file = await _only(pictures, "image", f"to start from{others}").read()
    order = _order(body, body.prompt, config, model.manifest)
    anew = None if mask is None else Mask(await mask.read(), transparent=True)
    return await _answer(body, request, model, replace(order, image=file, strength=body.strength, mask=anew))


@router.post("/images/variations", responses=ANSWERS, response_class=JSONResponse, dependencies=FORM)
async def images_variations(body: Annotated[VariationsBody, Form()], request: Request) -> JSONResponse:
    """Draw a picture's thing in its style, anew."""
    model = registry_of(request).model(body.model)
    if not model.task.varied:
        does = ", ".join(model.manifest.tasks)
        raise Refused(
            f"no variations: {model.name} takes no pictures to draw from; it does {does}", "model", status=404
        )
    file = await _base64(_only(body.image, "image", "to vary"), "image")
    further = dict.fromkeys(model.task.varied, file)
    order = _order(body, "", artist_of(request).config, model.manifest, further)
    try:
        return await _answer(body, request, model, order)
    except Refused as refused:
        if refused.key not in model.task.varied:
            raise
        # the client knows the picture under another name
        raise Refused(str(refused).replace(refused.key, "image", 1), "image") from None


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


async def _answer(body: ImagesBody, request: Request, model: Model, order: Order) -> JSONResponse:
    result = await draw(request, model, order)
    images = images_json(order, result, urls=body.response_format == "url")
    return JSONResponse(images, headers=headers(order, result))


def _only(pictures: Sequence[UploadFile], key: str, use: str) -> UploadFile:
    """The one picture that a form has under `key`. Raises Refused: none, or several."""
    if len(pictures) != 1:
        given = f"{len(pictures)} pictures" if pictures else "no picture"
        raise Refused(f"{key}: {given}; accepted: one, {use}", key, code="invalid_value")
    return pictures[0]


async def _base64(value: Any, key: str) -> Any:
    """A file of a form as `/generate` takes it, anything else as it is. Raises Refused: an empty file."""
    if not hasattr(value, "read"):
        return value
    content = await value.read()
    if not content:
        raise Refused(f"{key} is empty; accepted: PNG, JPEG or WebP", key)
    return base64.b64encode(content).decode()


def _order(
    body: ImagesBody, prompt: str, config: ServeConfig, model: Manifest, further: Mapping[str, Any] | None = None
) -> Order:
    """The order that `/generate` would make of the same request, with the task's `further` keys. Raises Refused."""
    if body.stream:
        raise Refused("stream: a picture is answered whole; accepted: false, or nothing", "stream")
    if task_of(model).required and not prompt.strip():
        raise Refused("prompt is empty; describe what to draw", "prompt", code="empty_string")
    fields = {
        **dict.fromkeys(model.inputs, prompt),
        **(further or {}),
        "seed": body.seed,
        "steps": body.num_inference_steps,
        "n": body.n or 1,
        "format": body.output_format,
    }
    try:
        order = order_of(checked(model.task, fields), config, model)
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
    router=lambda model: joined(openai_chat.router, router),
    error_body=error_body,
    error_schema=ERROR_SCHEMA,
    error_description="What was wrong and what is accepted, in OpenAI's shape.",
    picture_paths=frozenset({"/v1/images/edits", "/v1/images/variations", "/v1/chat/completions"}),
)

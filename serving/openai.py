"""OpenAI's Images API below `/v1`: its bodies, answers and errors; it knows no model."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import JSONResponse

from serving import api
from serving.schema import EditsBody, ImagesBody, Refused, order

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
    200: {"description": "The images.", "content": {"application/json": {"schema": api.MANY}}},
    **ERRORS,
}
router = APIRouter(prefix="/v1", include_in_schema=True)


@router.post("/images/generations", responses=ANSWERS, response_class=JSONResponse)
async def images_generations(body: ImagesBody, request: Request) -> JSONResponse:
    """Draw what a prompt says."""
    artist = api.artist_of(request)
    model = artist.model(body.model)
    wanted = order(body, artist.config, model.manifest)
    pictures = await api.drawn(request, model, wanted)
    return JSONResponse(api.as_json(wanted, pictures), headers=api.headers(wanted, pictures))


@router.post("/images/edits", responses=ANSWERS, response_class=JSONResponse)
async def images_edits(body: Annotated[EditsBody, Form()], request: Request) -> JSONResponse:
    """Draw what a prompt says, starting from an image; `strength` says how far from it."""
    artist = api.artist_of(request)
    if not artist.config.image_to_image:
        raise Refused("image to image is switched off here", "image")
    model = artist.model(body.model)
    wanted = order(body, artist.config, model.manifest)
    wanted = wanted.model_copy(update={"image": await body.image.read(), "strength": body.strength})
    pictures = await api.drawn(request, model, wanted)
    return JSONResponse(api.as_json(wanted, pictures), headers=api.headers(wanted, pictures))


@router.get("/models", responses=ERRORS)
async def models(request: Request) -> dict[str, Any]:
    """The models that are served; the first is drawn with when a request names none."""
    listed = [
        {"id": name, "object": "model", "created": 0, "owned_by": "ippo"} for name in api.artist_of(request).models
    ]
    return {"object": "list", "data": listed}

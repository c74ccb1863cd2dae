"""ippo's own dialect: `POST /generate`, the websocket `/live`, and errors of one line; it knows no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from models.task import task_named
from runtime.formats import MEDIA_TYPE
from serving import caption_answers
from serving.answering import IMAGES_SCHEMA, artist_of, draw, headers, images_json, registry_of
from serving.caption_answers import CaptionBody
from serving.dialect import Dialect
from serving.json_route import JsonRoute
from serving.live import live
from serving.order import NO_START, order_of
from serving.refused import Refused
from serving.schema import GenerateBody, body_of

if TYPE_CHECKING:
    from runtime.manifest import Manifest

ANSWERED = "one image is answered as it is, several as JSON of OpenAI's shape. The header `x-seed` holds the seed."
LINE = {"type": "string", "description": "One line: what was wrong and what is accepted."}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image; with n > 1, JSON.",
        "headers": {
            "x-seed": {"schema": {"type": "string"}, "description": "The seed of the first picture."},
            "server-timing": {"schema": {"type": "string"}, "description": "Times of the stages."},
            "x-dropped-tokens": {"schema": {"type": "string"}, "description": "How many tokens did not fit."},
        },
        "content": {
            **{media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPE.values()},
            "application/json": {"schema": IMAGES_SCHEMA},
        },
    },
}


async def caption(body: CaptionBody, request: Request) -> Response:
    """Captions of one picture: `{"captions": [{"text", "seed", "complete"}]}`."""
    written = await caption_answers.write(request, registry_of(request).model(body.model), body)
    said = [{"text": one.text, "seed": one.seed, "complete": one.complete} for one in written]
    return JSONResponse({"captions": said})


def router(model: Manifest) -> APIRouter:
    """`/generate`, whose body holds what the model's task needs, and `/live`."""
    routes = APIRouter(route_class=JsonRoute)

    async def generate(body: GenerateBody, request: Request) -> Response:
        if "strength" in body.model_fields_set and "image" not in body.model_fields_set:
            raise Refused(NO_START, "strength")
        chosen = registry_of(request).model(body.model)
        order = order_of(body, artist_of(request).config, chosen.manifest)
        result = await draw(request, chosen, order)
        if order.n > 1:
            return JSONResponse(images_json(order, result), headers=headers(order, result))
        return Response(result.files[0], media_type=MEDIA_TYPE[order.format], headers=headers(order, result))

    task = task_named(model.task)
    generate.__annotations__["body"] = body_of(task)  # what FastAPI reads bodies and the OpenAPI document from
    routes.add_api_route(
        "/generate",
        generate,
        methods=["POST"],
        name=f"from_{task.field.name if task.field else 'nothing'}",
        description=f"{task.action}: {ANSWERED}",
        response_class=Response,
        responses=ANSWERS,
    )
    routes.add_api_route("/caption", caption, methods=["POST"], description="Write captions of a picture.")
    routes.add_api_websocket_route("/live", live)
    return routes


def error_body(refused: Refused) -> dict[str, Any]:
    """`{"error": "one line"}`."""
    return {"error": str(refused)}


DIALECT = Dialect(
    prefix="",
    router=router,
    error_body=error_body,
    error_schema={"type": "object", "properties": {"error": LINE}, "required": ["error"]},
    error_description="What was wrong and what is accepted; 429: the header retry-after says when to try again.",
    picture_paths=frozenset({"/generate", "/caption"}),
)

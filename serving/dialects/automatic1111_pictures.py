"""What Automatic1111's web UI does with a client's picture beside drawing: resizes it, reads what made it; it knows no model.

A part of the dialect in `automatic1111.py`.
"""

from __future__ import annotations

import asyncio
import base64
import io
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from runtime.images import open_picture, provenance_in, unpacked
from serving import caption_answers
from serving.answering import artist_of, registry_of
from serving.caption_answers import CaptionBody
from serving.dialects.automatic1111_upscalers import upscaled
from serving.refused import Refused
from serving.schema import PICTURE, OptionalNulls, from_base64, validated

if TYPE_CHECKING:
    from serving.registry import Model


class Extras(OptionalNulls):
    """What both ways to larger pictures have in common; faces are not restored, and a second upscaler is not mixed in."""

    resize_mode: int = Field(default=0, ge=0, le=1)
    """0: by the factor `upscaling_resize`; 1: into `upscaling_resize_w` times `upscaling_resize_h`."""
    upscaling_resize: float = Field(default=2, gt=0, le=64)
    upscaling_resize_w: int = Field(default=512, ge=1)
    upscaling_resize_h: int = Field(default=512, ge=1)
    upscaling_crop: bool = True
    upscaler_1: str = "None"


class ExtraSingle(Extras):
    """`POST /sdapi/v1/extra-single-image`."""

    image: str = Field(min_length=1, examples=[PICTURE])
    """In base64."""


class NamedPicture(BaseModel):
    """One of several."""

    data: str = Field(min_length=1, examples=[PICTURE])
    """In base64."""
    name: str = ""


class ExtraBatch(Extras):
    """`POST /sdapi/v1/extra-batch-images`."""

    imageList: list[NamedPicture] = Field(min_length=1, examples=[[{"data": PICTURE, "name": "red"}]])  # noqa: N815


class PictureBody(OptionalNulls):
    """`POST /sdapi/v1/png-info` and `/interrogate`."""

    image: str = Field(min_length=1, examples=[PICTURE])
    """In base64."""


router = APIRouter(prefix="/sdapi/v1")


@router.post("/extra-single-image")
async def extra_single_image(body: ExtraSingle, request: Request) -> dict[str, Any]:
    """The picture, resized."""
    most = artist_of(request).config.max_side
    return {"html_info": "", "image": await asyncio.to_thread(_larger, body, body.image, most)}


@router.post("/extra-batch-images")
async def extra_batch_images(body: ExtraBatch, request: Request) -> dict[str, Any]:
    """The pictures, resized."""
    config = artist_of(request).config
    if len(body.imageList) > config.max_images:
        raise Refused(f"imageList holds {len(body.imageList)} pictures; at most {config.max_images}", "imageList")
    images = [await asyncio.to_thread(_larger, body, picture.data, config.max_side) for picture in body.imageList]
    return {"html_info": "", "images": images}


@router.post("/png-info")
async def png_info(body: PictureBody) -> dict[str, Any]:
    """What a picture says of how it was made: one of ours, or of the web UI's own."""
    fields = await asyncio.to_thread(provenance_in, from_base64(body.image))
    return {"info": fields.get("parameters") or _line(fields), "items": fields, "parameters": fields}


@router.post("/interrogate")
async def interrogate(body: PictureBody, request: Request) -> dict[str, Any]:
    """What the picture shows, by a model that writes too. Refused: a model that only draws."""
    model = chosen_model(request)
    (caption,) = await caption_answers.write(request, model, validated(CaptionBody, {"image": body.image}))
    return {"caption": caption.text}


def chosen_model(request: Request) -> Model:
    """The model chosen by the options, while it is served; otherwise the first."""
    registry = registry_of(request)
    name = getattr(request.app.state, "checkpoint", None)
    return next((model for model in registry if model.name == name), registry.first)


def _larger(body: Extras, picture: str, most: int) -> str:
    """A picture in base64, resized, in base64."""
    opened = unpacked(open_picture(from_base64(picture)))
    size: tuple[float, float] = (body.upscaling_resize_w, body.upscaling_resize_h)
    if body.resize_mode == 0:
        size = (opened.width * body.upscaling_resize, opened.height * body.upscaling_resize)
    larger = upscaled(opened, body.upscaler_1, size, body.resize_mode == 1 and body.upscaling_crop, most)
    file = io.BytesIO()
    larger.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _line(fields: dict[str, str]) -> str:
    """The fields as the web UI writes them: the input, then a line of the others."""
    if "seed" not in fields:
        return ""
    names = {"mix": "Mix", "content": "Content", "style": "Style"}
    names |= {"steps": "Steps", "seed": "Seed", "model": "Model", "model_hash": "Model hash", "software": "Version"}
    known = ", ".join(f"{shown}: {fields[name]}" for name, shown in names.items() if name in fields)
    inputs = [fields[name] for name in ("prompt", "label", "attributes") if name in fields]
    return "\n".join([*inputs, known])

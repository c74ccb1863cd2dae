"""Bodies of OpenAI's Images API, with what ippo adds to them; they know no model."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from models.noise import MAX_SEED
from runtime.formats import Format
from serving.serve_config import MOST_STEPS


class ImagesBody(BaseModel):
    """What all ways to images have in common; `seed` and `num_inference_steps` are ours."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str | None = None
    n: int | None = Field(default=1, ge=1)
    size: str | None = "auto"
    """`WIDTHxHEIGHT`: what the model does not draw is resized; the header `x-drawn-size` says from which size."""
    response_format: Literal["b64_json", "url"] | None = None
    """url: a data URL, for no file is kept."""
    output_format: Format | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    num_inference_steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    stream: bool | None = None
    """False: a picture is answered whole."""
    user: Any = None
    """Accepted and ignored."""


class PromptedBody(ImagesBody):
    """What a prompt is drawn with.

    Where the model knows classes, the prompt is the name of one; where it knows attributes, text such as `Zombie, Cap=2`.
    An empty one is refused, as OpenAI does; ippo's own interface and Automatic1111's draw whatever the seed gives.
    """

    prompt: str
    background: Any = None
    """Accepted and ignored, as are the fields below."""
    moderation: Any = None
    partial_images: Any = None
    quality: Any = None


class GenerationsBody(PromptedBody):
    """`POST /v1/images/generations` of the OpenAI Images API, with `seed` and `num_inference_steps` beside."""

    model_config = ConfigDict(strict=True)

    style: Any = None
    """Accepted and ignored."""


class VariationsBody(ImagesBody):
    """`POST /v1/images/variations` of the OpenAI Images API, a form, with `seed` and `num_inference_steps` beside."""

    image: list[UploadFile] = []
    """One PNG, JPEG or WebP, whose thing and style are drawn anew."""


class EditsBody(PromptedBody):
    """`POST /v1/images/edits` of the OpenAI Images API, a form, with `seed`, `strength` and `num_inference_steps` beside.

    Of a model that takes pictures `content`, `style`, `mix` and `focus` are ours too, in place of a picture to start from.
    """

    prompt: str = ""
    image: list[UploadFile] = []
    """One PNG, JPEG or WebP to start from."""
    several: list[UploadFile] = Field(default=[], alias="image[]")
    """The same under the name that clients give a list, of one."""
    mask: list[UploadFile] = []
    """One PNG of the picture's proportions, transparent where to draw anew; what it leaves is kept to the bit."""
    strength: float = Field(default=0.5, gt=0, le=1)
    """How far from that picture."""
    content: list[UploadFile] = []
    """One picture whose thing is drawn, in place of `image`."""
    style: list[UploadFile] = []
    """One picture in whose style it is drawn."""
    mix: float | None = None
    """Share of the prompt beside those pictures."""
    focus: float | None = None
    """Of these pictures content (0) or style (1), of a model that sees their patches."""
    input_fidelity: Any = None
    """Accepted and ignored."""

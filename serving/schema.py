"""The bodies that clients send, and one line for whatever is wrong with them; it knows nothing about how to draw."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from export.bundle import Manifest
from models.config import nearest
from models.errors import BadInput
from models.labels import class_id
from models.noise import MAX_SEED
from serving.config import Format, ServeConfig
from serving.images import QUALITY

RANDOM_SEEDS = 2**32
"""Random seeds stay below it, so that every JSON reader holds them exactly."""


class Refused(BadInput):
    """A request that cannot be served as it is: the status, and which key is to blame."""

    def __init__(self, message: str, key: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.key, self.status, self.code = key, status, code


class Body(BaseModel):
    """Base of every body: unknown keys are refused, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class GenerateBody(Body):
    """`POST /generate`, and all of it where the model draws without being asked for anything."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    """The same seed gives the same picture; random when absent, and returned in the header `x-seed`."""
    steps: int = Field(default=1, ge=1, le=4)
    """How often the student refines; one is enough."""
    n: int = Field(default=1, ge=1)
    """How many pictures; picture i is drawn with seed + i. More than one are answered as JSON."""
    size: str = "auto"
    """`WIDTHxHEIGHT` in pixels, one of those the model offers, or auto."""
    format: Format | None = None
    """Image format."""


class PromptBody(GenerateBody):
    """`POST /generate` of a model that draws what a text says."""

    prompt: str
    """What to draw."""


class LabelBody(GenerateBody):
    """`POST /generate` of a model that knows classes."""

    label: int | str
    """What to draw: a class's number from 0, or its name."""


BODIES: dict[str, type[GenerateBody]] = {
    "text-to-image": PromptBody,
    "class-to-image": LabelBody,
    "unconditional-image-generation": GenerateBody,
}
"""Task → what `POST /generate` takes."""


class ImagesBody(Body):
    """`POST /v1/images/generations` of the OpenAI Images API, with `seed` and `num_inference_steps` beside.

    Where the model knows classes, the prompt is the name of one.
    """

    prompt: str
    model: str | None = None
    n: int | None = Field(default=1, ge=1)
    size: str | None = "auto"
    response_format: Literal["b64_json"] | None = None
    output_format: Format | None = None
    output_compression: int | None = Field(default=None, ge=0, le=100)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    num_inference_steps: int | None = Field(default=1, ge=1, le=4)
    stream: Literal[False] | None = None
    background: Any = None
    """Accepted and ignored, as are the fields below."""
    moderation: Any = None
    partial_images: Any = None
    quality: Any = None
    style: Any = None
    user: Any = None


class Order(BaseModel):
    """What to draw, complete and checked, whichever dialect it came in."""

    model_config = ConfigDict(frozen=True)

    input: str
    """The prompt, the label's name, or nothing."""
    seed: int
    n: int
    steps: int
    format: Format
    quality: int = QUALITY


def order(body: GenerateBody | ImagesBody, config: ServeConfig, model: Manifest) -> Order:
    """Check what a schema cannot: the operator's limits, the model's labels and its sizes. Raises Refused."""
    wanted = _wanted(body, config, model)
    n = body.n or 1
    if n > config.max_images:
        raise Refused(f"n is {n}; at most {config.max_images}", "n")
    offered = [f"{width}x{height}" for width, height in model.sizes]
    if body.size not in (None, "auto", *offered):
        raise Refused(f"size {body.size!r:.40} is not offered; accepted: auto, {', '.join(offered)}", "size")
    seed = secrets.randbelow(RANDOM_SEEDS) if body.seed is None else body.seed
    if seed + n - 1 > MAX_SEED:
        raise Refused(f"seed {seed} leaves no room for {n} pictures; the largest seed is {MAX_SEED}", "seed")
    if isinstance(body, GenerateBody):
        return Order(input=wanted, seed=seed, n=n, steps=body.steps, format=body.format or config.format)
    return Order(
        input=wanted,
        seed=seed,
        n=n,
        steps=body.num_inference_steps or 1,
        format=body.output_format or config.format,
        quality=QUALITY if body.output_compression is None else body.output_compression,
    )


def _wanted(body: GenerateBody | ImagesBody, config: ServeConfig, model: Manifest) -> str:
    """What to draw: the prompt, or the name of the label. Raises Refused."""
    if not model.inputs:
        return ""
    if not model.classes:
        assert isinstance(body, PromptBody | ImagesBody)
        return _prompt(body.prompt, config.max_prompt)
    assert isinstance(body, LabelBody | ImagesBody)
    key, label = ("label", body.label) if isinstance(body, LabelBody) else ("prompt", body.prompt)
    try:
        if label == "":
            raise BadInput("label is empty; accepted: a class's number from 0, or its name")
        return model.classes[class_id(label, model.classes)]
    except BadInput as error:
        raise Refused(str(error), key, status=422) from None


def _prompt(prompt: str, most: int) -> str:
    if not prompt.strip():
        raise Refused("prompt is empty; describe what to draw", "prompt")
    if len(prompt) > most:
        raise Refused(f"prompt has {len(prompt)} characters; at most {most}", "prompt")
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise Refused("prompt holds half of a surrogate pair, which is no text", "prompt")
    return prompt


def explain(errors: Sequence[Mapping[str, Any]], known: Sequence[str]) -> Refused:
    """The first of pydantic's `errors` in one line; a misspelt key comes before what it leaves out."""
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    location = [part for part in first["loc"] if part != "body"]
    key = str(location[0]) if location else None
    if first["type"] == "json_invalid":
        return Refused("the body is not valid JSON")
    if first["type"] == "model_attributes_type":
        return Refused("the body must be a JSON object")
    if key is None:
        return Refused(f"the body: {first['msg']}")
    if first["type"] == "extra_forbidden":
        return Refused(f"unknown key {_short(key)}{nearest(key, known)}", key, code="unknown_parameter")
    if first["type"] == "missing":
        return Refused(f"{key} is missing", key, code="missing_required_parameter")
    return Refused(f"{key}: {first['msg']}, got {_short(first['input'])}", key, code="invalid_value")


def _short(value: Any) -> str:
    """`repr` (which escapes what cannot be printed or encoded), cut to a line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

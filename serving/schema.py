"""The bodies that clients send, and one line for whatever is wrong with them; it knows nothing about how to draw."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.config import nearest
from models.errors import BadInput
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
    """`POST /generate`."""

    prompt: str
    """What to draw."""
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


class ImagesBody(Body):
    """`POST /v1/images/generations` of the OpenAI Images API, with `seed` and `num_inference_steps` beside."""

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

    prompt: str
    seed: int
    n: int
    steps: int
    format: Format
    quality: int = QUALITY


def order(body: GenerateBody | ImagesBody, config: ServeConfig, sizes: Sequence[tuple[int, int]]) -> Order:
    """Check what a schema cannot: the operator's limits and the model's sizes (width, height). Raises Refused."""
    if not body.prompt.strip():
        raise Refused("prompt is empty; describe what to draw", "prompt")
    if len(body.prompt) > config.max_prompt:
        raise Refused(f"prompt has {len(body.prompt)} characters; at most {config.max_prompt}", "prompt")
    if any("\ud800" <= letter <= "\udfff" for letter in body.prompt):
        raise Refused("prompt holds half of a surrogate pair, which is no text", "prompt")
    n = body.n or 1
    if n > config.max_images:
        raise Refused(f"n is {n}; at most {config.max_images}", "n")
    offered = [f"{width}x{height}" for width, height in sizes]
    if body.size not in (None, "auto", *offered):
        raise Refused(f"size {body.size!r:.40} is not offered; accepted: auto, {', '.join(offered)}", "size")
    seed = secrets.randbelow(RANDOM_SEEDS) if body.seed is None else body.seed
    if seed + n - 1 > MAX_SEED:
        raise Refused(f"seed {seed} leaves no room for {n} pictures; the largest seed is {MAX_SEED}", "seed")
    if isinstance(body, GenerateBody):
        return Order(prompt=body.prompt, seed=seed, n=n, steps=body.steps, format=body.format or config.format)
    return Order(
        prompt=body.prompt,
        seed=seed,
        n=n,
        steps=body.num_inference_steps or 1,
        format=body.output_format or config.format,
        quality=QUALITY if body.output_compression is None else body.output_compression,
    )


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

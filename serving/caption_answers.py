"""Captions over HTTP: a picture or a text in, what a model says of it out; it knows no dialect."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import Request
from pydantic import ConfigDict, Field

from base.errors import BadInput
from models.noise import MAX_SEED
from runtime.captioner import WHOLE, Cut, WrittenCaption
from runtime.images import decode
from serving.answering import artist_of, patience, unless_gone
from serving.order import RANDOM_SEEDS
from serving.refused import Refused
from serving.schema import PICTURE, Body, from_base64
from serving.serve_config import MOST_STEPS

if TYPE_CHECKING:
    from runtime.generator import Request as AskedOne
    from serving.registry import Model
    from serving.serve_config import ServeConfig


class CaptionBody(Body):
    """`POST /caption`."""

    model_config = ConfigDict(populate_by_name=True)

    image: str | None = Field(default=None, min_length=1, examples=[PICTURE])
    """The picture: PNG, JPEG or WebP in base64. Addresses are not fetched."""
    prompt: str = ""
    """A text to say otherwise, of a model that reads as well; with a picture, both count half."""
    column: str = Field(default="", alias="as")
    """Which kind of caption, one that the model knows, or any; by default its first."""
    n: int = Field(default=1, ge=1)
    """How many captions; caption i has seed + i."""
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    """The same seed says the same; random when absent."""
    steps: int = Field(default=1, ge=1, le=MOST_STEPS)
    """How often the model refines; one is enough."""
    model: str | None = None
    """One of `GET /v1/models`."""


async def write(request: Request, model: Model, body: CaptionBody, cut: Cut = WHOLE) -> Sequence[WrittenCaption]:
    """The captions that a body asks a model for, cut off there, in the queue of all that is asked for.

    Raises Refused, QueueFull.
    """
    artist, fields = artist_of(request), request.state.log_fields
    if body.image is None and not body.prompt.strip():
        raise Refused("image is missing", "image", code="missing_required_parameter")
    captioner = model.captioner
    if captioner is None:
        does = ", ".join(model.manifest.tasks)
        raise Refused(f"no served model describes pictures: {model.name} does {does}", "model", status=404)
    _check(body, artist.config)
    seed = secrets.randbelow(RANDOM_SEEDS) if body.seed is None else body.seed
    if seed + body.n - 1 > MAX_SEED:
        raise Refused(f"seed {seed} leaves no room for {body.n} captions; the largest seed is {MAX_SEED}", "seed")
    file = None if body.image is None else from_base64(body.image)
    fields.update(model=model.name, seed=seed, steps=body.steps, n=body.n)

    def requests() -> list[AskedOne]:
        seeds, pictures = range(seed, seed + body.n), [] if file is None else [decode(file, captioner.size)] * body.n
        if body.prompt:
            return captioner.rewording([body.prompt] * body.n, seeds, pictures)
        return captioner.about(pictures, seeds, body.column)

    try:
        written = artist.write(captioner, body.n, requests, body.steps, patience(request), cut)
        return await unless_gone(request, written)
    except Refused:  # too late
        raise
    except BadInput as error:
        first = str(error).partition(" ")[0]
        raise Refused(str(error), first if first in ("as", "prompt") else "image") from None


def _check(body: CaptionBody, config: ServeConfig) -> None:
    """Refused: more than the operator allows, or a kind of caption of what is said otherwise."""
    if body.n > config.max_images:
        raise Refused(f"n is {body.n}; at most {config.max_images}", "n")
    if len(body.prompt) > config.max_prompt:
        raise Refused(f"prompt has {len(body.prompt)} characters; at most {config.max_prompt}", "prompt")
    if body.prompt and body.column:
        raise Refused("as is for captions of a picture alone; accepted: prompt without as", "as")

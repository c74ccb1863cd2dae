"""What is to be drawn, complete and checked, whichever dialect it came in; it knows nothing about how to draw."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from base.errors import BadInput
from models.labels import Input
from models.noise import MAX_SEED
from models.task import task_named, task_of
from runtime.formats import QUALITY, Format
from runtime.manifest import Manifest
from runtime.shapes import size_list
from serving.refused import Refused
from serving.schema import GenerateBody, from_base64
from serving.serve_config import ServeConfig

if TYPE_CHECKING:  # it imports what draws
    from serving.canvas import Mask

RANDOM_SEEDS = 2**32
"""Random seeds stay below it, so that every JSON reader holds them exactly."""
NO_START = "strength: there is no picture to start from; accepted with it: image"
"""What is said of a strength alone."""


@dataclass(frozen=True)
class Order:
    """What to draw, complete and checked, whichever dialect it came in."""

    input: Input
    """What the model's task parsed: the prompt, the label's name, weights of attributes by name, or nothing."""
    seed: int
    n: int
    steps: int
    format: Format
    size: tuple[int, int]
    """Width and height in pixels, one of the model's."""
    quality: int = QUALITY
    image: bytes | None = None
    """The file to start from, as the client sent it."""
    strength: float = 0.5
    further: Mapping[str, Any] = field(default_factory=dict)
    """Values of the task's further keys, pictures as the client sent them."""
    answered: tuple[int, int] | None = None
    """Width and height of the answer, where it is resized."""
    mask: Mask | None = None
    """Which part of that file is drawn anew."""


def order_of(body: GenerateBody, config: ServeConfig, model: Manifest) -> Order:
    """Check what a schema cannot: the operator's limits, the model's labels and its sizes. Raises Refused."""
    if task_named(model.task).output != "image":
        raise Refused(f"{model.model_name} draws nothing; it does {', '.join(model.tasks)}", "model", status=404)
    parsed = _input(body, config, model)
    further = _further(body, model, parsed)
    if body.n > config.max_images:
        raise Refused(f"n is {body.n}; at most {config.max_images}", "n")
    size = model.sizes[0] if body.size == "auto" else _size(body.size, model)
    if body.image is not None and not config.image_to_image:
        raise Refused("image to image is switched off here", "image")
    seed = secrets.randbelow(RANDOM_SEEDS) if body.seed is None else body.seed
    if seed + body.n - 1 > MAX_SEED:
        raise Refused(f"seed {seed} leaves no room for {body.n} pictures; the largest seed is {MAX_SEED}", "seed")
    return Order(
        input=parsed,
        seed=seed,
        n=body.n,
        steps=body.steps or config.steps,
        format=body.format or config.format,
        size=size,
        image=None if body.image is None else from_base64(body.image),
        strength=body.strength,
        further=further,
    )


def _size(named: str, model: Manifest) -> tuple[int, int]:
    """Width and height as `WIDTHxHEIGHT` names them. Raises Refused: the model does not draw them."""
    offered = {size_list([size]): size for size in model.sizes}
    if named not in offered:
        raise Refused(f"size {named!r:.40} is not offered; accepted: {', '.join(('auto', *offered))}", "size")
    return offered[named]


def _input(body: GenerateBody, config: ServeConfig, model: Manifest) -> Input:
    """The input that a body holds, as the model's task parses it. Raises Refused."""
    task = task_of(model)
    if task.field is None:
        return ""
    key = task.field.name
    try:
        parsed = task.parse(getattr(body, key))
    except BadInput as error:  # a text is wrong for every model; another input is one that this model does not know
        raise Refused(str(error), key, status=400 if task.tokenized else 422) from None
    if task.tokenized and len(str(parsed)) > config.max_prompt:
        raise Refused(f"{key} has {len(str(parsed))} characters; at most {config.max_prompt}", key)
    return parsed


def _further(body: GenerateBody, model: Manifest, parsed: Input) -> dict[str, Any]:
    """The values of the task's further keys, pictures as files. Raises Refused: with the input they say nothing to draw."""
    task = task_of(model)
    given = {name: getattr(body, name, None) for name in task.further_keys()}
    known = {name: value for name, value in given.items() if value is not None}
    files = {name: from_base64(value, name) if name in task.images else value for name, value in known.items()}
    if body.image is not None and (drawn_from := next((name for name in files if name in task.images), None)):
        raise Refused(
            f"{drawn_from} and image: draw from pictures, or start from one; accepted: one of them", drawn_from
        )
    try:
        task.joined(parsed, files)
    except BadInput as error:
        says, keys = str(error).partition(" ")[0], (*known, *task.keys())
        raise Refused(str(error), says if says in keys else next(iter(keys), None)) from None
    return files

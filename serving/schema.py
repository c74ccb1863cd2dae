"""The bodies that clients send, and one line for whatever is wrong with them; it knows nothing about how to draw."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from base.config import nearest
from base.errors import BadInput
from models.labels import Input
from models.noise import MAX_SEED
from models.task import Task, task_named, task_names, task_of
from runtime.bundle import Manifest
from runtime.formats import QUALITY, Format
from runtime.shapes import size_list
from serving.serve_config import ServeConfig

if TYPE_CHECKING:  # it imports what draws
    from serving.canvas import Mask

B = TypeVar("B", bound=BaseModel)
RANDOM_SEEDS = 2**32
"""Random seeds stay below it, so that every JSON reader holds them exactly."""

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8ISfHgA0wMeAAg1MCANDKARQfGKMRAAAAAElFTkSuQmCC"
"""Eight red pixels square, a PNG in base64: what the interface's documentation shows, and tests from it send."""


NO_START = "strength: there is no picture to start from; accepted with it: image"
"""What is said of a strength alone."""


class Refused(BadInput):
    """A request that cannot be served as it is: the status, which key is to blame, when to try again."""

    def __init__(
        self,
        message: str,
        key: str | None = None,
        status: int = 400,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.key, self.status, self.code, self.retry_after = key, status, code, retry_after


class Body(BaseModel):
    """Base of every body: unknown keys are refused, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class GenerateBody(Body):
    """`POST /generate`, and all of it where the model draws without being asked for anything."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    """The same seed gives the same picture; random when absent, and returned in the header `x-seed`."""
    steps: int | None = Field(default=None, ge=1, le=4)
    """How often the student refines; one is enough, and the default, unless the operator set another."""
    n: int = Field(default=1, ge=1)
    """How many pictures; picture i is drawn with seed + i. More than one are answered as JSON."""
    size: str = "auto"
    """`WIDTHxHEIGHT` in pixels, one of those the model offers, or auto."""
    format: Format | None = None
    """Image format."""
    image: str | None = Field(default=None, min_length=1, examples=[PICTURE])
    """A picture to start from instead of noise: PNG, JPEG or WebP in base64. Addresses are not fetched."""
    strength: float = Field(default=0.5, gt=0, le=1)
    """How far from that picture; snaps to what the student's steps allow."""
    model: str | None = None
    """One of `GET /v1/models`."""


@cache
def body_of(task: type[Task]) -> type[GenerateBody]:
    """What `POST /generate` takes of a task: the field that the task names, with those of every task."""
    if task.field is None:
        return GenerateBody
    name, doc = f"{task.field.name.title()}Body", f"`POST /generate` of a model that {task.does}."
    given: dict[str, Any] = {} if task.required or not task.images else {"default": ""}
    fields: dict[str, Any] = {task.field.name: (task.field.type, Field(description=task.field.doc, **given))}
    for key in task.images:
        fields[key] = (str | None, Field(default=None, min_length=1, description=f"A picture in base64: its {key}."))
    fields |= {one.name: (one.type | None, Field(default=None, description=one.doc)) for one in task.further}
    return create_model(name, __base__=GenerateBody, __doc__=doc, **fields)


class SwapBody(Body):
    """`POST /admin/model`."""

    bundle: str = Field(min_length=1)
    """Folder of the bundle, on the server."""
    model: str | None = None
    """Whose place it takes; the first one's by default."""


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


def order(body: GenerateBody, config: ServeConfig, model: Manifest) -> Order:
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


def from_base64(text: str, key: str = "image") -> bytes:
    """What a string of base64, a data URL too, stands for. Raises Refused."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # some clients break its lines
    except ValueError:
        raise Refused(f"{key} is not base64; accepted: PNG, JPEG or WebP in base64", key) from None


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


def checked(task: str, values: Mapping[str, Any]) -> GenerateBody:
    """`values` as `POST /generate` of a task would take them. Raises Refused."""
    return validated(body_of(task_named(task)), values)


def without_nulls(body: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` less the nulls of fields that may lack and are then something else: null is their default."""
    defaults = {
        field.alias or name: field.default for name, field in body.model_fields.items() if not field.is_required()
    }
    return {key: value for key, value in values.items() if value is not None or defaults.get(key) is None}


def validated(body: type[B], values: Mapping[str, Any]) -> B:
    """`values`, which another body held, as one of `body`. Raises Refused."""
    try:
        return body.model_validate(without_nulls(body, values))
    except ValidationError as error:
        raise explain(error.errors(), keys_of(body)) from None


def keys_of(body: type[BaseModel]) -> list[str]:
    """The keys of a body, as clients send them."""
    return [field.alias or name for name, field in body.model_fields.items()]


def explain(errors: Sequence[Mapping[str, Any]], known: Sequence[str]) -> Refused:
    """The first of pydantic's `errors` in one line; a misspelt key comes before what it leaves out."""
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    location = [part for part in first["loc"] if part != "body"]
    key = str(location[0]) if location else None
    if first["type"] == "json_invalid":
        return Refused(f"the body is not valid JSON: {first['ctx']['error']}")
    if first["type"] in ("model_attributes_type", "model_type"):
        return Refused("the body must be a JSON object")
    if key is None:
        return Refused(f"the body: {first['msg']}")
    if first["type"] == "extra_forbidden":
        return Refused(f"unknown key {_short(key)}{_instead(key, known)}", key, code="unknown_parameter")
    if first["type"] == "missing":
        return Refused(f"{key} is missing", key, code="missing_required_parameter")
    return Refused(_wrong(key, first), key, code="invalid_value")


def _wrong(key: str, error: Mapping[str, Any]) -> str:
    """A value that is refused, in a form a file in place of text or text in place of a file."""
    said, got = str(error["msg"]).removeprefix("Value error, "), error["input"]
    if said.startswith(_NO_FILE):
        return f"{key} is text; accepted: a file, PNG, JPEG or WebP, as curl -F {key}=@FILE sends it"
    return f"{key}: {said}, got {'a file' if hasattr(got, 'filename') else _short(got)}"


def _instead(key: str, known: Sequence[str]) -> str:
    """What to send in place of an unknown key: of one that holds the input of another task, this task's own."""
    drawing = [task for task in map(task_named, task_names()) if task.output == "image"]
    if key in {name for task in drawing for name in task.further_keys()}:
        return (
            f"; a model that draws from pictures takes it, and this one does not; accepted: {', '.join(sorted(known))}"
        )
    holds_input = {task.field.name for task in drawing if task.field is not None}
    if key in holds_input and (own := holds_input.intersection(known)):
        return f"; this model takes {', '.join(own)}"
    return "; this model takes a seed alone" if key in holds_input else nearest(key, known)


_NO_FILE = "Expected UploadFile"
"""How FastAPI begins what it says of text where a form should hold a file."""


def _short(value: Any) -> str:
    """`repr` (which escapes what cannot be printed or encoded), cut to a line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

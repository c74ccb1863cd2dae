"""The bodies that clients send, read strictly; it knows no model by name, and nothing about how to draw."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from models.noise import MAX_SEED
from models.task import Task, task_named
from runtime.formats import Format
from serving.refused import Refused, explain
from serving.serve_config import MOST_STEPS

B = TypeVar("B", bound=BaseModel)

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8ISfHgA0wMeAAg1MCANDKARQfGKMRAAAAAElFTkSuQmCC"
"""Eight red pixels square, a PNG in base64: what the interface's documentation shows, and tests from it send."""


class Body(BaseModel):
    """Base of every body: unknown keys are refused, nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class GenerateBody(Body):
    """`POST /generate`, and all of it where the model draws without being asked for anything."""

    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    """The same seed gives the same picture; random when absent, and returned in the header `x-seed`."""
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
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


class OptionalNulls(BaseModel):
    """Base of bodies in which null is as good as nothing, and keys without a meaning here are let through."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}


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


def from_base64(text: str, key: str = "image") -> bytes:
    """What a string of base64, a data URL too, stands for. Raises Refused."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)  # some clients break its lines
    except ValueError:
        raise Refused(f"{key} is not base64; accepted: PNG, JPEG or WebP in base64", key) from None


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

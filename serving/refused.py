"""A request that is refused, and one line for whatever is wrong with its body; it knows no model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from base.config import nearest
from base.errors import BadInput
from models.task import task_named, task_names

_NO_FILE = "Expected UploadFile"
"""How FastAPI begins what it says of text where a form should hold a file."""
_DRAWN_FROM = "/generate and /v1/images/edits"
"""Where a model that draws from pictures takes them."""


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


class Late(Refused):
    """The deadline passed before the request was drawn."""

    def __init__(self, deadline: float) -> None:
        message = f"the request was not drawn within {deadline:g} s; try again"
        super().__init__(message, status=429, code="deadline_exceeded", retry_after=math.ceil(deadline / 2))


def explain(errors: Sequence[Mapping[str, Any]], known: Sequence[str], further: Sequence[str] = ()) -> Refused:
    """The first of pydantic's `errors` in one line; a misspelt key comes before what it leaves out.

    `known`: the keys of the body; `further`: those that the model's task takes beside its input, whichever body they stand in.
    """
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    location = [part for part in first["loc"] if part != "body"]
    key = str(location[0]) if location else None
    if first["type"] == "json_invalid":
        return Refused(f"the body is not valid JSON: {first['ctx']['error']}")
    if key is None and first["type"] in ("model_attributes_type", "model_type"):
        return Refused("the body must be a JSON object")
    if key is None:
        return Refused(f"the body: {first['msg']}")
    if first["type"] == "extra_forbidden":
        return Refused(f"unknown key {_short(key)}{_instead(key, known, further)}", key, code="unknown_parameter")
    if _NO_FILE not in first["msg"]:  # a form's list is one of parts of one name
        key = _listed(location) or key
    if first["type"] == "missing":
        return Refused(f"{key} is missing", key, code="missing_required_parameter")
    said = _of_any_type(first, errors) if len(location) == 2 else str(first["msg"]).removeprefix("Value error, ")
    named = len(location) > 2 and isinstance(location[-1], str) and not isinstance(location[1], int)
    inside = f"{key}: {_short(location[-1])}" if named else key
    return Refused(_wrong(key, inside, said, first["input"]), key, code="invalid_value")


def _listed(location: Sequence[str | int]) -> str:
    """The place of what is wrong in a list, as OpenAI writes it: `messages[0].role`; nothing: it stands in none."""
    key, *inner = location
    if not inner or not isinstance(inner[0], int):
        return ""
    return str(key) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inner)


def _of_any_type(first: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic says of a value, of all types that the value may have: it makes an error of each."""
    begins = "Input should be "
    same = [error for error in errors if error["loc"][:-1] == first["loc"][:-1] and error["input"] == first["input"]]
    said = dict.fromkeys(str(error["msg"]) for error in (first, *same) if str(error["msg"]).startswith(begins))
    if str(first["msg"]) not in said:
        return str(first["msg"]).removeprefix("Value error, ")
    return begins + " or ".join(one.removeprefix(begins) for one in said)


def _wrong(key: str, inside: str, said: str, got: Any) -> str:
    """A value that is refused, in a form a file in place of text or text in place of a file."""
    if said.startswith(_NO_FILE):
        return f"{key} is text; accepted: a file, PNG, JPEG or WebP, as curl -F {key}=@FILE sends it"
    return f"{inside}: {said}, got {'a file' if hasattr(got, 'filename') else _short(got)}"


def _instead(key: str, known: Sequence[str], further: Sequence[str]) -> str:
    """What to send in place of an unknown key: of one that holds the input of another task, this task's own."""
    drawing = [task for task in map(task_named, task_names()) if task.output == "image"]
    if key in further:
        return f"; {_DRAWN_FROM} take it; accepted here: {', '.join(sorted(known))}"
    if key in {name for task in drawing for name in task.further_keys()}:
        return (
            f"; a model that draws from pictures takes it, and this one does not; accepted: {', '.join(sorted(known))}"
        )
    holds_input = {task.field.name for task in drawing if task.field is not None}
    if key in holds_input and (own := holds_input.intersection(known)):
        return f"; this model takes {', '.join((*own, *(name for name in further if name in known)))}"
    return "; this model takes a seed alone" if key in holds_input else nearest(key, known)


def _short(value: Any) -> str:
    """`repr` (which escapes what cannot be printed or encoded), cut to a line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

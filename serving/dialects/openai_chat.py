"""One picture in OpenAI's chat → a caption: bodies and answers of `/v1/chat/completions`; it knows no model.

A part of the dialect in `openai.py`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, field_validator, model_validator

from serving import caption_answers
from serving.answering import registry_of
from serving.caption_answers import CaptionBody
from serving.refused import Refused
from serving.schema import OptionalNulls, validated

if TYPE_CHECKING:
    from runtime.captioner import WrittenCaption


class Message(BaseModel):
    """One message: text, or parts of which some are pictures; what else it holds is ignored."""

    role: str
    content: str | list[dict[str, Any]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_message(cls, message: Any) -> Any:
        if not isinstance(message, dict):
            raise ValueError("Input should be an object of role and content")
        return message

    @field_validator("content", mode="before")
    @classmethod
    def _is_content(cls, content: Any) -> Any:
        listed = isinstance(content, list) and all(isinstance(part, dict) for part in content)
        if not (listed or content is None or isinstance(content, str)):
            raise ValueError("Input should be text or a list of parts, objects of type image_url or text")
        return content

    def pictures(self) -> list[str]:
        """The addresses of its pictures. Raises Refused: a part of another shape."""
        parts = self.content if isinstance(self.content, list) else []
        addresses = [part.get("image_url") for part in parts if part.get("type") == "image_url"]
        urls = [one.get("url") if isinstance(one, dict) else one for one in addresses]
        if not all(isinstance(url, str) for url in urls):
            raise Refused("messages: an image_url has no url; accepted: a data URL", "messages")
        return [str(url) for url in urls]


class ChatBody(OptionalNulls):
    """`POST /v1/chat/completions` with one picture; the text beside it changes nothing."""

    messages: list[Message] = Field(min_length=1)
    """One of them holds the picture, as a data URL."""
    model: str | None = None
    n: int = Field(default=1, ge=1)
    column: str = Field(default="", alias="as")
    """Ours: which kind of caption, as `/caption` takes it."""
    seed: int | None = None
    stream: bool | None = None
    """False: a caption is answered whole."""


router = APIRouter()


@router.post("/chat/completions")
async def chat_completions(body: ChatBody, request: Request) -> dict[str, Any]:
    """Say what the picture shows."""
    if body.stream:
        raise Refused("stream: a caption is answered whole; accepted: false, or nothing", "stream")
    pictures = [url for message in body.messages for url in message.pictures()]
    if len(pictures) != 1:
        raise Refused(f"messages hold {len(pictures)} pictures; accepted: one, as a data URL", "messages")
    if not pictures[0].startswith("data:"):
        raise Refused("messages: addresses are not fetched; accepted: a data URL", "messages")
    asked = {"image": pictures[0], "as": body.column, "n": body.n, "seed": body.seed, "model": body.model}
    caption = validated(CaptionBody, asked)
    model = registry_of(request).model(body.model)
    written = await caption_answers.write(request, model, caption)
    choices = [
        {"index": index, "message": {"role": "assistant", "content": one.text}, "finish_reason": _reason(one.complete)}
        for index, one in enumerate(written)
    ]
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.model or model.name,
        "choices": choices,
        "usage": _usage(written),
    }


def _usage(written: Sequence[WrittenCaption]) -> dict[str, int]:
    """What the model read and wrote, in tokens: the picture's once for all captions, and none of messages that it never saw."""
    read, said = written[0].read, sum(one.written for one in written)
    return {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}


def _reason(complete: bool) -> str:
    return "stop" if complete else "length"

"""One picture in OpenAI's chat → a caption: bodies and answers of `/v1/chat/completions`; it knows no model.

A part of the dialect in `openai.py`.
"""

from __future__ import annotations

import time
import uuid
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from serving import caption_answers
from serving.answering import registry_of
from serving.caption_answers import CaptionBody
from serving.refused import Refused
from serving.schema import OptionalNulls, validated


class Message(BaseModel):
    """One message: text, or parts of which some are pictures; what else it holds is ignored."""

    role: str
    content: str | list[dict[str, Any]] | None = None

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
    seed: int | None = None
    stream: Literal[False] | None = None
    """A caption is answered whole."""


router = APIRouter()


@router.post("/chat/completions")
async def chat_completions(body: ChatBody, request: Request) -> dict[str, Any]:
    """Say what the picture shows."""
    pictures = [url for message in body.messages for url in message.pictures()]
    if len(pictures) != 1:
        raise Refused(f"messages hold {len(pictures)} pictures; accepted: one, as a data URL", "messages")
    if not pictures[0].startswith("data:"):
        raise Refused("messages: addresses are not fetched; accepted: a data URL", "messages")
    caption = validated(CaptionBody, {"image": pictures[0], "n": body.n, "seed": body.seed, "model": body.model})
    written = await caption_answers.write(request, caption)
    choices = [
        {"index": index, "message": {"role": "assistant", "content": one.text}, "finish_reason": _reason(one.complete)}
        for index, one in enumerate(written)
    ]
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.model or registry_of(request).first.name,
        "choices": choices,
        "usage": usage,
    }


def _reason(complete: bool) -> str:
    return "stop" if complete else "length"

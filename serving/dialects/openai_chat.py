"""One picture in OpenAI's chat → a caption: path and answers of `/v1/chat/completions`; it knows no model.

A part of the dialect in `openai.py`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from serving import caption_answers
from serving.answering import registry_of
from serving.caption_answers import CaptionBody
from serving.dialects.openai_chat_bodies import ChatBody
from serving.refused import Refused
from serving.schema import validated

if TYPE_CHECKING:
    from runtime.captioner import WrittenCaption


router = APIRouter(prefix="/v1")


@router.post("/chat/completions")
async def chat_completions(body: ChatBody, request: Request) -> dict[str, Any]:
    """Say what the picture shows."""
    body.check()
    url, place = body.picture()
    asked = {"image": url, "as": body.column, "n": body.n, "seed": body.steady_seed, "model": body.model}
    caption = validated(CaptionBody, asked)
    model = registry_of(request).model(body.model)
    try:
        written = await caption_answers.write(request, model, caption, body.cut)
    except Refused as refused:
        if refused.key != "image":
            raise
        raise Refused(f"{place}: {refused}", place) from None  # where the client put the picture
    choices = [_choice(index, one) for index, one in enumerate(written)]
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.model or model.name,
        "choices": choices,
        "usage": _usage(written),
    }


def _choice(index: int, one: WrittenCaption) -> dict[str, Any]:
    """A caption as one of the answer's choices; what is null is never told."""
    message = {"role": "assistant", "content": one.text, "refusal": None}
    reason = "stop" if one.complete else "length"
    return {"index": index, "message": message, "logprobs": None, "finish_reason": reason}


def _usage(written: Sequence[WrittenCaption]) -> dict[str, int]:
    """What the model read and wrote, in tokens: the picture's once for all captions, and none of messages that it never saw."""
    read, said = written[0].read, sum(one.written for one in written)
    return {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}

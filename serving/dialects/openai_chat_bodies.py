"""What OpenAI's chat asks for when it asks for a caption, and what of it cannot be had; it knows no model.

Peers are followed: what is honoured there and can be here is; a key at its default passes; what would change the answer and
cannot be had is refused by name, as OpenAI does of models that sample in one way alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from runtime.captioner import Cut
from serving.refused import Refused
from serving.schema import OptionalNulls

PICTURE_PART = "image_url"
PARTS = (PICTURE_PART, "text", "refusal")
"""Types of a message's parts; an assistant's earlier answers may hold the last."""
IGNORED = (
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "user",
    "verbosity",
)
"""Keys of OpenAI's that change nothing of a caption, whatever they hold."""
MOST_STOPS = 4
"""As many as OpenAI takes."""


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

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Its parts; text alone has none."""
        return self.content if isinstance(self.content, list) else []


class ChatBody(OptionalNulls):
    """`POST /v1/chat/completions` with one picture; the text beside it changes nothing."""

    model_config = ConfigDict(extra="forbid")

    messages: list[Message] = Field(min_length=1)
    """One of them holds the picture, as a data URL."""
    model: str | None = None
    n: int = Field(default=1, ge=1)
    column: str = Field(default="", alias="as")
    """Ours: which kind of caption, as `/caption` takes it."""
    seed: int | None = None
    max_completion_tokens: int | None = Field(default=None, ge=-1)
    """A caption is cut behind so many, and then ends for the reason `length`; -1: behind as many as the model writes."""
    max_tokens: int | None = Field(default=None, ge=-1)
    """The same under its older name; of both the smaller counts."""
    stop: str | list[str] = []
    """Texts that a caption is cut off before, four at most."""
    temperature: float = Field(default=1, ge=0, le=2)
    """0: without a seed the same caption every time; above it captions differ by their seeds, however far."""
    top_p: float = Field(default=1, gt=0, le=1)
    """Taken as OpenAI takes it, and changes nothing."""
    stream: bool = False
    """False: a caption is answered whole; this and the fields below are taken at these defaults alone."""
    presence_penalty: float = 0
    frequency_penalty: float = 0
    logit_bias: Any = {}
    logprobs: Any = False
    top_logprobs: Any = 0
    response_format: Any = {"type": "text"}
    modalities: Any = ["text"]
    audio: Any = None
    web_search_options: Any = None
    tools: Any = []
    tool_choice: Any = "auto"
    """none: tools may be there, for none is called."""
    functions: Any = []
    function_call: Any = "auto"

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name not in IGNORED}

    @field_validator("max_tokens", "max_completion_tokens")
    @classmethod
    def _is_some(cls, most: int | None) -> int | None:
        if most == 0:
            raise ValueError("Input should be 1 or more, or -1 for no limit")
        return most

    @field_validator("stop")
    @classmethod
    def _are_few(cls, stop: str | list[str]) -> str | list[str]:
        if isinstance(stop, list) and len(stop) > MOST_STOPS:
            raise ValueError(f"Input should hold {MOST_STOPS} texts at most")
        return stop

    @property
    def cut(self) -> Cut:
        """Where the captions are cut off."""
        limits = [most for most in (self.max_tokens, self.max_completion_tokens) if most is not None and most > 0]
        stops = [self.stop] if isinstance(self.stop, str) else self.stop
        return Cut(min(limits, default=None), tuple(stop for stop in stops if stop))

    @property
    def steady_seed(self) -> int | None:
        """The seed, of a temperature of 0 always one."""
        return 0 if self.seed is None and self.temperature == 0 else self.seed

    def picture(self) -> tuple[str, str]:
        """The data URL of the one picture, and its place in the messages.

        Raises Refused: a part of another shape, no picture or several, an address.
        """
        pictures = []
        for place, part in _placed_parts(self.messages):
            if (kind := part.get("type")) not in PARTS:
                accepted = f"accepted: {PICTURE_PART}, text"
                raise Refused(f"{place}.type {kind!r:.40} is unknown; {accepted}", f"{place}.type")
            if kind != PICTURE_PART:
                continue
            shown = part.get("image_url")
            url = shown.get("url") if isinstance(shown, dict) else shown
            if not isinstance(url, str):
                raise Refused(f"{place}: an image_url has no url; accepted: a data URL", f"{place}.image_url")
            pictures.append((url, f"{place}.image_url"))
        if len(pictures) != 1:
            raise Refused(f"messages hold {len(pictures)} pictures; accepted: one, as a data URL", "messages")
        (url, place) = pictures[0]
        if not url.startswith("data:"):
            raise Refused(f"{place}: addresses are not fetched; accepted: a data URL", place)
        return url, place

    def check(self) -> None:
        """Raises Refused: something is asked for that would change the answer, and cannot be had."""
        calls_none = self.tool_choice == "none" or self.function_call == "none"
        for key, only in ONLY.items():
            value = getattr(self, key)
            if value in only.values or (calls_none and key in ("tools", "functions")):
                continue
            accepted = " or ".join(json.dumps(one) for one in only.values if one is not None)
            accepted = f"{accepted}, or nothing" if accepted else "nothing"
            code = "unsupported_value" if only.values != (None,) else "unsupported_parameter"
            raise Refused(f"{key}: {only.why}; accepted: {accepted}", key, code=code)


def _placed_parts(messages: list[Message]) -> list[tuple[str, dict[str, Any]]]:
    """All parts of all messages, each with its place as OpenAI writes it."""
    return [
        (f"messages[{number}].content[{index}]", part)
        for number, message in enumerate(messages)
        for index, part in enumerate(message.parts)
    ]


@dataclass(frozen=True)
class Only:
    """What a key may say at most, and why."""

    why: str
    values: tuple[Any, ...]


SAMPLED = "the words of a caption are not sampled"
TOOLS = "a caption calls no tools"
ONLY = {
    "stream": Only("a caption is answered whole", (False,)),
    "presence_penalty": Only(SAMPLED, (0,)),
    "frequency_penalty": Only(SAMPLED, (0,)),
    "logit_bias": Only(SAMPLED, ({},)),
    "logprobs": Only("probabilities of words are not told", (False,)),
    "top_logprobs": Only("probabilities of words are not told", (0,)),
    "response_format": Only("a caption is plain text", ({"type": "text"},)),
    "modalities": Only("a caption is plain text", (["text"],)),
    "audio": Only("a caption is plain text", (None,)),
    "web_search_options": Only("nothing is looked up", (None,)),
    "tools": Only(TOOLS, ([],)),
    "functions": Only(TOOLS, ([],)),
    "tool_choice": Only(TOOLS, ("auto", "none")),
    "function_call": Only(TOOLS, ("auto", "none")),
}
"""What would change the answer, at which values it does not."""

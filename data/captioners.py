"""Caption pictures by a network or by an OpenAI-compatible endpoint, once; it knows nothing of data sets.

Every caption is cached on disk by picture and prompt as soon as it is there, so that a killed or refused run goes on.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field
from rich.console import Console

from base.config import Config
from base.errors import BadInput
from base.files import write_text
from base.progress import track
from base.runs import runs_root


class Captioner(Protocol):
    """What captions a picture file. BadInput: it cannot be reached, or gives no caption."""

    name: str
    """Everything that its captions depend on; part of the cache's key."""

    def __call__(self, picture: Path) -> str:
        """The caption of one picture."""


class BlipConfig(Config):
    """BLIP through transformers (arXiv 2201.12086)."""

    model: str = "Salesforce/blip-image-captioning-base"
    """Folder or Hub name."""
    tokens: int = 30
    """Tokens of the longest caption."""

    def open(self) -> Captioner:
        """Load the network. BadInput: no BLIP in that folder or under that name."""
        return Blip(self)


class EndpointConfig(Config):
    """A chat endpoint that takes pictures, in OpenAI's dialect."""

    model: str
    """What the endpoint calls it."""
    url: str = "https://api.openai.com/v1"
    """Its address, up to the version."""
    prompt: str = "Describe this picture in one short sentence."
    """The text sent with every picture."""
    key: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    per_minute: float = Field(default=60.0, gt=0)
    """Requests a minute at most."""
    retries: int = 5
    """Attempts after a request was refused or lost; the waits between them double."""
    seconds: float = 60.0
    """Seconds to wait for an answer."""

    def open(self) -> Captioner:
        """Set up the client; nothing is sent. BadInput: the key's variable is empty."""
        return Endpoint(self)


class Blip:
    """A captioner that runs here: BLIP. BadInput: the weights cannot be read."""

    def __init__(self, config: BlipConfig) -> None:
        from transformers import BlipForConditionalGeneration, BlipProcessor

        self.config = config
        try:
            self.processor: Any = BlipProcessor.from_pretrained(config.model)
            self.network: Any = BlipForConditionalGeneration.from_pretrained(config.model).eval()
        except (OSError, ValueError) as error:
            raise BadInput(f"captioner {config.model}: no BLIP is there: {str(error).splitlines()[0]}") from None
        weights = hashlib.sha256()  # what it says is kept by what it is, not by where it lies
        for value in self.network.state_dict().values():
            weights.update(value.contiguous().numpy().tobytes())
        self.name = f"{config!r} {weights.hexdigest()}"

    def __call__(self, picture: Path) -> str:
        from PIL import Image

        with Image.open(picture) as image:
            pixels = self.processor(images=image.convert("RGB"), return_tensors="pt").pixel_values
        ids = self.network.generate(pixel_values=pixels, max_new_tokens=self.config.tokens)
        return str(self.processor.decode(ids[0], skip_special_tokens=True))


class Endpoint:
    """A captioner that somebody else runs, behind a chat endpoint. BadInput: the key's variable is empty."""

    def __init__(self, config: EndpointConfig) -> None:
        import openai

        if not (key := os.environ.get(config.key)):
            raise BadInput(f"the environment variable {config.key} must hold the key of {config.url}")
        self.config, self.name = config, f"{config.url} {config.model} {config.prompt}"
        self.pace = Pace(config.per_minute)
        self.client = openai.OpenAI(
            base_url=config.url, api_key=key, max_retries=config.retries, timeout=config.seconds
        )

    def __call__(self, picture: Path) -> str:
        import openai

        self.pace.wait()
        image = f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
        content: Any = [
            {"type": "text", "text": self.config.prompt},
            {"type": "image_url", "image_url": {"url": image}},
        ]
        try:
            answer = self.client.chat.completions.create(
                model=self.config.model, messages=[{"role": "user", "content": content}]
            )
            return answer.choices[0].message.content or ""
        except (openai.OpenAIError, IndexError, TypeError, AttributeError) as error:
            said = (str(error).splitlines() or [repr(error)])[0][:200]
            raise BadInput(
                f"{self.config.url} gave no caption ({said}); those it gave are kept, the same command goes on"
            ) from None


@dataclass
class Pace:
    """A limit of so many calls a minute, evenly spaced."""

    per_minute: float
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _free: float = field(default=0.0, init=False)

    def wait(self) -> None:
        """Return when the next call may go."""
        if (left := self._free - self.now()) > 0:
            self.sleep(left)
        self._free = max(self._free, self.now()) + 60 / self.per_minute


def describe(captioner: Captioner, pictures: Sequence[Path]) -> list[str]:
    """A caption of every picture; those that this captioner gave before are read from disk."""
    return [
        _cached_caption(captioner, picture) for picture in track(pictures, "describing", console=Console(stderr=True))
    ]


def _cached_caption(captioner: Captioner, picture: Path) -> str:
    name = hashlib.sha256(captioner.name.encode() + b"\0" + picture.read_bytes()).hexdigest()
    file = runs_root() / "cache" / "captions" / f"{name}.txt"
    if not file.is_file():
        text = captioner(picture)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    return file.read_text(encoding="utf-8")

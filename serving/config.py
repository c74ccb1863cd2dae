"""What an operator may set about serving, typed and frozen; it knows nothing about HTTP or models."""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.config import Config
from models.errors import BadInput

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages: the checkout, or a bento's source folder."""
PREFIX = "IPPO_"
"""`IPPO_PORT=8080` in the environment sets `port`."""
TRAINED = ROOT / "models" / "pretrained" / "emoji-mini" / "student"
"""The bundle that ships."""

Format = Literal["png", "jpeg", "webp"]


class ServeConfig(Config):
    """Everything that can be set; each field has an environment variable of its name: `IPPO_MAX_QUEUE`."""

    bundle: Path = TRAINED
    """Folder of the bundle to serve."""
    backend: str = "auto"
    """Who runs the graphs: ort, openvino, or auto for the best present."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Threads of the backend; none: its own choice."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 opens the service to the network."""
    port: int = Field(default=3000, ge=1, le=65535)
    """Port to listen on."""
    page: bool = True
    """Whether to serve the page at /ui (about 100 MB of memory)."""
    access_log: bool = False
    """Whether every request is logged: its path and time, never its prompt."""
    tracing: bool = False
    """Whether OpenTelemetry sees every request, through BentoML; costs 0.2 ms a request."""
    format: Format = "png"
    """Image format when a request names none."""
    batches: tuple[int, ...] = (1,)
    """Batch sizes that are prepared, `1,4,8` in the environment. On a CPU 4 gains a sixth and costs 80 MB."""
    max_queue: int = Field(default=64, ge=1, le=100_000)
    """Most images waiting; above it a request is answered 429."""
    max_wait_ms: float = Field(default=0.0, ge=0, le=1000)
    """How long a busy server waits for a batch to fill; an idle one never waits."""
    max_images: int = Field(default=8, ge=1, le=64)
    """Most images in one request."""
    max_prompt: int = Field(default=1000, ge=1)
    """Most characters in a prompt."""
    max_body: int = Field(default=1 << 20, ge=1024)
    """Most bytes in a request's body."""

    @field_validator("host")
    @classmethod
    def _numeric(cls, value: str) -> str:
        return str(ipaddress.ip_address("127.0.0.1" if value == "localhost" else value))

    @field_validator("batches", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("batches")
    @classmethod
    def _with_one(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        """A request that nobody joins must run as well."""
        if not all(1 <= size <= 64 for size in value):
            raise ValueError("batch sizes lie between 1 and 64")
        return tuple(sorted({1, *value}))

    @model_validator(mode="after")
    def _whole_request_fits(self) -> Self:
        if self.max_images > self.max_queue:
            raise ValueError("max_images may not exceed max_queue")
        return self

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> ServeConfig:
        """Defaults changed by `IPPO_*`; a variable almost named like a field is refused, other ones are not ours."""
        values: dict[str, str] = {}
        for name, value in environ.items():
            field = name.removeprefix(PREFIX).lower()
            if not name.startswith(PREFIX):
                continue
            if field in cls.model_fields:
                values[field] = value
            elif close := difflib.get_close_matches(field, cls.model_fields, n=1, cutoff=0.7):
                raise BadInput(f"environment: {name} is not a setting; did you mean {PREFIX}{close[0].upper()}?")
        return cls.parse(values, "environment")

    def environment(self) -> dict[str, str]:
        """The variables that make `from_environment` give this configuration again."""
        values = {**dict(self), "batches": ",".join(map(str, self.batches))}
        return {PREFIX + name.upper(): str(value) for name, value in values.items() if value is not None}

    def describe(self) -> str:
        """One line, all values resolved."""
        return " ".join(f"{name.removeprefix(PREFIX).lower()}={value}" for name, value in self.environment().items())

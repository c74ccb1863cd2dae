"""What an operator may set about serving, typed and frozen; it knows nothing about HTTP or models."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from base.config import Config, closest
from base.errors import BadInput
from base.shipped import SHIPPED_BUNDLE
from models.schedule import STUDENT_TIMESTEPS
from runtime.formats import Format

Resample = Literal["lanczos", "nearest"]
KEY = re.compile(r"[A-Za-z0-9._~-]{8,}")
"""What every header can hold."""
MOST_STEPS = max(STUDENT_TIMESTEPS)
"""In which students draw."""
PREFIX = "IPPO_"
"""`IPPO_PORT=8080` in the environment sets `port`."""
ALMOST = 0.7
"""How alike a variable and a field must be to be taken for a slip: other programs have variables of our prefix."""


class ServeConfig(Config):
    """Everything that can be set; each field has an environment variable of its name: `IPPO_MAX_QUEUE`."""

    bundle: Path = SHIPPED_BUNDLE
    """Folder of the bundle to serve, or its name on the Hub, `hub:user/name`."""
    models: dict[str, Path] = Field(default={}, max_length=2)
    """Up to two bundles by name in place of `bundle`, `one=FOLDER,other=FOLDER`; a request chooses one by `model`."""
    aliases: dict[str, str] = {}
    """Other names of served models, which clients have built in: `gpt-image-1=emoji,dall-e-3=emoji`."""
    backend: str = "auto"
    """Who runs the graphs: openvino, ort, rtx, trt, eager, or auto for the fastest (rtx with this GPU's engine; never trt)."""
    device: str = "auto"
    """Where the backend runs: cpu, cuda, webgpu, or auto for its own choice."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Threads of the backend; none: its own choice."""
    host: str = "127.0.0.1"
    """Address to listen on, or a name of this machine; 0.0.0.0 opens the service to the network."""
    port: int = Field(default=3000, ge=1, le=65535)
    """Port to listen on."""
    page: bool = True
    """Whether to serve the page at /ui (about 100 MB of memory)."""
    api_keys: tuple[SecretStr, ...] = ()
    """Keys, separated by commas, of which a client must show one; none: everybody who reaches the port may draw."""
    admin_key: SecretStr | None = None
    """Key of `POST /admin/model`, which is not offered without one."""
    cors: tuple[str, ...] = ()
    """Origins whose pages a browser may let ask, `https://example.org`; none: only this service's own page."""
    access_log: bool = False
    """Whether every request is logged as a line of JSON: id, path, status, times, seed; never its prompt."""
    log_prompts: bool = False
    """Whether that line holds the prompt as well."""
    tracing: bool = False
    """Whether OpenTelemetry sees every request, through BentoML; costs 0.2 ms a request."""
    format: Format = "png"
    """Image format when a request names none."""
    provenance: bool = True
    """Whether files say what made them: prompt, seed, model, and that the picture is made by a trained algorithm."""
    image_to_image: bool = True
    """Whether pictures may start from a client's; its graphs are warmed too."""
    batches: tuple[int, ...] = (1, 8)
    """Batch sizes that are prepared, `1,4,8` in the environment, for one step from noise. A CPU draws a small model's
    images twice as fast by eights for many clients; each size costs the weights once more."""
    split_batches: tuple[int, ...] = (1,)
    """The same for everything else: 2 to 4 steps, and pictures that start from a client's."""
    reproducible: bool = False
    """Whether every image is drawn alone, so that its bytes do not depend on the load at all."""
    steps: int = Field(default=1, ge=1, le=MOST_STEPS)
    """Steps of a request that names none, or of an Automatic1111 client more than the student knows."""
    max_queue: int = Field(default=64, ge=1, le=100_000)
    """Most images waiting; above it a request is answered 429."""
    max_wait_ms: float = Field(default=0.0, ge=0, le=1000)
    """How long a busy server waits for a batch to fill; an idle one never waits."""
    deadline: float = Field(default=30.0, gt=0, le=3600)
    """Most seconds until a request is answered; one that would wait longer is refused at once, with 429."""
    max_live: int = Field(default=64, ge=1, le=10_000)
    """Most websockets at /live."""
    max_images: int = Field(default=8, ge=1, le=64)
    """Most images in one request."""
    max_prompt: int = Field(default=1000, ge=1)
    """Most characters in a prompt."""
    long_prompts: Literal["cut", "refuse"] = "cut"
    """What becomes of a prompt of more tokens than the model reads; cut: the header `x-dropped-tokens` says how many."""
    max_body: int = Field(default=1 << 20, ge=1024)
    """Most bytes in a request's body."""
    max_picture_body: int = Field(default=24 << 20, ge=1024)
    """The same where a request may bring pictures: a photograph of a phone in base64 has some ten million."""
    body_seconds: float = Field(default=10.0, gt=0, le=3600)
    """Most seconds that a client may take to send a body, and as many again for each further `max_body` bytes."""
    max_side: int = Field(default=2048, ge=1, le=8192)
    """Most pixels a side of an answer that is resized: OpenAI's and Automatic1111's clients name sizes of their own."""
    resample: Resample = "lanczos"
    """How it is resized: lanczos, or nearest for pixel art."""

    @field_validator("batches", "split_batches", "api_keys", "cors", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("api_keys", "admin_key")
    @classmethod
    def _sendable(cls, value: Any) -> Any:
        for key in value if isinstance(value, tuple) else (value,):
            if key is not None and not KEY.fullmatch(key.get_secret_value()):
                raise BadInput("a key has at least 8 of the characters A-Z a-z 0-9 . _ ~ -")
        return value

    @field_validator("models", "aliases", mode="before")
    @classmethod
    def _named(cls, value: Any, field: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        named = {name.strip(): what.strip() for name, _, what in pairs}
        if not all(name and what for name, what in named.items()):
            form = "NAME=FOLDER,NAME=FOLDER" if field.field_name == "models" else "ALIAS=MODEL,ALIAS=MODEL"
            raise ValueError(f"{field.field_name} are written {form}")
        if len(named) < len(pairs):
            raise ValueError(f"each name may stand in {field.field_name} once")
        return named

    @field_validator("batches", "split_batches")
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

    def sizes(self, *, fused: bool) -> tuple[int, ...]:
        """The batch sizes that are really used: of one step from noise, or of everything else."""
        return (1,) if self.reproducible else self.batches if fused else self.split_batches

    @property
    def slowest_body(self) -> float:
        """Seconds within which every body has arrived or is given up."""
        return self.body_seconds * (1 + max(self.max_body, self.max_picture_body) // self.max_body)

    @property
    def bundles(self) -> tuple[tuple[str | None, Path], ...]:
        """Name, where the operator gave one, and folder of every bundle to serve; the first is the default."""
        return tuple(self.models.items()) or ((None, self.bundle),)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> ServeConfig:
        """Defaults changed by `IPPO_*`; a variable almost named like a field is refused, other ones are not ours."""
        return cls.parse(cls.variables(environ), "environment")

    @classmethod
    def resolve(cls, file: Path | None, environ: Mapping[str, str], settings: Iterable[str]) -> ServeConfig:
        """The file's values, changed by the environment's, changed by `name=value` settings. Raises BadInput."""
        values: dict[str, Any] = dict(cls.load(file).model_dump(exclude_unset=True)) if file else {}
        values |= cls.variables(environ)
        for setting in settings:
            name, sign, value = setting.partition("=")
            if not sign:
                raise BadInput(f"setting '{setting}' is not of the form name=value")
            values[name] = value
        return cls.parse(values, "settings")

    @classmethod
    def variables(cls, environ: Mapping[str, str]) -> dict[str, str]:
        """Field → the value of its variable, where there is one. BadInput: a variable almost named like a field."""
        values: dict[str, str] = {}
        for name, value in environ.items():
            field = name.removeprefix(PREFIX).lower()
            if not name.startswith(PREFIX):
                continue
            if field in cls.model_fields:
                values[field] = value
            elif close := closest(field, cls.model_fields, ALMOST):
                raise BadInput(f"environment: {name} is not a setting; did you mean {PREFIX}{close.upper()}?")
        return values

    def environment(self) -> dict[str, str]:
        """The variables that make `from_environment` give this configuration again, secrets included."""
        return {PREFIX + name.upper(): _as_text(value) for name, value in self if value is not None}

    def describe(self) -> str:
        """One line, all values resolved, secrets hidden."""
        return " ".join(f"{name}={_hidden(value)}" for name, value in self if value not in (None, (), {}))

    @classmethod
    def settings(cls) -> str:
        """Every setting with its variable, default and meaning, for people."""
        lines = []
        for name, field in cls.model_fields.items():
            default = _hidden(field.default) if field.default not in (None, (), {}) else "-"
            meaning = " ".join((field.description or "").split())
            lines.append(f"{name}={default}  ({PREFIX}{name.upper()})\n    {meaning}")
        return "\n".join(lines)


def _as_text(value: Any) -> str:
    """As a variable holds it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(map(_as_text, value))
    if isinstance(value, dict):
        return ",".join(f"{name}={folder}" for name, folder in value.items())
    return str(value)


def _hidden(value: Any) -> str:
    """As a log may hold it."""
    secret = isinstance(value, SecretStr) or (isinstance(value, tuple) and value and isinstance(value[0], SecretStr))
    return "***" if secret else _as_text(value)

"""A training's configuration as fields to edit, and what was edited as overrides; it knows neither trainings nor pages.

What is refused is refused by the `Config` itself, in its own one line.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from base.config import Config

Kind = Literal["switch", "choice", "number", "words", "model", "yaml"]
STARTS = ("start", "base")
"""Keys of the model that a training starts from, whatever the method."""


@dataclass(frozen=True)
class Field:
    """One value of a configuration."""

    key: str
    """Dotted, as in an override."""
    kind: Kind
    value: Any
    """As the page shows it: `model` and `yaml` as text."""
    doc: str
    """The line of doc below it in its class."""
    choices: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The part of the key before the last dot; `""` without one."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The part of the key after the last dot."""
        return self.key.rpartition(".")[2]


def fields(config: Config, before: str = "") -> Iterator[Field]:
    """The leaves of a configuration in the order of its classes, a nested configuration's where it stands.

    Where a model to start from could stand in a nested configuration's place, there is a field for it as well.
    """
    for name, info in type(config).model_fields.items():
        value, doc = getattr(config, name), " ".join((info.description or "").split())
        if isinstance(value, Config):
            if f"{before}{name}" in STARTS:
                yield Field(name, "model", "", doc)
            yield from fields(value, f"{before}{name}.")
        else:
            yield _field(f"{before}{name}", info.annotation, value, doc)


def grouped(fields: Iterator[Field]) -> dict[str, list[Field]]:
    """Group → its fields, those of no group first under `""`."""
    groups: dict[str, list[Field]] = {"": []}
    for field in fields:
        groups.setdefault(field.group, []).append(field)
    return groups


def overrides(known: Sequence[Field], values: Sequence[Any], more: str = "") -> list[str]:
    """What differs from `known` as `key=value`, and the lines of `more` as they are."""
    changed = {
        field.key: f"{field.key}={_typed(field, value)}"
        for field, value in zip(known, values, strict=True)
        if value != field.value
    }
    replaced = tuple(f"{key}." for key in STARTS if key in changed)
    return [override for key, override in changed.items() if not key.startswith(replaced)] + [
        line.strip() for line in more.splitlines() if line.strip()
    ]


def best_match(stem: str, names: Mapping[str, Any]) -> list[str]:
    """Names of methods, those first that a file's stem ends in: `tiny-decoder` is most likely a `decoder`."""
    return sorted(names, key=lambda name: (not stem.endswith(name), name != stem))


def _field(key: str, annotation: Any, value: Any, doc: str) -> Field:
    if key in STARTS:
        return Field(key, "model", "" if value is None else _yaml(_plain(value)), doc)
    if typing.get_origin(annotation) is Literal and all(isinstance(one, str) for one in typing.get_args(annotation)):
        return Field(key, "choice", value, doc, typing.get_args(annotation))
    if annotation is bool:
        return Field(key, "switch", value, doc)
    if annotation in (int, float):
        return Field(key, "number", value, doc)
    if annotation is str:
        return Field(key, "words", value, doc)
    return Field(key, "yaml", _yaml(_plain(value)), doc)


def _plain(value: Any) -> Any:
    """A value as mappings, lists and scalars, which YAML can write."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _typed(field: Field, value: Any) -> str:
    """What the page gave for a field, as it is typed on the command line."""
    if field.kind in ("model", "yaml"):
        return str(value or "")
    if field.kind == "number" and isinstance(value, float) and math.isfinite(value) and isinstance(field.value, int):
        value = int(value) if value.is_integer() else value
    return _yaml(value)


def _yaml(value: Any) -> str:
    """A value as YAML in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False).removesuffix("...\n").strip()

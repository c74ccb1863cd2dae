"""Nested mappings by dotted keys, as one types them on the command line; it knows no configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dotted(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """`{"loop": {"steps": 4}}` → `{"loop.steps": 4}`; an empty mapping is a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= dotted(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat

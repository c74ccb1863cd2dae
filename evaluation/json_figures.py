"""Figures as JSON that every reader takes: null where a figure is no number; it knows none of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def text(figures: Mapping[str, Any], indent: int | None = None, ensure_ascii: bool = True) -> str:
    """The figures; NaN and infinite numbers, which Python would write and JSON does not know, are null."""
    return json.dumps(_finite(figures), indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Bodies whose clients send null for whatever they do not set; it knows no dialect."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class OptionalNulls(BaseModel):
    """Base of bodies in which null is as good as nothing, and keys without a meaning here are let through."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}

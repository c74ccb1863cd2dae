"""What the OpenAPI document says of `/generate`'s answers; it knows nothing about how they come about."""

from __future__ import annotations

from typing import Any

from serving.serve_config import MEDIA_TYPE

LINE = {"type": "string", "description": "One line: what was wrong and what is accepted."}
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "What was wrong and what is accepted; 429: the header retry-after says when to try again.",
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"error": LINE}, "required": ["error"]},
            }
        },
    },
}
MANY = {
    "type": "object",
    "required": ["created", "output_format", "data"],
    "properties": {
        "created": {"type": "integer"},
        "output_format": {"enum": list(MEDIA_TYPE)},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["b64_json", "seed"],
                "properties": {"b64_json": {"type": "string"}, "seed": {"type": "integer"}},
            },
        },
    },
}
"""The schema of several pictures in JSON."""
GENERATE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image; with n > 1, JSON.",
        "headers": {
            "x-seed": {"schema": {"type": "string"}, "description": "The seed of the first picture."},
            "server-timing": {"schema": {"type": "string"}, "description": "Times of the stages."},
            "x-dropped-tokens": {"schema": {"type": "string"}, "description": "How many tokens did not fit."},
        },
        "content": {
            **{media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPE.values()},
            "application/json": {"schema": MANY},
        },
    },
    **ERRORS,
}

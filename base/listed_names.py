"""Names in one cell of a table, however a list is written there; it knows nothing about what they name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from base.errors import BadInput
from base.table_reader import TableRow, as_text

_NAME = re.compile(r"""(?<!\w)(?:"([^"]*)"|'([^']*)')(?!\w)""")
"""A name within quotation marks, of a list that is written out; an apostrophe within a word is none."""

_BETWEEN = ("|", ";", ",")
"""What parts names, the rarest within a name first."""


def names_of(row: TableRow, column: str) -> list[str]:
    """The names in a row's column. BadInput: no list of names, with the row's line."""
    try:
        return names_in(row.values.get(column))
    except BadInput as error:
        raise BadInput(f"{row.where}: {column} {error}") from None


def names_in(value: Any) -> list[str]:
    """The names in one cell: a list, one written out as JSON, Python or numpy write it, or with commas between them, semicolons
    or bars.

    A trait of a token's metadata, `{"trait_type": "Hat", "value": "Cap"}`, is `Hat: Cap`; empty ones are left out.
    BadInput: no list of names.
    """
    text = as_text(value)
    cut = text.startswith("[") and text.count("[") > text.count("]")
    if isinstance(value, Mapping) or (cut and not isinstance(value, list)):
        raise _no_names(value)
    if not isinstance(value, list) and not (text.startswith("[") and text.endswith("]")):
        between = next((mark for mark in _BETWEEN if mark in text), ",")
        return [name for name in map(str.strip, text.split(between)) if name]
    listed = value if isinstance(value, list) else _written_list(text)
    named = [_trait(item) if isinstance(item, Mapping) else item for item in listed]
    if any(isinstance(item, list | Mapping) for item in named):
        raise _no_names(value)
    return [name for name in map(as_text, named) if name]


def _trait(item: Mapping[str, Any]) -> Any:
    kind, value = as_text(item.get("trait_type")), as_text(item.get("value"))
    return f"{kind}: {value}" if kind and value else item


def _no_names(value: Any) -> BadInput:
    return BadInput(
        f"{value!r:.60} is no list of names; accepted: names with commas, semicolons or bars between them, or a JSON list"
    )


def _written_list(text: str) -> list[Any]:
    """`["a", "b"]`, `['a', 'b']`, `['a' 'b']` or `[a, b]`."""
    try:
        listed = json.loads(text)
    except ValueError:
        rest = _NAME.sub("", text[1:-1])
        if not set(rest) & set("'\"[]{}"):
            quoted = [double or single for double, single in _NAME.findall(text)]
            if not quoted:
                return rest.split(",")
            if not rest.replace(",", "").strip():
                return quoted
        raise _no_names(text) from None
    return list(listed)

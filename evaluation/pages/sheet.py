"""A table as cells, as HTML, and as Markdown; it knows nothing of what stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Sheet:
    """A table: the first column names the row."""

    title: str
    heads: list[str]
    rows: list[list[str]]


def html(sheet: Sheet, kind: str = "") -> str:
    """A table with its title; one without rows is left out. `kind` is its class."""
    if not sheet.rows:
        return ""
    heads = "".join(f"<th>{escape(head)}</th>" for head in sheet.heads)
    rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in sheet.rows]
    caption = f"<caption>{escape(sheet.title)}</caption>" if sheet.title else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table class="{kind}">{caption}<tr>{heads}</tr>{body}</table></div>'


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a Markdown file, figures to the right; no line ending behind it."""
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

"""A self-contained HTML page from headings, tables, pictures and curves; it knows nothing of what they show.

Pictures are data URIs, curves inline SVG; there is no script, and nothing is fetched.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from evaluation.pages import sheet
from evaluation.pages.chart import Points, chart

STYLE = """
body { max-width: 78rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; color: #26282c; background: #fff;
  font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif }
h1 { font-size: 1.7rem; margin: 0 0 .3rem } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem }
p, ul { max-width: 60rem } .faint { color: #6a6e76 }
table { border-collapse: collapse; margin: .8rem 0 1.2rem; font-variant-numeric: tabular-nums; font-size: .9rem }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; border-bottom: 1px solid #e6e8ec; vertical-align: top }
th:first-child, td:first-child { text-align: left } th { color: #6a6e76; font-weight: 500 }
table.facts td { text-align: left } table.figures td { white-space: nowrap }
.warnings li { margin: .3rem 0; padding: .4rem .8rem; background: #fdf3e4; border-left: 3px solid #d98b1f; list-style: none }
.warnings { padding: 0 } .charts { display: flex; flex-wrap: wrap; gap: 1rem } .wide { overflow-x: auto }
img { max-width: 100% } figure { margin: 1rem 0 } figcaption { color: #6a6e76; font-size: .9rem }
"""


table = sheet.html


def page(title: str, subtitle: str, parts: Iterable[str]) -> str:
    """The whole document; `subtitle` is a line under the title."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n'
        f'<h1>{escape(title)}</h1><p class="faint">{escape(subtitle)}</p>\n' + "\n".join(parts) + "\n</body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A heading and what belongs to it; nothing where there is nothing."""
    shown = [part for part in parts if part]
    return f"<section><h2>{escape(title)}</h2>\n" + "\n".join(shown) + "</section>" if shown else ""


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def bullets(lines: Sequence[str], kind: str = "") -> str:
    """A list; `kind` is its class."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{items}</ul>' if lines else ""


def picture(image: Image.Image, caption: str) -> str:
    """A picture with a line below it."""
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return _figure(content.getvalue(), caption)


def picture_file(file: Path, caption: str) -> str:
    """A PNG file as it is."""
    return _figure(file.read_bytes(), caption)


def charts(titles: Mapping[str, Mapping[str, Points]]) -> str:
    """One chart a title: title → name of the curve → its points."""
    charted = "".join(chart(title, series) for title, series in titles.items())
    return f'<div class="charts">{charted}</div>' if charted else ""


def _figure(png: bytes, caption: str) -> str:
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )

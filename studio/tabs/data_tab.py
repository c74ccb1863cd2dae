"""The tab of image sets: what is in one, what was dropped and why, how often each label; it changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import gradio as gr

from base.errors import BadInput
from data.cleaning_report import CleaningReport
from data.imagefolder import ImageFolder
from evaluation.pages import sheet
from evaluation.pages.sheet import Sheet
from studio import library, pieces
from studio.messages import shows

SPLITS = ("train", "validation", "test")
PAGE = 60
"""Pictures shown at once."""
MOST_LABELS = 400
"""A column of more distinct values is no label."""
EVERYTHING = "(all)"
NOTHING = pieces.hint("No image set in IPPO_RUNS yet. A first one, in a second:", "ippo data digits")


def build(opened: Sequence[Any]) -> None:
    """Lay the tab out; sets are looked up when it is `opened`."""
    with gr.Row():
        name = gr.Dropdown([], label="Set", elem_id="data-set", scale=2, min_width=140)
        split = gr.Radio(list(SPLITS), value=SPLITS[0], label="Split", scale=3)
        column = gr.Dropdown([], label="Label", scale=1, min_width=120)
        label = gr.Dropdown([EVERYTHING], value=EVERYTHING, label="Only", scale=1, min_width=120)
        page = gr.Slider(1, 2, 1, step=1, label="Page", scale=2)
    with gr.Row():
        with gr.Column(scale=3):
            gallery = gr.HTML(NOTHING, elem_id="data-gallery")
        with gr.Column(scale=2):
            counts = gr.HTML()
            report = gr.HTML()
    shown = [name, split, column, label, page]
    gr.on(opened, _names, name, name, queue=False, show_progress="hidden")
    gr.on([name.change, split.change], _columns, [name, split], [column, page], show_progress="hidden")
    name.change(_report, name, report, show_progress="hidden")
    gr.on([name.change, split.change, column.change], _labels, [name, split, column], [label, counts])
    gr.on([name.change, split.change, label.change, page.change], _gallery, shown, gallery, show_progress="hidden")
    gr.on([split.change, label.change], _pages, [name, split, column, label], page)


def rows(images: ImageFolder, column: str | None, label: str) -> list[int]:
    """The rows that carry `label` in `column`; all where nothing is chosen."""
    if not column or label == EVERYTHING or column not in images.columns:
        return list(range(len(images)))
    return [row for row, value in enumerate(images.column(column)) if label in _words(value)]


def label_columns(images: ImageFolder) -> list[str]:
    """Columns whose values recur: labels, or lists of attributes."""
    columns = []
    for column in images.columns:
        distinct = Counter(word for value in images.column(column) for word in _words(value))
        if 1 < len(distinct) <= min(MOST_LABELS, len(images) - 1):
            columns.append(column)
    return sorted(columns, key=lambda column: column not in ("label", "attributes"))


def label_counts(images: ImageFolder, column: str) -> dict[str, int]:
    """Label → the number of its rows, numbers in their order, names by frequency."""
    counts = Counter(word for value in images.column(column) for word in _words(value))
    if all(name.isdigit() for name in counts):
        return dict(sorted(counts.items(), key=lambda item: int(item[0])))
    return dict(counts.most_common())


@shows
def report_of(name: str) -> str:
    """HTML of a set's cleaning report: rows, what was dropped, how it was made."""
    report = CleaningReport.load(library.image_set(name))
    if report is None:
        return pieces.hint("This set has no report: it was not made by ippo.")
    reasons = Counter(entry.why for entry in report.dropped)
    examples = {why: next(entry.what for entry in report.dropped if entry.why == why) for why in reasons}
    made = {"made by": report.made_by, **report.parameters, **report.versions}
    tables = [
        Sheet("Rows", ["split", "rows"], [[split, f"{count:,}"] for split, count in report.rows.items()]),
        Sheet(
            "Dropped",
            ["because", "how many", "for example"],
            [[why, f"{count:,}", examples[why]] for why, count in reasons.most_common()],
        ),
        Sheet("How it was made", ["", ""], [[key, _short(value)] for key, value in made.items()]),
    ]
    nothing = "" if reasons else pieces.hint("Nothing was dropped.")
    return pieces.title("Cleaning report") + nothing + "".join(sheet.html(table, "studio-table") for table in tables)


@shows
def gallery_of(name: str, split: str, column: str | None, label: str, page: int) -> str:
    """HTML of one page of pictures."""
    images = _opened(name, split)
    chosen = rows(images, column, label)[(page - 1) * PAGE : page * PAGE]
    sources = images.sources
    captions = images.column("text") if "text" in images.columns else [""] * len(images)
    return pieces.gallery([sources[row] for row in chosen], [str(captions[row]) for row in chosen])


def _names(name: str | None) -> Any:
    names = library.sets()
    return gr.Dropdown(names, value=name if name in names else next(iter(names), None))


def _columns(name: str | None, split: str) -> tuple[Any, Any]:
    try:
        images = _opened(name or "", split)
    except BadInput:
        return gr.Dropdown([], value=None), gr.Slider(1, 2, 1)
    columns = label_columns(images)
    return gr.Dropdown(columns, value=next(iter(columns), None)), gr.Slider(1, _last_page(len(images)), 1)


def _labels(name: str | None, split: str, column: str | None) -> tuple[Any, str]:
    everything = gr.Dropdown([EVERYTHING], value=EVERYTHING)
    if not name or not column:
        return everything, ""
    try:
        counts = label_counts(_opened(name, split), column)
    except BadInput:
        return everything, ""
    title = pieces.title(f"{len(counts):,} values of {column}")
    return gr.Dropdown([EVERYTHING, *counts], value=EVERYTHING), title + pieces.bars(counts)


def _report(name: str | None) -> str:
    return report_of(name) if name else ""


def _gallery(name: str | None, split: str, column: str | None, label: str, page: int) -> str:
    return gallery_of(name, split, column, label, page) if name else NOTHING


def _pages(name: str | None, split: str, column: str | None, label: str) -> Any:
    try:
        return gr.Slider(1, _last_page(len(rows(_opened(name or "", split), column, label))), 1)
    except BadInput:
        return gr.skip()


def _last_page(count: int) -> int:
    """At least two: a slider needs room."""
    return max(2, -(-count // PAGE))


def _opened(name: str, split: str) -> ImageFolder:
    folder = library.image_set(name)
    table = folder / split / "metadata.jsonl"
    return _read(str(folder), split, table.stat().st_mtime_ns if table.is_file() else 0)


@lru_cache(maxsize=4)
def _read(folder: str, split: str, written: int) -> ImageFolder:
    return ImageFolder(folder, split)


def _words(value: Any) -> Iterable[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "…"

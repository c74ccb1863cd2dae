"""A report as sheets of cells: for a terminal with rich, as Markdown, for a page; it knows no figure by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

from evaluation.attributes.composition import Composition
from evaluation.line import Figure, Line, ratio, share
from evaluation.pages.sheet import Sheet, markdown_table
from evaluation.remarks import notes, warnings
from evaluation.report import Report

WORST = 8
"""Attributes that are listed by name."""


def sheets(report: Report) -> list[Sheet]:
    """A sheet for each table that the figures name, N in the first of them, and the teacher's sweep."""
    first, *others = figure_sheets(report.figures, report.lines, report.teacher)
    counts = {line.name: str(line.n) for line in report.lines}
    counted = Sheet(first.title, [*first.heads, "N"], [[*row, counts[row[0]]] for row in first.rows])
    return [counted, *others, _sweep(report)]


def figure_sheets(figures: Sequence[Figure[Any]], lines: Sequence[Line], teacher: Line) -> list[Sheet]:
    """A sheet for each table that the figures name.

    The columns are the teacher's; a line without a single cell is left out (the reals' variety), and a table without a column.
    """
    sheets = []
    for title in dict.fromkeys(figure.table for figure in figures):
        shown = [figure for figure in figures if figure.table == title]
        columns = [column for figure in shown for column in figure.cells(teacher[figure], teacher[figure])]
        rows = []
        for line in lines:
            cells = {
                column: cell for figure in shown for column, cell in figure.cells(line[figure], teacher[figure]).items()
            }
            row = [cells.get(column, "") for column in columns]
            if any(row):
                rows.append([line.name, *row])
        if columns:
            sheets.append(Sheet(title, ["", *map(str, columns)], rows))
    return sheets


def attribute_sheets(compositions: Sequence[Composition]) -> list[Sheet]:
    """What the judge sees of the attributes requested, first the reals', and those it misses most."""
    return [_composed(compositions), _missed(compositions)] if compositions else []


def rich_table(report: Report, compositions: Sequence[Composition] = (), more: Sequence[Sheet] = ()) -> Group:
    """The sheets, `more` of them, and below them what they rest on."""
    shown = [*sheets(report), *attribute_sheets(compositions), *more]
    return rich_sheets(shown, notes(report), warnings(report, compositions))


def rich_sheets(shown: Sequence[Sheet], noted: Sequence[str], warned: Sequence[str]) -> Group:
    """Tables, and below them what they rest on and what should worry one."""
    return Group(*map(_rich, shown), *noted, *(f"! {line}" for line in warned))


def markdown(report: Report, compositions: Sequence[Composition] = (), more: Sequence[Sheet] = ()) -> str:
    """The same as `rich_table`, for a model card."""
    return markdown_sheets(
        [*sheets(report), *attribute_sheets(compositions), *more], notes(report), warnings(report, compositions)
    )


def markdown_sheets(shown: Sequence[Sheet], noted: Sequence[str], warned: Sequence[str]) -> str:
    """The same as `rich_sheets`, for a model card."""
    blocks = [markdown_table([sheet.title, *sheet.heads[1:]], sheet.rows) for sheet in shown]
    blocks.append("\n".join(f"- {note}" for note in noted))
    if warned:
        blocks.append("\n".join(f"- **{warning}**" for warning in warned))
    return "\n\n".join(blocks) + "\n"


def _rich(sheet: Sheet) -> Table:
    table = Table(*sheet.heads, title=sheet.title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in sheet.rows:
        table.add_row(*row)
    return table


def _sweep(report: Report) -> Sheet:
    distances = {(point.guidance, point.sampler): point.fd for point in report.sweep}
    guidances = list(dict.fromkeys(point.guidance for point in report.sweep))
    samplers = list(dict.fromkeys(point.sampler for point in report.sweep))
    rows = [[sampler, *(f"{distances[guidance, sampler]:.4g}" for guidance in guidances)] for sampler in samplers]
    title = f"Teacher's FD (judge, N = {report.sweep_n}) by guidance"
    return Sheet(title, ["", *(f"{guidance:g}" for guidance in guidances)], rows)


def _composed(compositions: Sequence[Composition]) -> Sheet:
    reals, weights = compositions[0], sorted({weight for one in compositions for weight in one.weights})
    heads = ["known combinations ↑", "÷ reals'", "unknown ones ↑", "÷ reals'", "mean over names ↑"]
    rows = [
        [
            one.name,
            *(share(one.seen), ratio(one.seen, reals.seen), share(one.unseen), ratio(one.unseen, reals.unseen)),
            share(one.names.mean),
            *(share(one.weights.get(weight)) for weight in weights),
            str(one.n),
        ]
        for one in compositions
    ]
    return Sheet(
        "Attributes seen by the judge", ["", *heads, *(f"at weight {weight:g}" for weight in weights), "N"], rows
    )


def _missed(compositions: Sequence[Composition]) -> Sheet:
    """By the last source, the student in most steps."""
    names = compositions[-1].names
    order = sorted(names.counts, key=lambda name: (names.by_name[name], name))[:WORST]
    rows = [
        [name, *(share(one.names.by_name.get(name)) for one in compositions), str(names.counts[name])] for name in order
    ]
    return Sheet("Attributes seen least", ["", *(one.name for one in compositions), "N"], rows)

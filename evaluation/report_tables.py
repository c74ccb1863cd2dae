"""A report as sheets of cells: for a terminal with rich, as Markdown, for a page; it measures nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table

from evaluation.composition import Composition
from evaluation.remarks import notes, warnings
from evaluation.report import Report
from evaluation.sheet import Sheet, markdown_table

WORST = 8
"""Attributes that are listed by name."""


def sheets(report: Report) -> list[Sheet]:
    """Distances, captions, variety, and the teacher's sweep; a figure's network stands in its head."""
    return [_distances(report), _captions(report), _variety(report), _sweep(report)]


def attribute_sheets(found: Sequence[Composition]) -> list[Sheet]:
    """What the judge sees of the attributes asked for, first the reals', and those it misses most."""
    return [_composed(found), _missed(found)] if found else []


def rich_table(report: Report, attributes: Sequence[Composition] = ()) -> Group:
    """The sheets, and below them what they rest on."""
    told = [_rich(sheet) for sheet in (*sheets(report), *attribute_sheets(attributes))]
    return Group(*told, *notes(report), *(f"! {line}" for line in warnings(report, attributes)))


def markdown(report: Report, attributes: Sequence[Composition] = ()) -> str:
    """The same as `rich_table`, for a model card."""
    found = [*sheets(report), *attribute_sheets(attributes)]
    parts = [markdown_table([one.title, *one.heads[1:]], one.rows) for one in found]
    parts.append("\n".join(f"- {note}" for note in notes(report)))
    if warned := warnings(report, attributes):
        parts.append("\n".join(f"- **{warning}**" for warning in warned))
    return "\n\n".join(parts) + "\n"


def _rich(sheet: Sheet) -> Table:
    table = Table(*sheet.heads, title=sheet.title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in sheet.rows:
        table.add_row(*row)
    return table


def _distances(report: Report) -> Sheet:
    networks = list(report.floor.fidelity)
    heads = []
    for name in networks:
        heads += [f"FD ({name}) ↓", f"KID ×10³ ({name}) ↓", f"precision / recall ({name}) ↑"]
    rows = []
    for line in report.lines:
        row = [line.name]
        for name in networks:
            found = line.fidelity[name]
            row += [
                f"{found.fd:.4g} ± {found.fd_deviation:.1g}",
                f"{1000 * found.kid.mean:.3g} ± {1000 * found.kid.deviation:.1g}",
                f"{found.precision:.2f} / {found.recall:.2f}",
            ]
        rows.append([*row, f"{line.detail:.2f}", str(line.n)])
    return Sheet("Distance from held-out reals", ["", *heads, "detail ÷ reals'", "N"], rows)


def _captions(report: Report) -> Sheet:
    sets, networks = list(report.floor.identified), list(report.floor.similarity)
    heads = ["named by the judge ↑", *(f"{name}: top 1 / 5 ↑" for name in sets), "background ↑"]
    heads += [f"similarity, own / shuffled ({name}) ↑" for name in networks]
    rows = [
        [
            line.name,
            _share(line.recognised),
            *(f"{line.identified[name].top1:.3f} / {line.identified[name].top5:.3f}" for name in sets),
            _share(line.ground),
            *(f"{line.similarity[name].own:.3f} / {_share(line.similarity[name].shuffled)}" for name in networks),
        ]
        for line in report.lines
    ]
    return Sheet("What was asked for", ["", *heads], rows)


def _variety(report: Report) -> Sheet:
    teacher = report.teacher
    heads = [
        "pixels ÷ teacher's",
        *(f"{name} ÷ teacher's" for name in teacher.diversity),
        "nearest training ÷ held-out's",
    ]
    rows = [
        [
            line.name,
            _ratio(line.spread, teacher.spread),
            *(_ratio(line.diversity.get(name), value) for name, value in teacher.diversity.items()),
            "" if line.nearest is None else f"{line.nearest:.2f}",
        ]
        for line in report.lines[1:]
    ]
    return Sheet("Variety at one prompt", ["", *heads], rows)


def _sweep(report: Report) -> Sheet:
    found = {(point.guidance, point.sampler): point.fd for point in report.sweep}
    guidances = list(dict.fromkeys(point.guidance for point in report.sweep))
    samplers = list(dict.fromkeys(point.sampler for point in report.sweep))
    rows = [[sampler, *(f"{found[guidance, sampler]:.4g}" for guidance in guidances)] for sampler in samplers]
    title = f"Teacher's FD (judge, N = {report.sweep_n}) by guidance"
    return Sheet(title, ["", *(f"{guidance:g}" for guidance in guidances)], rows)


def _composed(found: Sequence[Composition]) -> Sheet:
    reals, weights = found[0], sorted({weight for one in found for weight in one.weights})
    heads = ["known combinations ↑", "÷ reals'", "unknown ones ↑", "÷ reals'"]
    rows = [
        [
            one.name,
            *(_share(one.seen), _ratio(one.seen, reals.seen), _share(one.unseen), _ratio(one.unseen, reals.unseen)),
            *(_share(one.weights.get(weight)) for weight in weights),
            str(one.n),
        ]
        for one in found
    ]
    return Sheet(
        "Attributes seen by the judge", ["", *heads, *(f"at weight {weight:g}" for weight in weights), "N"], rows
    )


def _missed(found: Sequence[Composition]) -> Sheet:
    """By the last source, the student in most steps."""
    order = sorted(found[-1].by_name, key=lambda name: (found[-1].by_name[name], name))[:WORST]
    rows = [[name, *(_share(one.by_name.get(name)) for one in found)] for name in order]
    return Sheet("Attributes seen least", ["", *(one.name for one in found)], rows)


def _share(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3f}"


def _ratio(value: float | None, by: float | None) -> str:
    return "" if value is None or not by or math.isnan(value / by) else f"{value / by:.2f}"

"""A line of figures about one source of images or captions, and what declares a figure; it knows no figure by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar, cast

LOWER, HIGHER = "↓", "↑"
"""Which direction is better."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    head: str
    better: str = ""
    """`LOWER`, `HIGHER`, or nothing where neither is."""

    def __str__(self) -> str:
        return f"{self.head} {self.better}".strip()


def _nothing(student: Line, teacher: Line) -> str:
    return ""


@dataclass(frozen=True)
class Figure(Generic[Value]):
    """One figure of a source: report, JSON, tables, columns of evidence and warnings follow from it."""

    name: str
    """Its key in `quality.json`."""
    table: str
    """Title of the table that shows it."""
    measure: Callable[[Any], Value]
    """Takes what a source gave: `SourceImages`, `SourceCaptions`, `SourceTransfers`."""
    cells: Callable[[Value, Value], Mapping[Column, str]]
    """The source's value and the teacher's → its cells; a table has the columns of the teacher's own cells."""
    numbers: Mapping[str, Callable[[Value], float | None]] = field(default_factory=dict)
    """Single numbers by the head of their column, for tables over many trainings."""
    note: str = ""
    """A sentence on what it means or rests on; left out where no source has a value."""
    remark: Callable[[Line, Line], str] = _nothing
    """A student's line and the teacher's → what should worry one, without the name; nothing where all is well."""


@dataclass(frozen=True)
class Line:
    """The figures of one source: `line[DETAIL]`."""

    name: str
    n: int
    """Images of the distances, or captions."""
    values: dict[str, Any]
    """By the name of the figure; typed through `line[FIGURE]`."""

    def __getitem__(self, figure: Figure[Value]) -> Value:
        return cast(Value, self.values[figure.name])

    def as_json(self) -> dict[str, Any]:
        """`{"name": …, "n": …, "fidelity": …}`: numbers, words, lists and mappings."""
        fields = asdict(self)
        values = fields.pop("values")
        return {**fields, **values}


def measure(name: str, source: Sized, figures: Sequence[Figure[Any]]) -> Line:
    """The line of one source: each figure of what it gave."""
    return Line(name, len(source), {figure.name: figure.measure(source) for figure in figures})


def numbers(line: Line, figures: Sequence[Figure[Any]]) -> dict[str, float | None]:
    """The single numbers of a line, by the heads of their columns."""
    return {head: number(line[figure]) for figure in figures for head, number in figure.numbers.items()}


def share(value: float | None) -> str:
    """`0.123`; nothing where there is no value."""
    return "" if value is None or math.isnan(value) else f"{value:.3f}"


def ratio(value: float | None, by: float | None) -> str:
    """`value` ÷ `by` as `0.12`; nothing where there is no such ratio."""
    return "" if value is None or not by or math.isnan(value / by) else f"{value / by:.2f}"

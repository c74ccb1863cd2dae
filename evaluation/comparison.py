"""Sources side by side by declared figures, without distances or a sweep: tables, notes, remarks; it names no figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.line import Figure, Line
from evaluation.pages.report_tables import figure_sheets, markdown_sheets
from evaluation.pages.sheet import Sheet


@dataclass(frozen=True)
class Comparison:
    """The figures of baselines, teacher and students."""

    figures: Sequence[Figure[Any]]
    """What each line holds, in the order of tables and columns."""
    baselines: Sequence[Line]
    teacher: Line
    students: Sequence[Line]

    @property
    def lines(self) -> tuple[Line, ...]:
        """Baselines, teacher, students."""
        return (*self.baselines, self.teacher, *self.students)

    def sheets(self) -> list[Sheet]:
        """A sheet for each table that the figures name."""
        return [sheet for sheet in figure_sheets(self.figures, self.lines, self.teacher) if len(sheet.heads) > 1]

    def notes(self) -> list[str]:
        """What the figures mean, a sentence each."""
        empty: tuple[Any, ...] = (None, {}, ())
        return [
            figure.note
            for figure in self.figures
            if figure.note and any(line[figure] not in empty for line in self.lines)
        ]

    def warnings(self) -> list[str]:
        """What should worry one about the students, a sentence each."""
        remarks = [
            (line, remark) for line in self.students for figure in self.figures
            if (remark := figure.remark(line, self.teacher))
        ]  # fmt: skip
        return [f"{line.name}: {remark}" for line, remark in remarks]

    def markdown(self) -> str:
        """The tables, and what they rest on, for a model card."""
        return markdown_sheets(self.sheets(), self.notes(), self.warnings())

    def as_json(self) -> list[dict[str, Any]]:
        """A line each: numbers, words, lists and mappings."""
        return [line.as_json() for line in self.lines]

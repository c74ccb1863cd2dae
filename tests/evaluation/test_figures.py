"""A new figure is one declaration: report, tables, JSON, evidence and warnings follow."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from evaluation import evaluation
from evaluation.figures import DETAIL, FIDELITY, FIGURES
from evaluation.line import HIGHER, Column, Figure, Line, numbers
from evaluation.pages import report_page, report_tables
from evaluation.reference import SourceImages
from evaluation.remarks import notes, warnings
from evaluation.subjects import Subjects
from evaluation.variety import VARIETY
from tests.evaluation.test_evaluation import EFFORT, image_set, networks

__all__ = ["image_set", "networks"]

HEAD = "redness ↑"


def _redness(source: SourceImages) -> float:
    return float(source.images[..., 0].mean() / 255)


REDNESS = Figure(
    name="redness",
    table="Colour",
    measure=_redness,
    cells=lambda own, teacher: {Column("redness", HIGHER): f"{own:.5f}", Column("÷ teacher's"): f"{own / teacher:.5f}"},
    numbers={"redness": lambda value: value},
    note="Redness: mean of the red channel.",
    remark=lambda student, teacher: f"redness {student[REDNESS]:.5f}.",
)


@pytest.fixture(scope="module")
def result(image_set: Path, networks: Path, tiny_student: Path) -> evaluation.Evaluation:
    names = (str(tiny_student), str(networks / "teacher"), str(networks / "judge"), str(image_set))
    subjects = Subjects(*names, steps=2, student_steps=(1,))
    return evaluation.evaluate(subjects, EFFORT, figures=(*FIGURES, REDNESS))


def test_a_made_up_figure_is_in_report_tables_json_evidence_and_warnings(
    result: evaluation.Evaluation, tmp_path: Path
) -> None:
    report, student = result.report, result.report.students[0]
    value = student[REDNESS]
    assert 0 < value < 1 and value != report.teacher[REDNESS]
    # JSON
    evaluation.save(result, tmp_path)
    saved = json.loads((tmp_path / "quality.json").read_text())
    assert [line["redness"] for line in saved["lines"]] == [line[REDNESS] for line in report.lines]
    # tables: the table that it opens, in Markdown, terminal and page
    (sheet,) = [sheet for sheet in report_tables.sheets(report) if sheet.title == "Colour"]
    assert sheet.heads == ["", HEAD, "÷ teacher's"]
    assert [row[:2] for row in sheet.rows] == [[line.name, f"{line[REDNESS]:.5f}"] for line in report.lines]
    assert sheet.rows[1][2] == "1.00000"
    terminal = io.StringIO()
    Console(file=terminal, width=300).print(report_tables.rich_table(report))
    for text in (terminal.getvalue(), (tmp_path / "quality.md").read_text(), report_page.html(result)):
        assert HEAD in text and f"{value:.5f}" in text
        assert f"{student.name}: redness {value:.5f}." in text and REDNESS.note in text
    # evidence
    assert numbers(student, report.figures)["redness"] == value
    assert "redness" not in numbers(student, FIGURES)


def test_a_figure_joins_a_table_that_is_there(result: evaluation.Evaluation) -> None:
    joined = Figure("redness", VARIETY, _redness, REDNESS.cells)
    report = replace(result.report, figures=(*FIGURES, joined))
    (variety,) = [sheet for sheet in report_tables.sheets(report) if sheet.title == VARIETY]
    assert variety.heads[-2:] == [HEAD, "÷ teacher's"]
    assert [row[0] for row in variety.rows] == [line.name for line in report.lines], "the reals have a cell now"
    assert variety.rows[0][1:-2] == [""] * (len(variety.heads) - 3)


def test_names_are_unique_and_all_are_declared() -> None:
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names) and not {"name", "n"} & set(names)
    heads = [head for figure in FIGURES for head in figure.numbers]
    on_disk = ["FD ×10³", "recall", "accuracy", "detail", "nearest"]
    assert [head for head in heads if head in on_disk] == on_disk, "columns of the evidence that is on disk"
    assert FIGURES[0] is FIDELITY, "N stands in the table of distances"


def test_what_no_source_has_is_neither_noted_nor_remarked_upon(result: evaluation.Evaluation) -> None:
    said = " ".join(notes(result.report))
    assert "Similarity" not in said, "no network here reads captions"
    assert DETAIL.note in said
    quiet = Figure("redness", "Colour", _redness, REDNESS.cells)
    alone = Line("student", 4, {"redness": np.float64(0.5)})
    assert quiet.remark(alone, alone) == ""
    assert not any("redness" in line for line in warnings(replace(result.report, figures=(*FIGURES, quiet))))

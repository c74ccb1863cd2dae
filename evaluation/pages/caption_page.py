"""An evaluation of captions as one HTML page; it measures nothing."""

from __future__ import annotations

from evaluation.captions.caption_evaluation import CaptionEvaluation
from evaluation.captions.caption_figures import EXACT, SAID
from evaluation.pages import web_page
from evaluation.pages.report_page import timings, training
from evaluation.pages.sheet import Sheet


def html(evaluation: CaptionEvaluation) -> str:
    """The whole page."""
    comparison, subjects = evaluation.comparison, evaluation.subjects
    warned = web_page.bullets(evaluation.warnings(), "warnings") or web_page.paragraph("None.")
    parts = [
        web_page.section("In one line", web_page.paragraph(_headline(evaluation))),
        web_page.section("Warnings", warned),
        web_page.section(
            "Figures",
            *(web_page.table(sheet, "figures") for sheet in evaluation.sheets()),
            web_page.bullets(comparison.notes()),
        ),
        web_page.section("Pictures", *(web_page.picture(grid, kind) for kind, grid in evaluation.grids.items())),
        web_page.section("Time of one caption", web_page.table(timings(evaluation.timings), "figures")),
        *(training(name) for name in (subjects.student, subjects.teacher)),
        web_page.section(
            "What was measured where",
            web_page.table(Sheet("", ["", ""], [[*fact] for fact in evaluation.facts.items()]), "facts"),
        ),
    ]
    return web_page.page(subjects.student, f"Captions beside {subjects.teacher} on {subjects.data}.", parts)


def _headline(evaluation: CaptionEvaluation) -> str:
    student, teacher = evaluation.comparison.students[0], evaluation.comparison.teacher
    kind, own = next(iter(student[EXACT].items()))
    return (
        f"{student.name}: of {kind} pictures {own:.3f} of the captions are exact (the teacher's: {teacher[EXACT][kind]:.3f}), "
        f"and {student[SAID][kind]:.3f} name the thing."
    )

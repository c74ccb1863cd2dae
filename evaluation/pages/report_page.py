"""An evaluation as one HTML page; it measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image

from evaluation import record
from evaluation.clock import TIMING_HEADS, Timing
from evaluation.comparison import Comparison
from evaluation.evaluation import SEARCHED, Evaluation
from evaluation.figures import fd
from evaluation.line import Line
from evaluation.pages import report_tables, web_page
from evaluation.pages.chart import Points
from evaluation.pages.sheet import Sheet
from evaluation.remarks import notes, warnings
from evaluation.report import Report
from evaluation.transfers.transfer_figures import MIX, Curve

GRIDS = {
    "training captions": "Training captions: the same prompts and the same noise in every row.",
    "held-out captions": "Held-out captions: the same prompts and the same noise in every row.",
    "seeds": "One prompt under several seeds: what only the noise changes.",
    "every attribute alone": "Every attribute alone, all others left free.",
    "unseen combinations": "Combinations of two attributes that training never showed together: the reals, and what is drawn.",
    "weight sweep": "The weight of the last attribute alone changes; same noise in every row.",
    "steps": "The teacher in many steps and in few, above the student in one; same noise in every row.",
    "variations": "Held-out pictures, asked for as content and style at once; same noise in every row.",
    "style transfer": "The thing of one picture in the style of another, and the real picture of it.",
    "mix": "A caption beside the picture of another thing: at mix 0 the picture alone counts, at 1 the caption.",
    "autoencoder": "Held-out reals above what the autoencoder leaves of them.",
}
NEIGHBOURS = (
    f"Of {SEARCHED} images for training captions, those nearest to a training image (by the judge), and below each the "
    "nearest training images. The number is the distance ÷ that of held-out reals: near 0 it is a copy."
)


def html(evaluation: Evaluation) -> str:
    """The whole page."""
    report, subjects = evaluation.report, evaluation.subjects
    *measured, sweep = report_tables.sheets(report)
    parts = [
        web_page.section("In one line", *(web_page.paragraph(headline(line, report)) for line in report.students)),
        web_page.section(
            "Warnings",
            web_page.bullets(warnings(report, evaluation.compositions), "warnings") or web_page.paragraph("None."),
        ),
        web_page.section(
            "Figures", *(web_page.table(sheet, "figures") for sheet in measured), web_page.bullets(notes(report))
        ),
        web_page.section(
            "Attributes",
            *(
                web_page.table(sheet, "figures")
                for sheet in (*report_tables.attribute_sheets(evaluation.compositions), *evaluation.sheets)
            ),
        ),
        _transfers(evaluation.transfers),
        web_page.section(
            "The teacher's sweep",
            web_page.table(sweep, "figures"),
            web_page.charts({"FD over guidance": sweep_curves(report)}),
        ),
        web_page.section("Pictures", *_pictures(evaluation.grids)),
        web_page.section("Nearest training images", _picture(evaluation.grids, "neighbours", NEIGHBOURS)),
        web_page.section("Time of one image", web_page.table(timings(evaluation.timings), "figures")),
        *(training(name) for name in (subjects.student, subjects.teacher)),
        web_page.section(
            "What was measured where", web_page.table(Sheet("", ["", ""], _rows(evaluation.facts)), "facts")
        ),
    ]
    return web_page.page(subjects.student, f"Evaluated beside {subjects.teacher} on {subjects.data}.", parts)


def _transfers(transfers: Comparison | None) -> str:
    """What was asked for by pictures; nothing where nothing was."""
    if transfers is None:
        return ""
    tables = (web_page.table(sheet, "figures") for sheet in transfers.sheets())
    warned, curves = web_page.bullets(transfers.warnings(), "warnings"), web_page.charts(mix_curves(transfers))
    return web_page.section("Asked for by pictures", warned, *tables, web_page.bullets(transfers.notes()), curves)


def mix_curves(transfers: Comparison) -> dict[str, dict[str, Points]]:
    """How often a prompt's thing is seen, and how often a picture's, over the share of the prompt: a curve a source."""
    curves = {line.name: line[MIX] for line in (transfers.teacher, *transfers.students)}
    return {
        title: {name: sorted(seen(curve).items()) for name, curve in curves.items() if curve is not None}
        for title, seen in (("prompt's thing over mix", _of_prompt), ("picture's thing over mix", _of_picture))
    }


def _of_prompt(curve: Curve) -> dict[float, float]:
    return curve.prompt


def _of_picture(curve: Curve) -> dict[float, float]:
    return curve.picture


def headline(line: Line, report: Report) -> str:
    """A student's FD against the teacher's and the floor's."""
    own, floor, teacher = fd(line), fd(report.floor), fd(report.teacher)
    above = f"; above the floor {(own - floor) / (teacher - floor):.2f} ×" if teacher > floor else ""
    return (
        f"{line.name}: FD {own:.4g} by the judge, {own / max(teacher, 1e-12):.2f} × its teacher's "
        f"{teacher:.4g}{above}. Floor {floor:.4g}, N = {line.n}."
    )


def sweep_curves(report: Report) -> dict[str, Points]:
    """Sampler → FD over guidance."""
    names = dict.fromkeys(point.sampler for point in report.sweep)
    return {name: sorted((p.guidance, p.fd) for p in report.sweep if p.sampler == name) for name in names}


def timings(cases: Sequence[Timing]) -> Sheet:
    """Whole images, batch 1, timed in turns; the first row is the teacher."""
    heads = ["whole image, batch 1", *TIMING_HEADS, "teacher ÷ this"]
    rows = [[one.by, *one.cells(), f"{cases[0].median / one.median:.3g}"] for one in cases]
    return Sheet("", heads, rows)


def training(name: str) -> str:
    """The curves of a run; nothing for a bundle or a plain folder."""
    if not record.is_run(name):
        return ""
    run = record.read(name)
    return web_page.section(f"Training of {name}", web_page.charts(record.curves([run])))


def _pictures(grids: Mapping[str, Image.Image]) -> list[str]:
    return [_picture(grids, name, caption) for name, caption in GRIDS.items()]


def _picture(grids: Mapping[str, Image.Image], name: str, caption: str) -> str:
    return web_page.picture(grids[name], caption) if name in grids else ""


def _rows(facts: Mapping[str, str]) -> list[list[str]]:
    return [[name, value] for name, value in facts.items()]

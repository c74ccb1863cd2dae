"""A report as a table: for a terminal with rich, for a model card as Markdown; it measures nothing."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from metrics.report import Line, Report
from metrics.validity import BLURS, DROPS, MARGIN, NOISES


def rich_table(report: Report) -> Group:
    """The three lines, and below them what they rest on."""
    heads, *rows = cells(report)
    table = Table(*heads)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    return Group(table, *notes(report))


def markdown(report: Report) -> str:
    """The same as `rich_table`, for a model card."""
    heads, *rows = cells(report)
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes(report)) + "\n"


def cells(report: Report) -> list[list[str]]:
    """The heads, then one row a line."""
    sets = list(report.lines[0].identified)
    heads = ["", "FD ↓", "KID ×10³ ↓", *(f"{name}: top 1 / 5 ↑" for name in sets), "background ↑"]
    return [[*heads, "detail", "spread", "recall ↑", "N"], *(_row(line, report) for line in report.lines)]


def _row(line: Line, report: Report) -> list[str]:
    teacher = report.lines[1].spread
    return [
        line.name,
        f"{line.fd:.4f}",
        f"{1000 * line.kid.mean:.2f} ± {1000 * line.kid.deviation:.2f}",
        *(f"{found.top1:.3f} / {found.top5:.3f}" for found in line.identified.values()),
        "" if line.ground is None else f"{line.ground:.3f}",
        f"{line.detail:.2f}",
        "" if line.spread is None or not teacher else f"{line.spread / teacher:.2f}",
        f"{line.recall:.2f}",
        str(line.n),
    ]


def notes(report: Report) -> list[str]:
    """What the figures mean and rest on, a sentence each."""
    checked = report.validity
    sweep = ", ".join(f"{guidance:g}: {distance:.4f}" for guidance, distance in report.sweep.items())
    verdict = "valid" if checked.valid else "NOT VALID"
    found = [
        "detail: mean absolute Laplacian ÷ the held-out reals'; "
        "spread: pixel deviation over seeds at a fixed prompt ÷ the teacher's.",
        f"Teacher at its best guidance by FD (N = {report.sweep_n}): {sweep}.",
        f"Judge {verdict}: reals blurred by σ = 1 px lie at {checked.margin:.1f} × the teacher's FD "
        f"(at least {MARGIN:g}); {_rise(report)}.",
        *(f"{line.name}: nearest training image at {line.nearest:.2f} × the distance of held-out reals."
          for line in report.lines if line.nearest is not None),
    ]  # fmt: skip
    if report.autoencoder:
        after = report.autoencoder
        found.append(
            f"Autoencoder on held-out reals: PSNR {after.psnr:.1f} dB, detail {after.detail:.2f}, FD {after.fd:.4f}: "
            "no teacher or student on top of it can do better."
        )
    return found


def _rise(report: Report) -> str:
    checked = report.validity
    rows = (("blur", BLURS, checked.blur), ("noise", NOISES, checked.noise), ("dropped labels", DROPS, checked.dropped))
    parts = [f"{name} " + ", ".join(f"{x:g}: {y:.3f}" for x, y in zip(*pair, strict=True)) for name, *pair in rows]
    return ("FD rises with " if checked.rises else "FD does not rise with ") + "; ".join(parts)

"""A benchmark's result as JSON, Markdown and charts, with the machine it was measured on; it measures nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from base.files import write_text
from evaluation import json_figures, machine
from evaluation.clock import TIMING_HEADS, Timing
from evaluation.pages.chart import Points, chart
from evaluation.pages.sheet import Sheet, markdown_table

_LOAD_BEFORE = machine.load()
"""When this process began."""


@dataclass(frozen=True)
class Result:
    """What a benchmark measured."""

    title: str
    sheets: Sequence[Sheet]
    figures: Mapping[str, Any]
    """The measurement as JSON takes it."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Settings, and whatever else a reader needs to trust the figures."""
    charts: Mapping[str, Mapping[str, Points]] = field(default_factory=dict)
    """Title → curve → its points."""


@dataclass(frozen=True)
class Bar:
    """A figure beside what the project asks of it; without bounds it is only shown."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether it lies within its bounds."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def cells(self) -> list[str]:
        """A row of the table of bars."""
        bounds = [f"{sign} {bound:g}" for sign, bound in ((">=", self.least), ("<=", self.most)) if bound is not None]
        return [self.what, f"{self.value:.4g}", " and ".join(bounds), "" if self.met else "missed"]


def bars_result(
    title: str, bars: Sequence[Bar], facts: Mapping[str, object] | None = None, figures: Mapping[str, Any] | None = None
) -> Result:
    """A table of bars, and what else was measured on the way."""
    rows = [{**asdict(bar), "met": bar.met} for bar in bars]
    sheet = Sheet("", ["", "measured", "bar", ""], [bar.cells() for bar in bars])
    return Result(title, [sheet], {"bars": rows, **(figures or {})}, facts or {})


def cell(value: object) -> str:
    """A figure with four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def timing_sheet(title: str, timings: Sequence[Timing]) -> Sheet:
    """One row a timing."""
    rows = [[timing.stage, timing.by, str(timing.batch), *timing.cells()] for timing in timings]
    return Sheet(title, ["what", "by", "batch", *TIMING_HEADS], rows)


def markdown(result: Result, stem: str) -> str:
    """The page a person reads; its charts lie beside it, named `stem-TITLE.svg`."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions().items())
    load = f"{_LOAD_BEFORE} / {machine.load()}"
    facts = {**machine.hardware(), **result.facts, "load before / after": load, "versions": versions}
    parts = [f"# {result.title}", "\n".join(f"- {name}: {value}" for name, value in facts.items())]
    for sheet in result.sheets:
        if sheet.rows:
            parts += [f"## {sheet.title}"] if sheet.title else []
            parts.append(markdown_table(sheet.heads, sheet.rows))
    parts += [f"![{title}]({_chart_name(stem, title)})" for title in result.charts]
    return "\n\n".join(parts) + "\n"


def save(result: Result, stem: Path) -> None:
    """Write `stem.json`, `stem.md` and the charts, each file atomically."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    figures = {**result.figures, "machine": machine.hardware(), "versions": machine.versions(), **result.facts}
    text = json_figures.text(figures, indent=1, ensure_ascii=False)
    write_text(stem.with_name(f"{stem.name}.json"), text + "\n")
    write_text(stem.with_name(f"{stem.name}.md"), markdown(result, stem.name))
    for title, curves in result.charts.items():
        write_text(stem.with_name(_chart_name(stem.name, title)), chart(title, curves))


def publish(result: Result, stem: Path | None) -> None:
    """Save the result where a stem is given; its page goes to stderr, its figures are the last line of stdout."""
    if stem is not None:
        save(result, stem)
    print(markdown(result, stem.name if stem else ""), file=sys.stderr)
    print(json_figures.text(result.figures, ensure_ascii=False), flush=True)


def _chart_name(stem: str, title: str) -> str:
    return f"{stem}-{title.replace('/', '-').replace(' ', '-')}.svg"

"""A result as Markdown and as a picture; it measures nothing."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from benchmarks.latency.cases import SPLIT, STOCK
from benchmarks.latency.result import HTTP, STAGES, Result, is_teacher, pick
from evaluation.clock import Timing
from evaluation.sheet import markdown_table

TEACHER_INK, INKS = "#b0413e", ("#1f6f8b", "#4c9f70", "#8a6fae", "#c08a3e")
STAGE_INKS = ("#c9c9c9", "#e0b354", "#1f6f8b", "#4c9f70", "#8a6fae")


def markdown(result: Result) -> str:
    """Everything a reader needs to trust the figures, in tables."""
    parts = [f"# Latency, {result.date}", _facts(result), "## One step against its teacher", _ratios(result)]
    parts += ["## The same student by other ways", _others(result)]
    if result.overhead:
        parts += ["## Over HTTP", _http(result)]
    parts += ["## Whole image and its stages", _stages(result), "![latency](latency.png)"]
    return "\n\n".join(parts) + "\n"


def _facts(result: Result) -> str:
    facts = {**result.hardware, "load before / after": f"{result.load[0]} / {result.load[1]}", **result.settings}
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return "\n".join(f"- {name}: {value}" for name, value in facts.items()) + f"\n- versions: {versions}"


def _ratios(result: Result) -> str:
    rows = [
        [str(found.batch), found.teacher.by, _cell(found.teacher), found.student.by, _cell(found.student),
         f"**{found.ratio:.0f}** ({found.low:.0f} to {found.high:.0f})"]
        for found in result.ratios
    ]  # fmt: skip
    heads = ["batch", "teacher", "ms", "student", "ms", "teacher ÷ student (least to greatest round)"]
    note = f"Arithmetic alone explains a ratio of {result.ceiling['ratio']:.0f}: " + ", ".join(
        f"{name} {value:.4f}" for name, value in result.ceiling.items() if name != "ratio"
    )
    return markdown_table(heads, rows) + f"\n\n{note}. What is above comes from the runtime."


def _others(result: Result) -> str:
    """Split graphs against the fused one of each backend, and diffusers against the fastest: medians."""
    rows = []
    for batch in sorted({timing.batch for timing in result.timings}):
        images = [timing for timing in pick(result.timings, "image", batch) if not is_teacher(timing)]
        ours = [timing for timing in images if timing.by != STOCK]
        rows += [
            [str(batch), STOCK, ours[0].by, f"{found.median / ours[0].median:.1f}"]
            for found in images
            if found.by == STOCK
        ]
        rows += [
            [str(batch), f"split graphs, {split.by}", f"fused graph, {fused.by}", f"{split.median / fused.median:.2f}"]
            for fused in ours
            for split in pick(result.timings, SPLIT, batch)
            if split.by == fused.by
        ]  # fmt: skip
    return markdown_table(["batch", "slower", "faster", "ratio of medians"], rows)


def _http(result: Result) -> str:
    assert result.overhead is not None
    found = result.overhead
    named = [
        (f"{HTTP}, {found.http.by}", found.http),
        (f"{found.bare.stage} without HTTP, {found.bare.by}", found.bare),
    ]
    named += [(f"{HTTP}, {timing.by}", timing) for timing in [found.comfortable] if timing]
    rows = [
        [name, f"{timing.median:.2f}", f"{timing.p25:.2f} to {timing.p75:.2f}", f"{timing.p90:.2f}", str(timing.calls)]
        for name, timing in named
    ]
    heads = ["", "p50 ms", "p25 to p75", "p90", "N"]
    return markdown_table(heads, rows) + f"\n\nOverhead at p50: **{result.overhead.milliseconds:.2f} ms**."


def _stages(result: Result) -> str:
    ordered = ["image", SPLIT, "image as PNG", *STAGES]
    rows = [
        [timing.stage, timing.by, str(timing.batch), f"{timing.median:.3f}", f"{timing.p25:.3f} to {timing.p75:.3f}",
         f"{timing.least:.3f}", f"{timing.median / timing.batch:.3f}", str(timing.calls)]
        for timing in sorted(result.timings, key=lambda timing: (ordered.index(timing.stage), timing.batch, timing.median))
    ]  # fmt: skip
    return markdown_table(["stage", "by", "batch", "median ms", "p25 to p75", "least", "ms an image", "N"], rows)


def _cell(timing: Timing) -> str:
    return f"{timing.median:.2f} ({timing.p25:.2f} to {timing.p75:.2f})"


def plot(result: Result, path: Path) -> None:
    """Left: an image by the teacher and by the student; right: where the student's time goes."""
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=(3, 2), layout="constrained")
    _bars(left, result)
    _stack(right, result)
    figure.suptitle(f"{result.hardware['cpu']}, {result.hardware['cores']} cores", fontsize=10, color="#666666")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _bars(axes: Axes, result: Result) -> None:
    best = {found.batch: found for found in result.ratios}
    names = sorted({t.by for t in result.timings if t.stage == "image" and not is_teacher(t)})
    width = 0.8 / (len(names) + 1)
    for place, (batch, found) in enumerate(best.items()):
        students = {timing.by: timing for timing in pick(result.timings, "image", batch)}
        chosen = [("teacher", found.teacher, TEACHER_INK)]
        chosen += [(name, students[name], INKS[turn % len(INKS)]) for turn, name in enumerate(names)]
        for turn, (name, timing, ink) in enumerate(chosen):
            title = name if name != "teacher" else f"teacher, {result.settings['teacher steps']} guided steps"
            at, height = place + (turn - len(names) / 2) * width, timing.median / batch
            spread = [[(timing.median - timing.p25) / batch], [(timing.p75 - timing.median) / batch]]
            axes.bar(at, height, width * 0.92, yerr=spread, color=ink, label=title if place == 0 else None,
                     error_kw={"lw": 1, "ecolor": "#333333"})  # fmt: skip
            axes.annotate(
                f"{height:.3g}", (at, timing.p75 / batch), (0, 3), textcoords="offset points", ha="center", fontsize=8
            )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("ms an image, median")
    axes.set_xticks(range(len(best)), [f"batch {batch}\n{found.ratio:.0f} × faster" for batch, found in best.items()])
    axes.set_title("One step against its teacher")
    axes.margins(y=0.15)
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4)


def _stack(axes: Axes, result: Result) -> None:
    names = [timing.by for timing in pick(result.timings, "denoiser", 1)][::-1]
    for row, name in enumerate(names):
        start = 0.0
        for stage, ink in zip(STAGES, STAGE_INKS, strict=True):
            (timing, *_) = [t for t in pick(result.timings, stage, 1) if t.by == name] or pick(result.timings, stage, 1)
            axes.barh(row, timing.median, 0.55, left=start, color=ink, label=stage if row == 0 else None)
            start += timing.median
        fused = next(timing for timing in pick(result.timings, "image as PNG", 1) if timing.by == name)
        axes.plot(
            [fused.median] * 2, [row - 0.36, row + 0.36], color="#222222", lw=2, label="fused" if row == 0 else None
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("ms, batch 1, median")
    axes.set_title("Where one image's time goes")
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)

"""What `benchmarks.size.sd14_latency` found as Markdown and as a picture; it measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from evaluation.sheet import markdown_table

INK, OURS = "#b0b0b0", "#1f6f8b"


def markdown(summary: dict[str, Any]) -> str:
    """The page a person reads."""
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    facts = {**summary["hardware"], "load before / after": "{} / {}".format(*summary["load"]), "versions": versions}
    if summary["left out"]:
        facts["left out"] = "; ".join(summary["left out"])
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    tables = [_ratios(summary), _times(summary), _work(summary), _costs(summary)]
    return "\n\n".join([f"# {summary['title']}", listed, *tables, "![one step](large.png)"]) + "\n"


def _ratios(summary: dict[str, Any]) -> str:
    rows = [
        [name, f"**{row['measured']:.1f}**", f"{row['arithmetic']:.1f}", f"{row['bar']:.0f}" if "bar" in row else ""]
        for name, row in summary["ratios"].items()
    ]
    return markdown_table(["ratio of medians", "measured", "arithmetic alone", "bar"], rows)


def _times(summary: dict[str, Any]) -> str:
    rows = [
        [
            t["stage"],
            t["by"],
            f"{t['median']:.0f}",
            f"{t['p25']:.0f} to {t['p75']:.0f}",
            f"{t['p90']:.0f}",
            str(t["calls"]),
        ]
        for t in summary["timings"]
    ]
    return markdown_table(["what", "by", "median ms", "p25 to p75", "p90", "N"], rows)


def _work(summary: dict[str, Any]) -> str:
    parts = ("conditioner", "denoiser", "decoder")
    decoders = list(summary["GFLOP"])
    rows = [[part, *(f"{summary['GFLOP'][name][f'{part} GFLOP']:.0f}" for name in decoders)] for part in parts]
    return markdown_table(["GFLOP", *decoders], rows)


def _costs(summary: dict[str, Any]) -> str:
    """Disk, and the start of a process that finds everything compiled."""
    rows = []
    for decoder, disk in summary["bundles"].items():
        start = summary["first image"][decoder]
        cells = [f"{disk['MB']:.1f}", f"{disk['÷ safetensors']:.4f}"]
        rows.append(
            [
                decoder,
                *cells,
                f"{start['seconds']:.1f}",
                f"{start['of it checking files']:.1f}",
                f"{start['peak GB']:.2f}",
            ]
        )
    heads = [
        "bundle",
        "MB",
        "÷ its safetensors (1.02)",
        "load to first image s (15)",
        "of it checking files",
        "peak GB",
    ]
    return markdown_table(heads, rows)


def plot(summary: dict[str, Any], path: Path) -> None:
    """One step by everybody, the fastest above."""
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    shown = [found for found in summary["timings"] if found["stage"].startswith("one step")]
    shown.sort(key=lambda found: -float(found["median"]))
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(shown) + 1.2), layout="constrained")
    names = [f"{found['by']}, {found['stage'].removeprefix('one step, ')} decoder" for found in shown]
    seconds = [found["median"] / 1e3 for found in shown]
    inks = [OURS if found["by"].startswith("ippo") else INK for found in shown]
    axes.barh(names, seconds, color=inks, height=0.62)
    for row, value in enumerate(seconds):
        axes.annotate(f"{value:.3g} s", (value, row), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_xlabel("seconds an image, median, batch 1")
    axes.set_title(summary["title"], fontsize=10)
    axes.margins(x=0.12)
    figure.savefig(path, dpi=130)
    plt.close(figure)

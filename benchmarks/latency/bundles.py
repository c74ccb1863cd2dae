"""Bundles side by side: what a smaller student gains in time and on disk; it knows no quality.

python -m benchmarks.latency.bundles digits digits-half --batches 1,64 --out benchmarks/results/reduced
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.command import run
from benchmarks.latency.cases import label, requests
from evaluation import machine
from evaluation.clock import Case, Timing, interleaved
from evaluation.evaluation import write
from evaluation.sheet import markdown_table
from runtime import backend as backends
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator


def measure(bundles: list[Bundle], batches: list[int], rounds: int, seconds: float) -> list[Timing]:
    """The whole image by the best backend of each bundle, in turns; bundles outermost, batches within."""
    generators = [Generator(bundle, backends.load("auto", bundle)) for bundle in bundles]
    return interleaved([_case(generator, batch) for generator in generators for batch in batches], rounds, seconds)


def _case(generator: Generator, batch: int) -> Case:
    wanted = requests(generator.bundle.manifest, batch)
    by = f"{generator.bundle.folder.name}, {label(generator)}"
    return Case("image", by, batch, lambda: generator.generate(wanted))


def table(bundles: list[Bundle], batches: list[int], timings: list[Timing]) -> list[dict[str, Any]]:
    """A row a bundle and batch: megabytes, median and quartiles in ms, and how much faster than the first bundle."""
    firsts = {timing.batch: timing.median for timing in timings[: len(batches)]}
    rows = []
    for place, timing in enumerate(timings):
        bundle = bundles[place // len(batches)].folder
        megabytes = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file()) / 1e6
        rows.append(
            {"bundle": timing.by, "MB": round(megabytes, 2), "batch": timing.batch, "ms": timing.median, "p25": timing.p25,
             "p75": timing.p75, "times as fast": firsts[timing.batch] / timing.median, "N": timing.calls,
             "rounds": len(timing.rounds)}
        )  # fmt: skip
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table, and what it was measured on."""
    facts, names = machine.hardware(), list(rows[0])
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row.values()] for row in rows]
    where = f"{facts['cores']} cores, {facts['cpu']}; {', '.join(f'{k} {v}' for k, v in machine.versions().items())}."
    return "\n".join(["# Bundles side by side", "", where, "", markdown_table(names, cells), ""])


def main(
    folders: Annotated[list[Path], typer.Argument(help="Bundles; ratios are to the first.")],
    batches: Annotated[str, typer.Option(help="Batch sizes.")] = "1,64",
    rounds: Annotated[int, typer.Option(help="How often every case has its turn.")] = 10,
    seconds: Annotated[float, typer.Option(help="For a case in a round.")] = 0.3,
    out: Annotated[Path | None, typer.Option(help="Stem of a .json and a .md; by default only printed.")] = None,
) -> None:
    """Time whole images, interleaved; the last line of stdout is one JSON document."""
    bundles, sizes = [open_bundle(folder) for folder in folders], [int(size) for size in batches.split(",")]
    before = machine.load()
    rows = table(bundles, sizes, measure(bundles, sizes, rounds, seconds))
    found = {"rows": rows, "load": [before, machine.load()], "machine": machine.hardware()}
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write(out.with_suffix(".json"), json.dumps(found | {"versions": machine.versions()}, indent=1) + "\n")
        write(out.with_suffix(".md"), markdown(rows))
    print(markdown(rows))
    print(json.dumps(found))


if __name__ == "__main__":
    run(main)

"""Everything that needs a GPU, in one command under ten minutes on an NVIDIA machine; it knows nothing of the steps.

make gpu-check
python -m benchmarks.gpu.gpu_check --rehearse    # every step on a CPU with tiny networks

Each step of `gpu_steps` is a process of its own with a share of the time: one that fails or hangs costs the others nothing.
Without internet, what is `NEEDED` lies in a folder on PYTHONPATH (`pip install --target FOLDER`).
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.child import Ended, run_module

NEEDED = ("torch", "transformers", "diffusers", "pydantic", "pydantic_core", "typing_inspection", "annotated_types")
SHARES = {"backends": 100, "latency": 250, "training": 120, "shipped": 80, "tests": 150}
"""Step → seconds it may take at most, the most wanted first."""
LEAST_SECONDS = 10


def main(
    out: Annotated[Path, typer.Option(help="Folder of gpu-check.json and gpu-check.md.")] = Path("gpu-check"),
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Tiny networks, on the CPU.")] = False,
    minutes: Annotated[float, typer.Option(help="For all of it.")] = 9.0,
    steps: Annotated[str, typer.Option(help="Some of them.")] = ",".join(SHARES),
) -> None:
    """Run the tests marked gpu and measure latency and training; the last line of stdout is JSON."""
    refuse(rehearse)
    until, ended = time.monotonic() + 60 * minutes, dict[str, Ended]()
    for name in steps.split(","):
        left = until - time.monotonic()
        ended[name] = run_step(name, rehearse, left if rehearse else min(SHARES.get(name, left), left))
        save(ended, rehearse, out)  # what is there stays if the rest is lost
    print(json.dumps({name: asdict(step) for name, step in ended.items()}))
    sys.exit(any(step.failed for step in ended.values()))


def refuse(rehearse: bool) -> None:
    """SystemExit with one line: a package or the GPU is missing."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        sys.exit(f"gpu-check: not installed: {', '.join(missing)}")
    if not rehearse and not importlib.import_module("torch").cuda.is_available():
        sys.exit("gpu-check: torch sees no NVIDIA GPU here; --rehearse runs every step on the CPU")


def run_step(name: str, rehearse: bool, seconds: float) -> Ended:
    """One step to its end or to that of its time."""
    if seconds < LEAST_SECONDS:
        return Ended([], "no time was left")
    arguments = [name, "--seconds", str(seconds), *(["--rehearse"] if rehearse else [])]
    return run_module("benchmarks.gpu.gpu_steps", *arguments, environment={"HF_HUB_OFFLINE": "1"}, seconds=seconds + 5)


def save(ended: Mapping[str, Ended], rehearse: bool, out: Path) -> None:
    """Write `gpu-check.json` and `gpu-check.md`: a table a step, its columns those of its rows."""
    from evaluation import result  # needs what `refuse` looked for
    from evaluation.pages.sheet import Sheet

    sheets = []
    for name, step in ended.items():
        heads = list(dict.fromkeys(key for row in step.objects for key in row)) or ["what"]
        rows = [[result.cell(row.get(head, "")) for head in heads] for row in step.objects] or [["nothing"]]
        sheets.append(Sheet(f"{name}: {step.failed}" if step.failed else name, heads, rows))
    title = "GPU check: rehearsal on a CPU, tiny networks" if rehearse else "GPU check"
    figures = {"rehearsal": rehearse, "steps": {name: asdict(step) for name, step in ended.items()}}
    result.save(result.Result(title, sheets, figures), out / "gpu-check")


if __name__ == "__main__":
    typer.run(main)

"""Everything that needs a GPU, in one command under ten minutes on a bare NVIDIA machine; `benchmarks.gpu.gpu_steps` measures.

make gpu-check                                                # or, where there is neither make nor internet:
python -m benchmarks.gpu.gpu_check --wheels FOLDER --out FOLDER   # torch and transformers are there, `CARRIED` comes along
python -m benchmarks.gpu.gpu_check --rehearse --out FOLDER        # every step on a CPU with tiny networks

Each step is a process of its own with a share of the time: one that fails or hangs costs the others nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from evaluation.sheet import markdown_table

CARRIED = (
    "diffusers", "importlib_metadata", "zipp", "requests", "charset_normalizer",
    "pydantic", "pydantic_core", "typing_inspection", "annotated_types",
)  # fmt: skip
"""What a machine with torch, transformers, accelerate, onnx and pytest may lack, as wheels for its Python."""
SHARES = {"machine": 45, "latency": 270, "training": 110, "runtimes": 150, "tests": 150}
"""Step → seconds it may take at most, the most wanted first."""
ROOT = Path(__file__).parents[2]
Found = dict[str, Any]


def main(
    out: Annotated[Path, typer.Option(help="Folder of gpu-check.json and gpu-check.md.")] = Path("gpu-check"),
    wheels: Annotated[Path | None, typer.Option(help="Folder of wheels to put on the path.")] = None,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Tiny networks, on the CPU.")] = False,
    minutes: Annotated[float, typer.Option(help="For all of it.")] = 9.0,
    steps: Annotated[str, typer.Option(help="Some of them.")] = ",".join(SHARES),
) -> None:
    """Run the tests marked gpu and measure latency and training; JSON and Markdown, the JSON on stdout as well."""
    with tempfile.TemporaryDirectory() as site:
        unpacked = unpack(wheels, Path(site)) if wheels else []
        sys.path.insert(0, site)
        refuse(rehearse)
        paths = [str(ROOT), site, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
        until, found = time.monotonic() + 60 * minutes, dict[str, Found]()
        for name in steps.split(","):
            left = until - time.monotonic() if rehearse else min(SHARES[name], until - time.monotonic())
            found[name] = run(name, rehearse, left, environment)
            write(
                {"rehearsal": rehearse, "wheels": unpacked, "steps": found}, out
            )  # what is there stays if the rest is lost
    print(json.dumps({"rehearsal": rehearse, "steps": found}))
    sys.exit(1 if any(step["failed"] for step in found.values()) else 0)


def refuse(rehearse: bool) -> None:
    """One line, and a status that is not 0: a package or the GPU is missing."""
    if missing := [name for name in ("torch", "transformers", *CARRIED) if find_spec(name) is None]:
        sys.exit(f"gpu-check: not installed: {', '.join(missing)}; --wheels FOLDER puts wheels on the path")
    if not rehearse and not importlib.import_module("torch").cuda.is_available():
        sys.exit("gpu-check: torch sees no NVIDIA GPU here; --rehearse runs every step on the CPU")


def unpack(wheels: Path, site: Path) -> list[str]:
    """Wheels are zip files whose root is what belongs on the path. Their names."""
    files = sorted(wheels.glob("*.whl"))
    if not files:
        sys.exit(f"gpu-check: {wheels} holds no wheels")
    for file in files:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(site)
    return [file.name for file in files]


def run(name: str, rehearse: bool, seconds: float, environment: Mapping[str, str]) -> Found:
    """One step: what it printed, a line of JSON a finding, however it ended."""
    began = time.monotonic()
    if seconds < 10:
        return {"seconds": 0.0, "failed": "no time was left", "findings": []}
    command = [sys.executable, "-m", "benchmarks.gpu.gpu_steps", name, "--seconds", str(seconds)]
    command += ["--rehearse"] if rehearse else []
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=seconds + 5)
        printed, failed = done.stdout, f"status {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        printed, failed = error.stdout or b"", f"not ready after {seconds:.0f} s"
    return {"seconds": round(time.monotonic() - began, 1), "failed": failed, "findings": list(findings(printed))}


def findings(printed: bytes) -> Iterator[Found]:
    """Every line that is a JSON object; libraries print as well."""
    for line in printed.decode(errors="replace").splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:  # cut off in the middle
                continue


def write(summary: Found, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu-check.json").write_text(json.dumps(summary, indent=1) + "\n")
    (out / "gpu-check.md").write_text(markdown(summary))


def markdown(summary: Found) -> str:
    """A table a step, its columns those of its findings."""
    parts = ["# GPU check" + (": rehearsal on a CPU, tiny networks" if summary["rehearsal"] else "")]
    for name, step in summary["steps"].items():
        parts += [f"## {name}, {step['seconds']:.0f} s" + (f": **{step['failed']}**" if step["failed"] else "")]
        rows = [finding for finding in step["findings"] if "what" in finding]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        if rows:
            cells = [[_cell(row.get(key, "")) for key in columns] for row in rows]
            parts.append(markdown_table(columns, cells))
        facts = [(key, value) for f in step["findings"] if "what" not in f for key, value in f.items()]
        if facts:
            parts.append("\n".join(f"- {key}: {_cell(value)}" for key, value in facts))
    return "\n\n".join(parts) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    typer.run(main)

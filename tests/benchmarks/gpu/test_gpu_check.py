"""What is to run on a GPU: refused in one line without one, and every step of it rehearsed on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import gpu_check

ROOT = Path(__file__).parents[3]


def check(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu.gpu_check", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)


def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = check("--out", str(tmp_path / "out"))
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == "gpu-check: torch sees no NVIDIA GPU here; --rehearse runs every step on the CPU\n"
    assert not (tmp_path / "out").exists()


def test_wheels_are_put_on_the_path(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "carried-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried/__init__.py", "FOUND = 1")
    assert gpu_check.unpack(tmp_path, tmp_path / "site") == ["carried-1.0-py3-none-any.whl"]
    assert (tmp_path / "site" / "carried" / "__init__.py").read_text() == "FOUND = 1"
    with pytest.raises(SystemExit, match="holds no wheels"):
        gpu_check.unpack(tmp_path / "site", tmp_path)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "CARRIED", ("no_such_package", "pydantic"))
    with pytest.raises(SystemExit, match=r"not installed: no_such_package; --wheels FOLDER"):
        gpu_check.refuse(rehearse=True)


def test_a_step_that_fails_keeps_what_it_found() -> None:
    printed = b'noise\n{"what": "a", "p50 ms": 1.25}\n{"GFLOP": {"KL": 3300.5}}\n{"cut'
    found = list(gpu_check.findings(printed))
    assert found == [{"what": "a", "p50 ms": 1.25}, {"GFLOP": {"KL": 3300.5}}]
    step = {"seconds": 3.0, "failed": "not ready after 3 s", "findings": found}
    page = gpu_check.markdown({"rehearsal": False, "steps": {"latency": step}})
    assert "## latency, 3 s: **not ready after 3 s**" in page
    assert "| what | p50 ms |\n| --- | ---: |\n| a | 1.25 |" in page and "- GFLOP: KL 3300" in page
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert gpu_check.run("nonsense", True, 60, environment)["failed"] == "status 2"
    assert gpu_check.run("machine", True, 5, environment)["failed"] == "no time was left"


@pytest.mark.slow
def test_every_step_is_rehearsed(tmp_path: Path) -> None:
    done = check("--rehearse", "--out", str(tmp_path), "--minutes", "25")
    assert done.returncode == 0, done.stderr[-2000:]
    steps = json.loads((tmp_path / "gpu-check.json").read_text())["steps"]
    assert json.loads(done.stdout.splitlines()[-1])["steps"] == steps
    assert list(steps) == list(gpu_check.SHARES) and not any(step["failed"] for step in steps.values())
    rows = {(row["what"], row["batch"]) for step in steps.values() for row in step["findings"] if "what" in row}
    assert {("eager, tiny", 8), ("diffusers, KL", 1), ("ort, tiny", 1), ("training, AdamW, EMA, bf16", 2)} <= rows
    assert "| eager, KL | 1 |" in (tmp_path / "gpu-check.md").read_text()

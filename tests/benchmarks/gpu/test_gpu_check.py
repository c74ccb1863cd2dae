"""What is to run on a GPU: refused in one line without one, and every step of it rehearsed on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.child import Ended
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


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "NEEDED", ("no_such_package", "pydantic"))
    with pytest.raises(SystemExit, match=r"not installed: no_such_package"):
        gpu_check.refuse(rehearse=True)


def test_a_step_that_fails_keeps_what_it_found(tmp_path: Path) -> None:
    rows = [{"what": "eager, KL", "median ms": 1.25}, {"what": "eager, tiny", "left_out": "no time was left"}]
    gpu_check.save({"latency": Ended(rows, "not ready after 3 s")}, False, tmp_path)
    page = (tmp_path / "gpu-check.md").read_text()
    assert "## latency: not ready after 3 s" in page
    assert "| what | median ms | left_out |\n| --- | ---: | ---: |\n| eager, KL | 1.25 |  |" in page
    assert json.loads((tmp_path / "gpu-check.json").read_text())["steps"]["latency"]["objects"] == rows
    assert gpu_check.run_step("nonsense", True, 600).failed == "status 1"
    assert gpu_check.run_step("latency", True, 5).failed == "no time was left"


@pytest.mark.slow
def test_every_step_is_rehearsed(tmp_path: Path) -> None:
    done = check("--rehearse", "--out", str(tmp_path), "--minutes", "25")
    assert done.returncode == 0, done.stderr[-2000:]
    steps = json.loads((tmp_path / "gpu-check.json").read_text())["steps"]
    assert json.loads(done.stdout.splitlines()[-1]) == steps
    assert list(steps) == list(gpu_check.SHARES) and not any(step["failed"] for step in steps.values())
    rows = {row["what"] for step in steps.values() for row in step["objects"]}
    assert {"eager, tiny", "diffusers, KL", "ADD step, lora", "ADD step, full", "image, ort", "passed"} <= rows
    assert {"eager", "ort", "openvino"} <= {
        row["what"] for row in steps["backends"]["objects"] if row.get("psnr", 0) > 35
    }
    assert "| eager, KL | 1 |" in (tmp_path / "gpu-check.md").read_text()

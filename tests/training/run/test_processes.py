"""Two processes over one batch learn what one learns, and stop together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.run.test_loop import losses, write
from tests.training.waiting import waited
from training import launch
from training.run import checkpoint

SETTINGS = ["loop.batch=8", "loop.validate_every=1000", "optimizer.schedule=constant"]
STEPS = 20


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_stop_together(data: Path, runs: Path, tmp_path: Path) -> None:
    launch.launch("autoencoder", write(tmp_path, data, "of-1", "adamw"), [*SETTINGS, f"loop.steps={STEPS}"])
    config = str(write(tmp_path, data, "of-2", "adamw"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["ippo.py", "train", "autoencoder", config, *SETTINGS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "loop.steps=100000"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        while checkpoint.newest(runs / "of-2") is None and waited(process, 0.05):
            pass
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    stopped = int(checkpoint.newest(runs / "of-2").name.rpartition("-")[2])  # type: ignore[union-attr]
    assert f"of-2: stopped at step {stopped}" in said
    last = max(STEPS, stopped + 2)
    done = subprocess.run(
        [*command, f"loop.steps={last}"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    logged = [json.loads(line) for line in (runs / "of-2" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged if "autoencoder/total" in line] == list(
        range(1, last + 1)
    )  # one of them logs
    both = losses(runs / "of-2")
    assert {step: both[step] for step in range(1, STEPS + 1)} == pytest.approx(losses(runs / "of-1"), rel=1e-4)

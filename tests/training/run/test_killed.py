"""A student killed again and again, at moments that nobody chose, is bit for bit the student that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from models import folder as folders
from tests import tiny
from tests.training.test_lora import STUDENT
from tests.training.waiting import waited
from training.run import checkpoint

STEPS, KILLS, MARGIN = 40, 5, 10
LOOP = {"steps": STEPS, "batch": 4, "validate_every": 15, "log_every": 1, "checkpoint_minutes": 0}


def command(tmp_path: Path, data: Path, run: str) -> list[str]:
    """Warm-up, then the game, in float32; a checkpoint at every step, so that many kills fall into one being written."""
    values = {**STUDENT, "run": run, "teacher": str(tmp_path / "base"), "data": str(data), "loop": LOOP}
    values |= {"warmup": STEPS // 2, "optimizer": {"rate": 1e-3, "warmup": 0}}
    file = tmp_path / f"{run}.yaml"
    file.write_text(yaml.safe_dump(values))
    return [sys.executable, "ippo.py", "train", "student", str(file)]


def step(run: Path) -> int:
    """Of the newest checkpoint; 0 where there is none."""
    newest = checkpoint.newest(run)
    return int(newest.name.rpartition("-")[2]) if newest else 0


@pytest.mark.slow
def test_killed_at_five_random_moments_it_is_bit_equal(data: Path, runs: Path, tmp_path: Path) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(tmp_path, data, "whole"), env=environment, capture_output=True, check=True)
    moments = random.Random(0)
    killed, again = runs / "killed", command(tmp_path, data, "killed")
    for least in sorted(moments.sample(range(1, STEPS - MARGIN), KILLS)):
        with subprocess.Popen(again, env=environment, stderr=subprocess.DEVNULL) as process:
            while step(killed) < least and waited(process, 0.02):
                pass
            waited(process, moments.uniform(0, 0.1))
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert least <= step(killed) < STEPS
    subprocess.run(again, env=environment, capture_output=True, check=True)
    for file in (f"checkpoint-{STEPS}/state.safetensors", "model/unet/diffusion_pytorch_model.safetensors"):
        ours, theirs = load_file(killed / file), load_file(runs / "whole" / file)
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours), file

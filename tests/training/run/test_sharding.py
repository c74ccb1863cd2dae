"""Weights shared out among processes: two learn what one learns, each holds half, and one goes on from their checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from base.errors import BadInput
from models import folder as folders
from tests import tiny
from training import launch
from training.run import sharding
from training.run.loop_config import LoopConfig
from training.run.optimizer import OptimizerConfig
from training.run.trouble import check_machine

RATE = {"rate": 1e-4, "schedule": "constant", "warmup": 2}
LOOP = {"batch": 8, "accumulate": 2, "validate_every": 3, "log_every": 1, "checkpoint_minutes": 0}
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


@pytest.fixture
def config(data: Path, runs: Path, tmp_path: Path) -> Path:
    """A teacher's; beside it `student.yaml`, of the whole recipe."""
    folders.save(tiny.teacher(), tmp_path / "base")
    file, base = tmp_path / "teacher.yaml", str(tmp_path / "base")
    values = {"run": "one", "data": str(data), "optimizer": RATE, "loop": LOOP}
    file.write_text(yaml.safe_dump({**values, "base": base}))
    student = {
        **values, "teacher": base, "pairs": {"count": 16, "steps": 2}, "timesteps": {999: 0.5, 499: 0.5}, "warmup": 4,
        "warmup_optimizer": RATE, "adversarial": {"discriminator": {**RATE, "rate": 1e-3}, "width": 8},
        "loop": {**LOOP, "validate_every": 10},
    }  # fmt: skip
    (tmp_path / "student.yaml").write_text(yaml.safe_dump(student))
    return file


def two(config: Path, *overrides: str) -> None:
    """The training in two processes, as accelerate's launcher starts them."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["ippo.py", "train", config.stem, str(config), *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **FSDP}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def losses(run: Path, name: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


@pytest.mark.slow
def test_two_that_share_weights_learn_what_one_learns(config: Path, runs: Path) -> None:
    launch.launch("teacher", config, ["loop.steps=8"])
    two(config, "run=both", "loop.steps=6")
    assert (runs / "both" / "model" / "model_index.json").is_file()

    # What one process reads is what two wrote, and it goes on as if it had been alone.
    launch.launch("teacher", config, ["run=both", "loop.steps=8"])
    alone, together = (losses(runs / run, "teacher/total") for run in ("one", "both"))
    assert len(together) == 8 and together == pytest.approx(alone, rel=1e-4)
    scores = [losses(runs / run, "validation/score") for run in ("one", "both")]
    assert scores[1][6] == pytest.approx(scores[0][6], rel=1e-3)

    # And the other way: two go on from what one wrote.
    two(config, "loop.steps=10")
    assert max(losses(runs / "one", "teacher/total")) == 10


@pytest.mark.slow
def test_two_that_share_a_student_learn_what_one_learns(config: Path, runs: Path) -> None:
    student = config.with_name("student.yaml")
    launch.launch("student", student, ["loop.steps=20"])
    two(student, "run=both", "loop.steps=20")
    for name, steps in (("warmup/total", 4), ("discriminator/total", 16), ("generator/total", 16)):
        alone, together = (losses(runs / run, name) for run in ("one", "both"))
        assert len(together) == steps and together == pytest.approx(alone, rel=1e-4)
    shares = [losses(runs / run, "validation/share/adversarial") for run in ("one", "both")]
    assert 0 < shares[1][10] < 1 and shares[1].keys() == shares[0].keys()
    assert (runs / "both" / "model" / "model_index.json").is_file()


@pytest.mark.slow
def test_each_holds_half(tmp_path: Path) -> None:
    script = tmp_path / "held.py"
    script.write_text(
        "import torch\nfrom accelerate import Accelerator\nfrom tests import tiny\nfrom training.run import ema, sharding\n"
        "Accelerator(cpu=True)\nunet = tiny.unet()\nwhole = sum(map(torch.numel, unet.parameters()))\n"
        "average = ema.averaged(unet, 0.9, torch.bfloat16)\n"
        "for module in (unet, average.module):\n"
        "    print('held', sum(sharding.local(one).numel() for one in module.parameters()) / whole)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, **FSDP, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shares = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("held")]
    assert len(shares) == 4 and max(shares) <= 0.6


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"WORLD_SIZE": "1"}, "FSDP with one process shares nothing out"),
        (
            {"FSDP_VERSION": "1"},
            "FSDP of version 1 is asked for; accepted: accelerate launch --use_fsdp --fsdp_version 2",
        ),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "ACCELERATE_USE_DEEPSPEED is set"),
    ],
)
def test_what_the_launcher_cannot_have(changed: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**FSDP, "WORLD_SIZE": "2", **changed}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=says):
        check_machine(LoopConfig(steps=1))


def test_what_does_not_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**FSDP, "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    check_machine(LoopConfig(steps=1))
    for name in ("muon", "adamw8bit"):
        with pytest.raises(BadInput, match=f"optimizer {name} needs whole matrices.*accepted with FSDP: adamw"):
            sharding.check_optimizer(OptimizerConfig(name=name).name)
    frozen = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    with pytest.raises(BadInput, match="FSDP is for networks that learn as a whole"):
        sharding.share_out(frozen, torch.device("cpu"))


def test_one_process_shares_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert sharding.processes() == 1  # torchrun alone: each process holds everything
    linear = nn.Linear(3, 2)
    assert sharding.whole(linear, True) is linear
    weights = {"a": linear.weight}
    assert sharding.gathered(weights, True) == weights and not sharding.gathered(weights, False)

"""What a run is said to need: the model of memory against sums that are known, and what makes it less."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from models import folder as folders
from models.reduce import reduced
from tests import tiny
from tests.training.conftest import write_set
from training import launch
from training.estimate import Estimate
from training.pairs_estimate import PairsEstimate
from training.run.memory import rehearse

LOOP = {"steps": 10, "batch": 256}
RATE = {"rate": 1e-3}


def test_a_peak_is_counted_to_the_byte() -> None:
    def play(peak: Any) -> None:
        first = torch.zeros(256, 1024)  # 1 MiB
        second = first + 1
        del first
        third = second @ torch.zeros(1024, 256)  # 1 MiB and a quarter
        assert peak.now == second.nbytes + third.nbytes

    assert rehearse(play) == (2**20 * 9 // 4, 2 * 256 * 1024 * 256)


@pytest.fixture
def estimate(tmp_path: Path) -> Any:
    folders.save(tiny.teacher(), tmp_path / "base")
    folders.save(tiny.xl_teacher(), tmp_path / "xl")
    data = str(write_set(tmp_path / "squares", 4))

    def one(method: str, base: str | dict[str, Any] = "base", **values: Any) -> Estimate:
        loop = {**LOOP, **values.pop("loop", {})}
        known = {"base" if method == "teacher" else "teacher": str(tmp_path / base) if isinstance(base, str) else base}
        file = tmp_path / "config.yaml"
        content = {"run": "r", "data": data, "optimizer": RATE, "loop": loop, **known, **values}
        file.write_text(yaml.safe_dump(content))
        return launch.rehearse(method, file)

    return one


def test_the_parts_are_what_they_should_be(estimate: Any) -> None:
    count = sum(map(torch.numel, tiny.unet().parameters()))
    pipeline = tiny.teacher()
    rest = sum(weight.numel() for part in (pipeline.conditioner, pipeline.autoencoder) for weight in part.parameters())
    found = estimate("teacher")
    assert found.parameters == {"learnt": count, "whole pipeline": count + rest}
    parts = found.memory
    assert parts["weights that learn"] == parts["gradients"] == parts["moving average"] == 4 * count
    assert parts["optimizer"] == pytest.approx(8 * count, rel=0.01)
    assert parts["weights that stay"] == pytest.approx(4 * rest, rel=0.01)
    assert found.seconds > 0


def test_what_opening_would_refuse_is_not_counted(estimate: Any, tmp_path: Path) -> None:
    file = tmp_path / "base" / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({"_class_name": "EDMDPMSolverMultistepScheduler", "sigma_data": 0.5}))
    with pytest.raises(BadInput, match="EDMDPMSolverMultistepScheduler has no betas"):
        estimate("teacher")


@pytest.mark.slow
def test_less_memory(estimate: Any) -> None:
    game = {"warmup_optimizer": RATE, "adversarial": {"discriminator": RATE}, "distillation": {}}
    plain = estimate("student", **game)
    low = {"precision": "bf16", "frozen": "bf16"}
    for change in (
        {"lora": {"rank": 2}},
        {"loop": low},
        {"loop": {"checkpointing": True}},
        {"loop": {"accumulate": 4}},
    ):
        assert estimate("student", **game, **change).peak < plain.peak, change
    assert estimate("student", base="xl", **game).peak > plain.peak
    less = {**game, "reduce": {"block_out_channels": [8, 16]}}
    assert estimate("student", **less, loop={"checkpointing": True}).peak < estimate("student", **less).peak


def test_a_student_that_goes_on_is_counted_as_it_is(estimate: Any, tmp_path: Path) -> None:
    smaller = tiny.teacher()
    smaller.denoiser = reduced(smaller.denoiser, {"block_out_channels": [8, 16]})
    folders.save(smaller, tmp_path / "earlier")
    found = estimate("student", start=str(tmp_path / "earlier"), warmup_optimizer=RATE)
    assert found.parameters["learnt"] == sum(weight.numel() for weight in smaller.denoiser.parameters())
    without = reduced(smaller.denoiser, {"mid_block_type": None})
    found = estimate("student", start=str(tmp_path / "earlier"), warmup_optimizer=RATE, reduce={"mid_block_type": None})
    assert found.parameters["learnt"] == sum(weight.numel() for weight in without.parameters())


def test_from_the_command_line(estimate: Any, tmp_path: Path) -> None:
    estimate("teacher")
    shown = CliRunner().invoke(ippo.app, ["train", "teacher", str(tmp_path / "config.yaml"), "--dry-run"])
    assert shown.exit_code == 0 and "peak" in shown.output and "free on this device" in shown.output
    with pytest.raises(BadInput, match="--dry-run is for student and teacher"):
        launch.rehearse("clip", tmp_path / "config.yaml")


def test_a_teacher_from_scratch_is_counted_part_by_part(estimate: Any) -> None:
    base = {
        "family": "ddpm",
        "width": 8,
        "channels": 1,
        "scale": 2,
        "classes": 4,
        "unet": {**tiny.UNET, "sample_size": 8},
    }
    made = folders.build(folders.from_scratch(base), Path)
    counts = [sum(weight.numel() for weight in part.parameters()) for part in (made.denoiser, made.conditioner)]
    frozen, learning = (
        estimate("teacher", base=base, captions=["label"], train_conditioner=learns) for learns in (False, True)
    )
    assert frozen.parameters == {"learnt": counts[0], "whole pipeline": sum(counts)}
    assert learning.parameters == {"learnt": sum(counts), "whole pipeline": sum(counts)}
    assert frozen.memory["optimizer"] == pytest.approx(8 * counts[0], rel=0.01)
    with pytest.raises(BadInput, match=r"no trained model in .*nowhere"):
        estimate("teacher", base={"vae": "nowhere", "clip": "nowhere", "unet": tiny.UNET})


def test_pairs_are_counted(estimate: Any) -> None:
    pairs = {"count": 40, "steps": 8, "guidance": 2.0, "later": 0.5}
    common = {"warmup_optimizer": RATE, "timesteps": {999: 0.5, 499: 0.25, 249: 0.25}}
    found = estimate("student", pairs=pairs, **common)
    assert found.pairs == PairsEstimate(40 + 20 + 20, 40 * 8 + 20 * 4 + 20 * 2)
    assert found.pairs_seconds > 0
    shown = io.StringIO()
    Console(file=shown, width=100).print(found.table())
    assert "pairs before the first step" in shown.getvalue() and re.search(r"80 in \d+\.\d seconds", shown.getvalue())
    without = estimate("student", pairs=pairs, **common, warmup=0, regression=0, adversarial={"discriminator": RATE})
    assert without.pairs is None and without.pairs_seconds == 0
    assert estimate(
        "student", **common, warmup=0, regression=0, adversarial={"discriminator": RATE, "reals": "both"}
    ).pairs


def test_processes_that_share_weights_out_hold_half(estimate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = estimate("teacher")
    for name, value in {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    both = estimate("teacher")
    for name in ("weights that learn", "gradients", "optimizer", "moving average"):
        assert both.memory[name] == pytest.approx(alone.memory[name] / 2, abs=1)
    assert both.memory["weights that stay"] == alone.memory["weights that stay"]
    assert 0 < both.memory["one block, whole, and its gradients"] < 8 * both.parameters["learnt"]
    assert "shared out among 2 processes" in str(both.table().title)
    with pytest.raises(BadInput, match="FSDP is for networks that learn as a whole"):
        estimate("teacher", lora={"rank": 2})
    student = estimate("student", warmup_optimizer=RATE)
    assert student.memory["weights that learn"] == pytest.approx(2 * student.parameters["learnt"], abs=1)

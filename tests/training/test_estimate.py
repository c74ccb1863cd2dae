"""What a run is said to need: the model of memory against sums that are known, and what makes it less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from models import folder as folders
from models.reduce import reduced
from tests import tiny
from training import launch
from training.estimate import Estimate
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

    assert rehearse(lambda: play) == (2**20 * 9 // 4, 2 * 256 * 1024 * 256)


@pytest.fixture
def estimate(tmp_path: Path) -> Any:
    folders.save(tiny.teacher(), tmp_path / "base")
    folders.save(tiny.xl_teacher(), tmp_path / "xl")

    def one(method: str, base: str = "base", **values: Any) -> Estimate:
        loop = {**LOOP, **values.pop("loop", {})}
        known = {"base": str(tmp_path / base)} if method == "teacher" else {"teacher": str(tmp_path / base)}
        file = tmp_path / "config.yaml"
        content = {"run": "r", "data": "none", "optimizer": RATE, "loop": loop, **known, **values}
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

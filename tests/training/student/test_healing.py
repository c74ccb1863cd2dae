"""Healing: the terms are what the paper says, the teacher stays as it is, and a reduced student comes nearer to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from base.errors import BadInput
from models import folder as folders
from models.parts import predict
from models.pipeline import Pipeline
from tests import tiny
from tests.training.test_lora import LOOP, RATE, STUDENT, train
from training.run.draws import Draws
from training.run.optimizer import OptimizerConfig
from training.student.healing import Healing, HealingConfig
from training.student.student_config import StudentConfig
from training.student.student_network import Student

INNERMOST: dict[str, Any] = {
    "block_out_channels": [16],
    "down_block_types": ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"],
    "mid_block_type": None,
}
CPU = torch.device("cpu")


def deep(seed: int = 0) -> Pipeline:
    pipeline = tiny.teacher(seed)
    pipeline.denoiser = UNet2DConditionModel.from_config({**tiny.unet().config, "layers_per_block": 2}).eval()  # type: ignore[assignment]
    return pipeline


def healing(teacher: Pipeline, changes: Any, **weights: float) -> Healing:
    config = HealingConfig(steps=1, optimizer=OptimizerConfig(), **weights)  # type: ignore[arg-type]
    values = {"run": "r", "teacher": "t", "data": "d", "reduce": changes, "loop": {"steps": 1}}
    student = Student(StudentConfig.parse({**values, "optimizer": RATE, "warmup_optimizer": RATE}, "test"), teacher)
    student.network.train()
    return Healing(config, student)


def losses(of: Healing) -> dict[str, Tensor]:
    torch.manual_seed(1)
    x0, conditioning = torch.randn(3, 4, 4, 4), of.teacher.condition(["red", "blue", ""])
    return dict(of.healing_loss(x0, conditioning, Draws.at(0, 0, range(3), CPU)))


def test_a_whole_copy_has_nothing_to_follow() -> None:
    found = losses(healing(tiny.teacher(), {}))
    assert float(found["output"]) == float(found["features"]) == 0
    assert float(found["task"]) > 0 and torch.equal(found["total"], found["task"])


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_terms(prediction: str) -> None:
    teacher = deep()
    teacher.scheduler = {**teacher.scheduler, "prediction_type": prediction, "rescale_betas_zero_snr": False}
    of = healing(teacher, "base", task=2.0, output=3.0, features=0.0)
    found = losses(of)
    torch.manual_seed(1)
    x0, conditioning = torch.randn(3, 4, 4, 4), teacher.condition(["red", "blue", ""])
    draws = Draws.at(0, 0, range(3), CPU)
    timesteps, noise = draws.integers(1000), draws.normal(4, 4, 4)
    alpha, sigma = of.tables.at(timesteps)
    ours, theirs = (
        predict(network, alpha * x0 + sigma * noise, timesteps, conditioning)
        for network in (of.student.network, teacher.denoiser)
    )
    target = {"epsilon": noise, "v_prediction": alpha * noise - sigma * x0, "sample": x0}[prediction]
    assert torch.allclose(found["task"], 2 * (ours - target).square().mean())
    assert torch.allclose(found["output"], 3 * (ours - theirs).square().mean())
    assert torch.allclose(found["total"], found["task"] + found["output"])


@pytest.mark.parametrize("changes", ["base", "small", INNERMOST])
def test_a_reduced_student_follows_every_stage_that_it_has(changes: Any) -> None:
    of = healing(deep(), changes, task=0.0, output=0.0)
    found = losses(of)
    assert float(found["total"]) == float(found["features"]) > 0
    before = [weight.clone() for weight in of.teacher.denoiser.parameters()]
    optimizer = torch.optim.AdamW(of.student.parameters(), 3e-3)
    for _ in range(20):
        optimizer.zero_grad()
        losses(of)["total"].backward()
        optimizer.step()
    assert float(losses(of)["features"]) < 0.5 * float(found["features"])
    assert all(torch.equal(weight, old) for weight, old in zip(of.teacher.denoiser.parameters(), before, strict=True))
    assert not of.student.network.up_blocks[-1]._forward_hooks  # type: ignore[index, union-attr]


def test_maps_of_other_widths_cannot_be_compared() -> None:
    with pytest.raises(BadInput, match=r"the student's are \[8, 16\] where the teacher's are \[16, 32\]"):
        healing(tiny.teacher(), {"block_out_channels": [8, 16]})
    assert float(losses(healing(tiny.teacher(), {"block_out_channels": [8, 16]}, features=0.0))["output"]) > 0


def test_a_run_heals_then_warms_up_then_plays(data: Path, runs: Path, tmp_path: Path) -> None:
    folders.save(deep(), tmp_path / "base")
    heal = {"steps": 2, "optimizer": RATE}
    values = {"teacher": str(tmp_path / "base"), "data": str(data), "reduce": "small", **STUDENT, "warmup": 1}
    loop = {**LOOP, "precision": "bf16", "checkpointing": True, "accumulate": 2}
    train("student", tmp_path, run="healed", healing=heal, loop=loop, **values)
    lines = [json.loads(line) for line in (runs / "healed" / "metrics.jsonl").read_text().splitlines()]
    phases = {line["step"]: {key.split("/")[0] for key in line} for line in lines if "seconds" in line}
    assert [sorted(phases[step] & {"healing", "warmup", "generator"}) for step in (1, 2, 3, 4)] == [
        ["healing"], ["healing"], ["warmup"], ["generator"]
    ]  # fmt: skip
    assert folders.load(runs / "healed" / "model").denoiser.mid_block is None
    with pytest.raises(BadInput, match="neither be reduced or healed"):
        train("student", tmp_path, run="odd", loop=LOOP, healing=heal, lora={}, **{**values, "reduce": {}})

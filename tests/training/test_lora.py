"""Adapters: the base with the adapter off is the teacher, only the adapter is kept, and what is saved needs none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file

from base.errors import BadInput
from metrics.sharpness import psnr
from models import folder as folders
from models import lora_file
from models.parts import predict
from models.pipeline import Pipeline
from tests import tiny
from tests.models.test_bases import stock_draws
from training import launch
from training.lora import LoraConfig, adapted, merged

PROMPTS = ["red", "a blue heart"]
RATE = {"rate": 1e-2, "warmup": 0}
LOOP = {"steps": 4, "batch": 4, "validate_every": 2, "log_every": 1, "checkpoint_minutes": 0}
LOW = {"frozen": "bf16", "precision": "bf16", "checkpointing": True, "accumulate": 2}


def moved(network: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(3)
    for weight in network.parameters():
        if weight.requires_grad:
            weight.data = 0.1 * torch.randn_like(weight)
    return network


@torch.no_grad()
def output(network: Any, pipeline: Pipeline) -> torch.Tensor:
    torch.manual_seed(4)
    sample = torch.randn(2, *pipeline.latent_shape)
    return predict(network.eval(), sample, 500, pipeline.condition(PROMPTS))


@pytest.mark.parametrize("family", [tiny.teacher, tiny.xl_teacher])
def test_the_base_with_the_adapter_off_is_the_teacher(family: Any) -> None:
    pipeline = family()
    before = output(pipeline.denoiser, pipeline)
    network: Any = moved(adapted(pipeline.denoiser, LoraConfig(rank=2)))
    assert torch.equal(output(pipeline.denoiser, pipeline), before)
    with_adapter = output(network, pipeline)
    assert not torch.allclose(with_adapter, before, atol=1e-3)
    network.disable_adapters()
    assert torch.equal(output(network, pipeline), before)
    network.enable_adapters()
    shared = {weight.data_ptr() for weight in pipeline.denoiser.parameters()}
    learnt = [weight for weight in network.parameters() if weight.data_ptr() not in shared]
    assert all(weight.requires_grad for weight in learnt)
    assert 10 * sum(map(torch.numel, learnt)) < 2 * sum(map(torch.numel, pipeline.denoiser.parameters()))
    plain = merged(network)
    assert not any("lora" in name for name in plain.state_dict())
    assert torch.allclose(output(plain, pipeline), with_adapter, atol=1e-5)
    assert torch.equal(output(pipeline.denoiser, pipeline), before)


def test_layers_that_are_not_there_are_named() -> None:
    with pytest.raises(BadInput, match=r"lora: .*to_nowhere"):
        adapted(tiny.teacher().denoiser, LoraConfig(targets=["to_nowhere"]))


def train(method: str, tmp_path: Path, **values: Any) -> Path:
    file = tmp_path / f"{values['run']}.yaml"
    file.write_text(yaml.safe_dump({"optimizer": RATE, **values}))
    launch.launch(method, file)
    return file


@pytest.mark.parametrize("low", [{}, LOW])
def test_a_teacher_learns_an_adapter(data: Path, runs: Path, tmp_path: Path, low: dict[str, Any]) -> None:
    base = tiny.teacher()
    folders.save(base, tmp_path / "base")
    values = {"base": str(tmp_path / "base"), "data": str(data), "lora": {"rank": 2}, "noise_offset": 0.1}
    file = train("teacher", tmp_path, run="lora", loop={**LOOP, **low, "last": True}, **values)
    saved = folders.load(runs / "lora" / "model")
    name = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_q.weight"
    assert not torch.equal(saved.denoiser.state_dict()[name], base.denoiser.state_dict()[name])
    theirs = stock_draws(
        runs / "lora" / "model", saved, StableDiffusionPipeline, num_inference_steps=4, guidance_scale=2.0
    )
    assert psnr(saved.generate(PROMPTS, [1, 2], 4, 2.0), theirs) > 40
    assert folders.load(runs / "lora" / "last").latent_shape == saved.latent_shape
    beside = lora_file.read(runs / "lora" / "model", {"unet": base.denoiser})
    lora_file.fuse({"unet": base.denoiser}, beside)
    near = 2e-3 if low else 1e-5  # the adapter was learnt over weights in bf16
    assert torch.allclose(saved.denoiser.state_dict()[name], base.denoiser.state_dict()[name], atol=near)
    state = load_file(runs / "lora" / "checkpoint-4" / "state.safetensors")
    assert all("lora" in name for name in state if name.startswith(("module.", "ema.")))
    lines = [json.loads(line) for line in (runs / "lora" / "metrics.jsonl").read_text().splitlines()]
    assert any(line.get("test/loss", -1) > 0 for line in lines)
    with pytest.raises(BadInput, match="another configuration"):
        launch.launch("teacher", file, ["lora.rank=4"])


def test_an_interrupted_adapter_ends_as_an_uninterrupted_one(data: Path, runs: Path, tmp_path: Path) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    values = {"base": str(tmp_path / "base"), "data": str(data), "lora": {"rank": 2}, "loop": {**LOOP, **LOW}}
    train("teacher", tmp_path, run="whole", **values)
    from training.run import checkpoint

    class Killed(BaseException):
        pass

    def killed(run: Path, keep: Path) -> None:
        if keep.name == "checkpoint-2":
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint, "drop_older", killed)
        train("teacher", tmp_path, run="cut", **values)
    assert checkpoint.newest(runs / "cut").name == "checkpoint-2"  # type: ignore[union-attr]
    train("teacher", tmp_path, run="cut", **values)
    ours, theirs = (load_file(runs / name / "checkpoint-4" / "state.safetensors") for name in ("cut", "whole"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


STUDENT = {
    "pairs": {"count": 4, "steps": 2},
    "warmup": 2,
    "warmup_optimizer": RATE,
    "adversarial": {"discriminator": RATE, "width": 8},
    "distillation": {},
}


@pytest.mark.parametrize("lora", [{"rank": 2}, None])
@pytest.mark.parametrize(
    ("family", "kind"), [(tiny.teacher, StableDiffusionPipeline), (tiny.xl_teacher, StableDiffusionXLPipeline)]
)
def test_a_student_in_little_memory(
    data: Path, runs: Path, tmp_path: Path, lora: dict[str, int] | None, family: Any, kind: Any
) -> None:
    folders.save(family(), tmp_path / "base")
    values = {"teacher": str(tmp_path / "base"), "data": str(data), "lora": lora, **STUDENT}
    train("student", tmp_path, run="student", loop={**LOOP, **LOW}, **values)
    student = folders.load(runs / "student" / "model")
    theirs = stock_draws(runs / "student" / "model", student, kind, num_inference_steps=1, guidance_scale=0.0)
    assert psnr(student.generate(PROMPTS, [1, 2]), theirs) > 40
    assert {weight.dtype for weight in student.denoiser.parameters()} == {torch.float32}


def test_a_lora_student_is_neither_reduced_nor_random(data: Path, runs: Path, tmp_path: Path) -> None:
    values = {"teacher": "none", "data": str(data), "loop": LOOP, "lora": {}, **STUDENT}
    for change in ({"reduce": "small"}, {"start": "random"}):
        with pytest.raises(BadInput, match="the teacher's own network"):
            train("student", tmp_path, run="odd", **values, **change)

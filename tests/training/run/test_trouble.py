"""What goes wrong during a run: it is told with what to change, and nothing is lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from base.errors import BadInput
from tests.training.run.test_loop import write
from training import launch
from training.run import checkpoint, loop
from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Method, Phase
from training.run.optimizer import OptimizerConfig
from training.run.trouble import in_one_line


class Line(Method):
    """Fits a line; its loss is not finite at the steps in `broken`."""

    averaged = ("line",)
    size = 8

    def __init__(self, broken: set[int]) -> None:
        torch.manual_seed(0)
        self.line, self.broken, self.step = nn.Linear(1, 1), broken, 0
        self.modules = {"line": self.line}

    def phases(self, steps: int) -> list[Phase]:
        return [Phase("line", list(self.line.parameters()), OptimizerConfig(rate=0.1, warmup=0), self.loss)]

    def loss(self, indices: list[int], draws: Draws) -> Losses:
        self.step += 1
        x = draws.normal(1)
        total = (self.line(x) - 2 * x).square().mean()
        return {"total": total * float("nan") if self.step in self.broken else total}

    def validate(self, averages: Any) -> dict[str, float]:
        return {"score": 0.0}

    def samples(self, averages: Any) -> Any:
        return torch.zeros(2, 2, 3, dtype=torch.uint8).numpy()

    def save(self, folder: Path, averages: Any) -> None:
        folder.mkdir(exist_ok=True)


def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path: Path) -> None:
    method = Line({3, 4, 9})
    loop.train(method, LoopConfig(steps=12, batch=4), tmp_path)
    _, facts = checkpoint.read(checkpoint.newest(tmp_path))  # type: ignore[arg-type]
    assert facts["skipped"] == 3
    assert all(bool(torch.isfinite(weight).all()) for weight in method.line.parameters())


def test_ten_in_a_row_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"10 steps in a row up to 13 without a finite gradient .line.: lower") as caught:
        loop.train(Line(set(range(4, 100))), LoopConfig(steps=40, batch=4, checkpoint_minutes=0), tmp_path)
    assert "\n" not in str(caught.value)
    assert checkpoint.newest(tmp_path) is not None


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tmp_path: Path) -> None:
    weights = []
    for parts in (1, 2, 4):
        method = Line(set())
        loop.train(method, LoopConfig(steps=6, batch=8, accumulate=parts), tmp_path / str(parts))
        weights.append(torch.cat([weight.flatten() for weight in method.line.parameters()]))
    assert torch.allclose(weights[0], weights[1], atol=1e-5) and torch.allclose(weights[0], weights[2], atol=1e-5)


class Casting(Line):
    """Notes whether autocast would keep its copies of the weights."""

    def loss(self, indices: list[int], draws: Draws) -> Losses:
        self.keeps = torch.is_autocast_cache_enabled()
        return super().loss(indices, draws)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_who_checkpoints_keeps_no_copies_of_the_weights(tmp_path: Path, checkpointing: bool) -> None:
    method = Casting(set())
    loop.train(method, LoopConfig(steps=1, batch=4, precision="bf16", checkpointing=checkpointing), tmp_path)
    assert method.keeps is not checkpointing


def test_parts_must_divide_the_batch() -> None:
    with pytest.raises(BadInput, match="must divide"):
        LoopConfig.parse({"steps": 1, "batch": 8, "accumulate": 3}, "loop")
    with pytest.raises(BadInput, match="needs precision: bf16"):
        LoopConfig.parse({"steps": 1, "frozen": "bf16"}, "loop")
    with pytest.raises(BadInput, match=r"loop: log_every: .*greater than or equal to 1"):
        LoopConfig.parse({"steps": 1, "log_every": 0}, "loop")


def test_fp16_needs_a_gpu(monkeypatch: pytest.MonkeyPatch, data: Path, runs: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    with pytest.raises(BadInput, match="fp16 needs a GPU; accepted on a CPU"):
        launch.launch("autoencoder", write(tmp_path, data, "half"), ["loop.precision=fp16"])
    assert not list(runs.iterdir())


@pytest.mark.parametrize("changes", [["loop.batch=6"], ["loop.batch=2"], ["loop.batch=8", "loop.accumulate=4"]])
def test_every_process_has_as_much_of_a_batch(
    monkeypatch: pytest.MonkeyPatch, data: Path, runs: Path, tmp_path: Path, changes: list[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(
        BadInput, match=r"loop.batch=\d is not shared out evenly among processes; accepted here: a multiple"
    ):
        launch.launch("autoencoder", write(tmp_path, data, "uneven"), changes)
    assert not list(runs.iterdir())


def test_methods_that_share_nothing_out_say_so(
    monkeypatch: pytest.MonkeyPatch, data: Path, runs: Path, tmp_path: Path
) -> None:
    for name, value in {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match="ippo train autoencoder does not go with FSDP, as teacher and student do"):
        launch.launch("autoencoder", write(tmp_path, data, "sharded"))
    assert not list(runs.iterdir())


def test_memory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"out of memory; lower loop\.batch"), in_one_line(tmp_path):
        torch.empty(2**60)
    with pytest.raises(RuntimeError, match="shapes"), in_one_line(tmp_path):
        torch.empty(2, 3) @ torch.empty(2, 3)


def test_a_full_disk_loses_nothing(data: Path, runs: Path, tmp_path: Path) -> None:
    """Files may not grow over 2 kB, as on a disk with no room left."""
    file = write(tmp_path, data, "full", "adamw")
    command = [sys.executable, "ippo.py", "train", "autoencoder", str(file)]

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    ended = subprocess.run(command, env={**os.environ}, preexec_fn=small, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "no room left on the disk" in ended.stderr.splitlines()[-1]
    assert checkpoint.newest(runs / "full") is None
    launch.launch("autoencoder", file)
    assert (runs / "full" / "model").is_dir()

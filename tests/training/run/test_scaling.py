"""Loss scaling, as in fp16: powers of two change nothing, an overflow is skipped, the scale is part of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from tests.training.run.test_trouble import Line
from training.run import checkpoint, loop
from training.run.draws import batch_indices
from training.run.loop_config import LoopConfig
from training.run.optimizer import build
from training.run.state import State
from training.run.step import Step


def begun(method: Line, scaler: torch.amp.GradScaler) -> State:
    phases = [(phase, build(phase.optimizer, phase.parameters)) for phase in method.phases(8)]
    return State(phases, {}, method.modules, 8, scaler)


def run(state: State, method: Line, steps: int) -> list[dict[str, float]]:
    logged = []
    for _ in range(steps):
        batch = batch_indices(0, state.step, 4, method.size)
        logged.append(Step(LoopConfig(steps=8, batch=4), state, Accelerator(cpu=True), batch).run(0))
        state.scaler.update()
        state.step += 1
    return logged


def scaler(**how: float) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", **how)  # type: ignore[arg-type]


def test_a_scaled_loss_learns_the_same() -> None:
    plain, scaled = Line(set()), Line(set())
    told = run(begun(plain, torch.amp.GradScaler(enabled=False)), plain, 6)
    same = run(begun(scaled, scaler(init_scale=1024.0)), scaled, 6)
    assert same == told
    assert torch.equal(plain.line.weight, scaled.line.weight)


def test_an_overflow_is_skipped_and_halves_the_scale() -> None:
    method = Line(set())
    before = method.line.weight.clone()
    state = begun(method, scaler(init_scale=2.0**127))
    (logged,) = run(state, method, 1)
    assert logged["skipped"] == state.skipped == 1
    assert torch.equal(method.line.weight, before)
    assert state.scaler.get_scale() == 2.0**126


def test_the_scale_is_kept_as_numbers(tmp_path: Path) -> None:
    method = Line(set())
    state = begun(method, scaler(init_scale=512.0, growth_interval=3))
    run(state, method, 4)
    state.write(tmp_path)
    folder = checkpoint.newest(tmp_path)
    assert folder is not None and {file.suffix for file in folder.iterdir()} == {".safetensors", ".json"}
    assert json.loads((folder / "state.json").read_text())["scaler"]["scale"] == 1024.0
    again = begun(Line(set()), scaler(init_scale=2.0, growth_interval=3))
    again.read(tmp_path)
    assert again.scaler.state_dict() == state.scaler.state_dict()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="fp16 is for a GPU")
def test_fp16_on_a_gpu(tmp_path: Path) -> None:
    loop.train(Line(set()), LoopConfig(steps=8, batch=4, precision="fp16"), tmp_path)
    facts = json.loads((tmp_path / "checkpoint-8" / "state.json").read_text())
    assert facts["step"] == 8 and facts["scaler"]["scale"] > 0

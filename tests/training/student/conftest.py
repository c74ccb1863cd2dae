"""Tiny students with dotted changes to one configuration, prepared for their first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models import folder as folders
from tests import tiny
from training.run.draws import Draws
from training.student.add import AddMethod
from training.student.batch import Batch
from training.student.student_config import StudentConfig

Opened = Callable[..., AddMethod]
ALONE = {"adversarial": None, "distillation": None, "matching": None}
"""Nothing but regression."""


def draws(seed: int = 0, count: int = 4) -> Draws:
    return Draws.at(seed, 0, range(count), torch.device("cpu"))


def batch(method: AddMethod, seed: int = 0, count: int = 4) -> Batch:
    """The first images."""
    return method.training_set.batch(range(count), draws(seed, count))


def learn(method: AddMethod, term: str, steps: int) -> None:
    """Train the student by one term alone, on eight other draws a step."""
    optimizer = torch.optim.AdamW(method.student.parameters(), 2e-3)
    for step in range(steps):
        loss = method.terms[term].loss(batch(method, 100 + step, 8))
        assert loss is not None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.fixture
def config(data: Path, runs: Path, tmp_path: Path) -> StudentConfig:
    folders.save(tiny.teacher(), tmp_path / "teacher")
    rate = {"rate": 1e-3}
    return StudentConfig.parse(
        {
            "run": "student",
            "teacher": str(tmp_path / "teacher"),
            "data": str(data),
            "captions": ["text", "text_fr"],
            "pairs": {"count": 8, "steps": 2},
            "timesteps": {999: 0.5, 499: 0.5},
            "warmup": 2,
            "warmup_optimizer": rate,
            "optimizer": rate,
            "adversarial": {"discriminator": rate, "width": 8},
            "distillation": {"weight": 0.5},
            "matching": {"optimizer": rate},
            "loop": {"steps": 4, "batch": 4, "validate_every": 2, "log_every": 1},
        },
        "test",
    )


@pytest.fixture
def opened(config: StudentConfig) -> Opened:
    """A prepared method with dotted changes to the configuration."""

    def open_with(**changes: Any) -> AddMethod:
        values = config.model_dump(mode="json")
        for key, value in changes.items():
            first, _, second = key.partition("__")
            values[first] = {**(values[first] or {}), second: value} if second else value
        method = AddMethod(StudentConfig.parse(values, "test"))
        method.prepare()
        return method

    return open_with


@pytest.fixture
def method(opened: Opened) -> AddMethod:
    return opened()

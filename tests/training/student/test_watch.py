"""The watch-dogs bark at what is wrong and at nothing else."""

from __future__ import annotations

import pytest

from tests.training.student.conftest import Opened
from training.student.watch import warnings

WELL = {
    "score": 1.0, "watch/accuracy": 0.7, "watch/accuracy-held-out": 0.65, "watch/spread": 0.95, "watch/nearest": 1.1,
    "share/adversarial": 0.5, "share/regression": 0.5,
}  # fmt: skip


def test_a_healthy_run_is_left_in_peace() -> None:
    assert warnings(WELL) == []
    assert warnings({"score": 3.0}) == []


@pytest.mark.parametrize(
    ("figure", "value", "turn"),
    [
        ("watch/spread", 0.3, "adversarial.weight"),
        ("watch/nearest", 0.2, "more data"),
        ("share/adversarial", 0.01, "the term adversarial"),
    ],
)
def test_each_sign_is_named_with_what_to_turn(figure: str, value: float, turn: str) -> None:
    lines = warnings({**WELL, figure: value})
    assert any(turn in line for line in lines)
    assert f"{value:.0%}" in " ".join(lines) or f"{value:.2f}" in " ".join(lines)


@pytest.mark.parametrize(
    ("figure", "value", "turn"),
    [
        ("watch/accuracy", 0.97, "adversarial.discriminator.rate"),
        ("watch/accuracy-held-out", 0.4, "adversarial.reals"),
    ],
)
def test_the_heads_signs_are_the_games_to_name(opened: Opened, figure: str, value: float, turn: str) -> None:
    game = opened().terms["adversarial"]
    assert game.warnings(WELL) == []
    lines = game.warnings({**WELL, figure: value})
    assert any(turn in line and f"{value:.0%}" in line for line in lines)
    assert warnings({**WELL, figure: value}) == []


def test_a_collapse_blames_only_terms_that_are_there() -> None:
    (line,) = warnings({"watch/spread": 0.3, "share/denoising": 1.0})
    assert line.endswith("raise regression, or lower denoising.weight")
    (line,) = warnings({"watch/spread": 0.3, "share/regression": 1.0})
    assert line.endswith("raise regression")

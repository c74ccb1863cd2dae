"""A phase of a step gives a gradient to its own weights alone, however much else its loss goes through."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import nn

from training.run.draws import Draws
from training.run.loop_config import LoopConfig
from training.run.method import Losses, Phase
from training.run.optimizer import OptimizerConfig, build
from training.run.state import State
from training.run.step import Step


def test_a_phase_moves_its_own_weights_alone() -> None:
    torch.manual_seed(0)
    drawing, judging = nn.Linear(1, 1), nn.Linear(1, 1)
    unused = nn.Parameter(torch.ones(1))

    def loss(indices: list[int], draws: Draws) -> Losses:
        return {"total": judging(drawing(draws.normal(1))).square().mean()}

    config = OptimizerConfig(rate=0.1, warmup=0)
    own = {"drawing": [*drawing.parameters(), unused], "judging": list(judging.parameters())}
    phases = [Phase(name, weights, config, loss) for name, weights in own.items()]
    state = State(
        [(phase, build(config, phase.parameters)) for phase in phases], {}, {}, 8, torch.amp.GradScaler(enabled=False)
    )
    step = Step(LoopConfig(steps=8, batch=4, accumulate=2), state, Accelerator(cpu=True), range(4))
    for number, name in enumerate(own):
        before = {other: [weight.clone() for weight in weights] for other, weights in own.items()}
        for weight in (*own["drawing"], *own["judging"]):
            weight.grad = None
        step.run(number)
        for other, weights in own.items():
            learns = [weight for weight in weights if weight is not unused]
            assert [weight.grad is not None for weight in learns] == [other == name] * len(learns)
            moved = [not torch.equal(*pair) for pair in zip(learns, before[other], strict=False)]
            assert moved == [other == name] * len(learns)
    assert unused.grad is None and torch.equal(unused, torch.ones(1))

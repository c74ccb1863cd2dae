"""How long a run is and where it validates, in steps or in epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from base.errors import BadInput
from studio import jobs
from tests.training.run.test_loop import write
from training import launch
from training.run.draws import batch_indices
from training.run.loop_config import LoopConfig

COUNTS = some.integers(1, 40)


@given(size=COUNTS, batch=COUNTS, epochs=some.integers(1, 5), seed=some.integers(0, 3))
def test_every_sample_is_seen_so_often_and_each_epoch_ends_once(size: int, batch: int, epochs: int, seed: int) -> None:
    config = LoopConfig(epochs=epochs, batch=batch, validate_every="epoch")
    steps = config.length(size)
    seen = [index for step in range(steps) for index in batch_indices(seed, step, batch, size)]
    assert all(seen[: epochs * size].count(index) == epochs for index in range(size))
    assert len(seen) - batch < epochs * size
    ends = [step for step in range(1, steps + 1) if config.validates(step, size)]
    assert ends == sorted({-(-epoch * size // batch) for epoch in range(1, steps * batch // size + 1)})
    assert ends[-1] == steps


@pytest.mark.parametrize("given", [{}, {"steps": 3, "epochs": 1}])
def test_one_of_the_two(given: dict[str, int]) -> None:
    with pytest.raises(BadInput, match=r"^loop: give steps or epochs") as caught:
        LoopConfig.parse(given, "loop")
    assert "Value error" not in str(caught.value) and "{" not in str(caught.value)


def test_a_run_of_epochs(data: Path, runs: Path, tmp_path: Path) -> None:
    file = write(tmp_path, data, "epochs", "adamw")
    launch.launch(
        "autoencoder", file, ["loop.steps=null", "loop.epochs=2", "loop.batch=10", "loop.validate_every=epoch"]
    )
    lines = [json.loads(line) for line in (runs / "epochs" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation/score" in line] == [3, 5]  # 24 samples, 10 a step
    assert sorted(picture.stem for picture in (runs / "epochs" / "samples").iterdir()) == ["000003", "000005"]
    progress = jobs.progress("epochs")
    assert (progress.step, progress.steps, progress.state) == (5, 5, "finished")

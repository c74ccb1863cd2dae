"""The benchmark at Stable Diffusion's size: its arithmetic, and the whole of it on tiny networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import large
from benchmarks.clock import Timing


def timing(stage: str, by: str, median: float) -> Timing:
    return Timing(stage, by, 1, median, median, median, median, median, 3, (median,))


def test_ratios_scale_the_teacher_and_stand_beside_the_arithmetic() -> None:
    timings = [
        timing("one step, KL", "ippo, openvino bf16", 100.0),
        timing("one step, KL", "diffusers eager", 500.0),
        timing("1 guided steps, KL", "diffusers eager", 700.0),
        timing("4 guided steps, KL", "diffusers eager", 1300.0),
        timing("one step, tiny", "ippo, openvino bf16", 25.0),
        timing("one step, tiny", "diffusers eager", 200.0),
    ]
    parts = {"conditioner GFLOP": 10.0, "denoiser GFLOP": 800.0}
    work = {
        "KL": {**parts, "decoder GFLOP": 2510.0, "ratio": 25.0},
        "tiny": {**parts, "decoder GFLOP": 140.0, "ratio": 85.0},
    }
    found = large.ratios(timings, work)
    kl, tiny, teacher = found.values()
    assert (kl["measured"], kl["arithmetic"]) == (5.0, 1.0)
    assert tiny["measured"] == 20.0 and tiny["arithmetic"] == pytest.approx(3320 / 950)
    assert teacher["measured"] == pytest.approx((700 + 49 * 200) / 25)
    assert teacher["arithmetic"] == pytest.approx(25 * 3320 / 950)


def test_the_full_size_is_that_of_stable_diffusion() -> None:
    import torch

    with torch.device("meta"):
        pipeline = large.student(large.FULL, "KL")
    count = {part: sum(p.numel() for p in getattr(pipeline, part).parameters()) for part in ("denoiser", "conditioner")}
    assert count["denoiser"] == pytest.approx(859.5e6, rel=1e-3)
    assert count["conditioner"] == pytest.approx(123e6, rel=1e-2)
    assert sum(p.numel() for p in pipeline.autoencoder.vae.decoder.parameters()) == pytest.approx(49.5e6, rel=1e-2)  # type: ignore[union-attr, operator]


@pytest.mark.slow
def test_a_whole_run_on_tiny_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large.main(out=tmp_path, small=True, rounds=1)
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed == json.loads((tmp_path / "large.json").read_text())
    assert len(printed["ratios"]) == 3 and all(row["measured"] > 0 for row in printed["ratios"].values())
    assert "| 50-step guided teacher (4 timed, scaled)" in (tmp_path / "large.md").read_text()

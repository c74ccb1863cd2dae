"""The benchmark at Stable Diffusion's size: its arithmetic, and the whole of it on tiny networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import BadInput
from benchmarks.size import export_costs as costs
from benchmarks.size import sd14_latency as large
from benchmarks.size.peer import INTEROP, Peer
from benchmarks.size.random_networks import FULL, student
from evaluation.clock import Timing


def timing(stage: str, by: str, median: float) -> Timing:
    return Timing(stage, by, 1, median, median, median, median, median, 3, (median,))


def test_ratios_scale_the_teacher_and_stand_beside_the_arithmetic() -> None:
    timings = [
        timing("one step, KL", "ippo, openvino bf16", 100.0),
        timing("one step, KL", "diffusers eager", 500.0),
        timing("1 guided steps, KL", "diffusers eager", 700.0),
        timing("4 guided steps, KL", "diffusers eager", 1300.0),
        timing("conditioner, pair", "ippo, openvino bf16", 2.0),
        timing("denoiser, guided pair", "ippo, openvino bf16", 80.0),
        timing("decoder, KL", "ippo, openvino bf16", 60.0),
        timing("one step, tiny", "ippo, openvino bf16", 25.0),
        timing("one step, tiny", "diffusers eager", 200.0),
    ]
    parts = {"conditioner GFLOP": 10.0, "denoiser GFLOP": 800.0}
    work = {
        "KL": {**parts, "decoder GFLOP": 2510.0, "ratio": 25.0},
        "tiny": {**parts, "decoder GFLOP": 140.0, "ratio": 85.0},
    }
    found = large.ratios(timings, work)
    kl, tiny, teacher, own = found.values()  # peers that were not there have no ratio
    assert (kl["measured"], kl["arithmetic"]) == (5.0, 1.0)
    assert tiny["measured"] == 20.0 and tiny["arithmetic"] == pytest.approx(3320 / 950)
    assert teacher["measured"] == pytest.approx((700 + 49 * 200) / 25)
    assert teacher["arithmetic"] == pytest.approx(25 * 3320 / 950)
    assert own["measured"] == pytest.approx((2 + 50 * 80 + 60) / 100) and "bar" not in own
    timings.append(timing("one step, KL", "optimum-onnx", 250.0))
    assert list(large.ratios(timings[:2], work)) == ["diffusers eager ÷ ippo, KL"]
    assert large.ratios(timings, work)["optimum-onnx ÷ ippo, KL"] == {"measured": 2.5, "arithmetic": 1.0, "bar": 2.0}


def test_the_full_size_is_that_of_stable_diffusion() -> None:
    import torch

    with torch.device("meta"):
        pipeline = student(FULL, "KL")
    count = {part: sum(p.numel() for p in getattr(pipeline, part).parameters()) for part in ("denoiser", "conditioner")}
    assert count["denoiser"] == pytest.approx(859.5e6, rel=1e-3)
    assert count["conditioner"] == pytest.approx(123e6, rel=1e-2)
    assert sum(p.numel() for p in pipeline.autoencoder.vae.decoder.parameters()) == pytest.approx(49.5e6, rel=1e-2)  # type: ignore[union-attr, operator]


def test_another_name_of_a_file_takes_no_space(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "a.safetensors").write_bytes(bytes(1000))
    (tmp_path / "one_step.onnx").write_bytes(bytes(20))
    (tmp_path / "vae_decoder").symlink_to("vae")
    assert costs.disk(tmp_path)["÷ safetensors"] == 1.02


def test_an_environment_that_is_not_there_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not there; `make interop` installs it"):
        Peer(tmp_path / "python")


ECHO = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"error": "too hard"} if asked["do"] == "fail" else asked), flush=True)
"""


def test_a_peer_answers_and_says_what_went_wrong(tmp_path: Path) -> None:
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    with Peer(Path(sys.executable), script) as peer:
        assert peer.ask("draw", folder="x") == {"do": "draw", "folder": "x"}
        with pytest.raises(BadInput, match="the peer failed: too hard"):
            peer.ask("fail")
    script.write_text("raise SystemExit(3)")
    with pytest.raises(BadInput, match="ended with status 3"):
        Peer(Path(sys.executable), script)


@pytest.mark.slow
def test_a_whole_run_on_tiny_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large.main(out=tmp_path, small=True, rounds=1, compiled=False, peer=INTEROP, scratch=tmp_path / "kept")
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed == json.loads((tmp_path / "large.json").read_text())
    assert len(printed["ratios"]) >= 4 and all(row["measured"] > 0 for row in printed["ratios"].values())
    assert all(start["seconds"] > 0 for start in printed["first image"].values())
    assert "| 50-step guided teacher, 4 timed and scaled, diffusers eager ÷" in (tmp_path / "large.md").read_text()
    assert (tmp_path / "large.png").stat().st_size > 10_000
    exported = (tmp_path / "kept" / "KL" / "manifest.json").stat().st_mtime_ns
    again = {"out": tmp_path, "small": True, "rounds": 1, "compiled": False, "scratch": tmp_path / "kept"}
    large.main(**again, peer=Path("none"), only=["one step, KL by diffusers", "one step, KL by ippo"])
    assert list(json.loads(capsys.readouterr().out.splitlines()[-1])["ratios"]) == ["diffusers eager ÷ ippo, KL"]
    assert (tmp_path / "kept" / "KL" / "manifest.json").stat().st_mtime_ns == exported, "what was kept is used again"
    with pytest.raises(BadInput, match="no case has nothing in its name"):
        large.main(**again, peer=Path("none"), only=["nothing"])


@pytest.mark.slow
@pytest.mark.parametrize("command", ["unet", "bundle"])
def test_the_costs_of_tiny_networks(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.size.export_costs", command, "--small"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    found = json.loads(done.stdout.splitlines()[-1])[command]
    assert found["seconds"] > 0 and 0.2 < found["peak GB"] < 5

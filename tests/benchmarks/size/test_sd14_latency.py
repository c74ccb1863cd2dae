"""The benchmark at Stable Diffusion's size: its arithmetic, and the whole of it on tiny networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import BadInput
from benchmarks.latency.product_rate import product_rates
from benchmarks.size.export_costs import over_safetensors
from benchmarks.size.random_networks import FULL, SMALL, reduced, student
from benchmarks.size.sd14_latency import main, ratios, shares
from benchmarks.size.sd14_peers import CPP, ENGINES, GENAI, INTEROP, OPTIMUM, PeerProcess, left_out
from evaluation.clock import Timing
from models import folder


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
    components = {"conditioner": 10.0, "denoiser": 800.0}
    work = {
        "KL": {**components, "decoder": 2510.0, "ratio": 25.0},
        "tiny": {**components, "decoder": 140.0, "ratio": 85.0},
    }
    kl, tiny, teacher = ratios(timings, work)  # peers that were not there have no ratio
    assert (kl.value, kl.least, kl.met) == (5.0, 4.0, True) and "(arithmetic alone: 1)" in kl.what
    assert tiny.value == 20.0 and f"(arithmetic alone: {3320 / 950:.3g})" in tiny.what
    assert teacher.value == pytest.approx((700 + 49 * 200) / 25)
    assert f"(arithmetic alone: {25 * 3320 / 950:.3g})" in teacher.what
    timings.append(timing("one step, KL", "optimum-onnx", 250.0))
    assert [(bar.value, bar.least) for bar in ratios(timings, work)][1:3] == [(2.5, 2.0), (2.5, 1.05)]
    timings.append(timing("one step, KL", GENAI, 104.0))
    best = ratios(timings, work)[3]
    assert (best.value, best.least, best.met) == (1.04, 1.05, False) and best.what.startswith("best of those that")
    assert len(ratios(timings[:2], work)) == 1
    timings.append(timing("one step, reduced", "ippo, openvino bf16", 20.0))
    smallest = {**work, "reduced": {"conditioner": 10.0, "denoiser": 300.0, "decoder": 140.0}}
    assert [ratios(timings, smallest, amx)[-1].least for amx in (False, True)] == [None, 20.0]
    assert ratios(timings, smallest)[-1].value == 25.0


def test_shares_of_what_the_machine_multiplies() -> None:
    timings = [timing("one step, KL", "ippo", 1000.0), timing("denoiser", "ippo", 800.0)]
    work = {"KL": {"conditioner": 10.0, "denoiser": 800.0, "decoder": 190.0, "ratio": 25.0}}
    sheet = shares(timings, work, {"f32": 2.0, "bf16": 4.0}, {"one step, KL by ippo": 3.5})
    assert sheet.heads[2:4] == ["of f32 products (2 TFLOP/s)", "of bf16 products (4 TFLOP/s)"]
    assert sheet.rows == [["one step, KL, ippo", "1", "50%", "25%", "3.5"]]
    rates = product_rates(64)
    assert list(rates) == ["f32", "bf16"] and min(rates.values()) > 0


def test_peers_that_are_not_there_are_named_in_one_line(tmp_path: Path) -> None:
    absent = left_out(tmp_path / "python", small=False)
    assert absent[OPTIMUM] == "not installed: make interop"
    assert CPP in left_out(tmp_path / "python", small=True)
    assert all("\n" not in why for why in absent.values())


def test_the_reduced_one_is_that_of_the_paper() -> None:
    import torch

    with torch.device("meta"):
        small = reduced(student(FULL, "tiny"))
    assert sum(weight.numel() for weight in small.denoiser.parameters()) == pytest.approx(323e6, rel=0.02)


@pytest.mark.slow
def test_a_peer_draws_from_the_same_folder(tmp_path: Path) -> None:
    pytest.importorskip("openvino_genai")
    folder.save(student(SMALL, "KL"), tmp_path / "KL-student")
    with PeerProcess(GENAI, ENGINES[GENAI], tmp_path / "KL-student", tmp_path, 256, INTEROP) as drawing:
        drawing.draw()
        assert 0.1 < drawing.peak() < 4
        assert (drawing.folder / "unet" / "openvino_model.xml").is_file()


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
    assert over_safetensors(tmp_path) == 1.02


@pytest.mark.slow
def test_a_whole_run_on_tiny_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(out=tmp_path, small=True, rounds=1, compiled=False, peer=INTEROP, scratch=tmp_path / "kept")
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    saved = json.loads((tmp_path / "large.json").read_text())
    assert printed["bars"] == saved["bars"] and len(printed["bars"]) >= 4 + 3 * 4
    assert all(bar["value"] > 0 for bar in printed["bars"])
    page = (tmp_path / "large.md").read_text()
    assert "| 50-step guided teacher, 4 timed and scaled, diffusers eager ÷" in page
    assert "| one step, reduced, ippo" in page and f"{CPP}: it opens networks of the published size alone" in page
    assert all(peak > 0.1 for peak in saved["peak GB"].values()) and len(saved["peak GB"]) >= 6
    exported = (tmp_path / "kept" / "KL" / "manifest.json").stat().st_mtime_ns
    again = {"out": tmp_path, "small": True, "rounds": 1, "compiled": False, "scratch": tmp_path / "kept"}
    main(**again, peer=Path("none"), only=["one step, KL by diffusers", "one step, KL by ippo"])
    ratios = [bar["what"] for bar in json.loads(capsys.readouterr().out.splitlines()[-1])["bars"]][:-12]
    assert len(ratios) == 1 and ratios[0].startswith("diffusers eager ÷ ippo, KL")
    assert (tmp_path / "kept" / "KL" / "manifest.json").stat().st_mtime_ns == exported, "what was kept is used again"
    with pytest.raises(BadInput, match="no case has nothing in its name"):
        main(**again, peer=Path("none"), only=["nothing"])


@pytest.mark.slow
@pytest.mark.parametrize("command", ["unet", "bundle"])
def test_the_costs_of_tiny_networks(command: str) -> None:
    module = [sys.executable, "-m", "benchmarks.size.export_costs", command, "--small"]
    done = subprocess.run(module, capture_output=True, text=True, timeout=600)
    bars = {bar["what"]: bar["value"] for bar in json.loads(done.stdout.splitlines()[-1])["bars"]}
    assert bars["seconds"] > 0 and 0.2 < bars["peak GB"] < 5

"""The loop: killed at any moment and run again it ends as if nothing had happened; the best model is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from base.errors import BadInput
from tests.training.waiting import waited
from training import launch
from training.run import checkpoint

CONFIG = """
run: RUN
data: DATA
vae:
  sample_size: 16
  down_block_types: [DownEncoderBlock2D, DownEncoderBlock2D]
  up_block_types: [UpDecoderBlock2D, UpDecoderBlock2D]
  block_out_channels: [4, 8]
  latent_channels: 2
  layers_per_block: 1
  norm_num_groups: 2
optimizer: {name: OPTIMIZER, rate: 1.0e-3, warmup: 2}
loop: {steps: 12, batch: 4, validate_every: 5, log_every: 1, checkpoint_minutes: 0}
"""


def write(folder: Path, data: Path, run: str, optimizer: str = "muon") -> Path:
    file = folder / f"{run}.yaml"
    file.write_text(CONFIG.replace("DATA", str(data)).replace("RUN", run).replace("OPTIMIZER", optimizer))
    return file


def losses(run: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["autoencoder/total"] for line in lines if "autoencoder/total" in line}


@pytest.mark.parametrize(("optimizer", "number"), [("adamw", signal.SIGKILL), ("muon", signal.SIGTERM)])
def test_killed_and_rerun_equals_uninterrupted(
    data: Path, runs: Path, tmp_path: Path, optimizer: str, number: signal.Signals
) -> None:
    launch.launch("autoencoder", write(tmp_path, data, "whole", optimizer))
    command = [sys.executable, "ippo.py", "train", "autoencoder", str(write(tmp_path, data, "killed", optimizer))]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL) as process:
        while waited(process, 0.005):
            newest = checkpoint.newest(runs / "killed")
            if newest is not None and int(newest.name.rpartition("-")[2]) >= 4:
                process.send_signal(number)
                break
    assert 4 <= int(checkpoint.newest(runs / "killed").name.rpartition("-")[2]) < 12  # type: ignore[union-attr]
    launch.launch("autoencoder", tmp_path / "killed.yaml")
    assert losses(runs / "killed") == losses(runs / "whole")
    ours, theirs = (load_file(runs / name / "checkpoint-12" / "state.safetensors") for name in ("killed", "whole"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_another_configuration_under_the_same_name_is_refused(data: Path, runs: Path, tmp_path: Path) -> None:
    file = write(tmp_path, data, "once", "adamw")
    launch.launch("autoencoder", file)
    before = (runs / "once" / "config.yaml").read_bytes()
    with pytest.raises(BadInput, match=r"another configuration \(optimizer\.rate was .* and is 0\.5\): choose another"):
        launch.launch("autoencoder", file, ["optimizer.rate=0.5"])
    with pytest.raises(BadInput, match=r"\(optimizer\.rate was .* and is 0\.5, and 1 more\)"):
        launch.launch("autoencoder", file, ["optimizer.rate=0.5", "latent_noise=0.5"])
    with pytest.raises(BadInput, match=r"\(vae\.mid_block_type was not there and is None\)"):
        launch.launch("autoencoder", file, ["vae.mid_block_type=null"])
    with pytest.raises(
        BadInput, match=r"\(perceptual was None and is given, with network, blocks, weight, and 3 more\)"
    ):
        launch.launch("autoencoder", file, ["perceptual.network=there"])
    assert (runs / "once" / "config.yaml").read_bytes() == before


def test_a_start_that_was_refused_leaves_the_name_free(data: Path, runs: Path, tmp_path: Path) -> None:
    file = write(tmp_path, data, "again", "adamw")
    with pytest.raises(BadInput, match="nowhere"):
        launch.launch("autoencoder", file, [f"data={tmp_path / 'nowhere'}"])
    launch.launch("autoencoder", file, ["loop.steps=2"])
    assert list(losses(runs / "again")) == [1, 2]


def test_what_somebody_put_beside_the_checkpoints_is_no_checkpoint_and_stays(tmp_path: Path) -> None:
    others = {"checkpoint-7-good", "checkpoint-old9"}
    for name in ("checkpoint-5", *others):
        (tmp_path / name).mkdir()
    checkpoint.write(newest := checkpoint.at(tmp_path, 6), {}, {})
    assert checkpoint.newest(tmp_path) == newest
    checkpoint.drop_older(tmp_path, newest)
    assert {path.name for path in tmp_path.iterdir()} == {newest.name, *others}


def test_a_run_may_be_made_longer_and_go_on_in_less_memory(data: Path, runs: Path, tmp_path: Path) -> None:
    """As the line about memory that is used up advises."""
    file = write(tmp_path, data, "longer", "adamw")
    launch.launch("autoencoder", file, ["loop.steps=4"])
    launch.launch("autoencoder", file, ["loop.accumulate=2"])
    assert list(losses(runs / "longer")) == list(range(1, 13))
    assert "steps: 12" in (runs / "longer" / "config.yaml").read_text()


def test_the_model_is_the_best_by_score_and_a_stock_folder(data: Path, runs: Path, tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    launch.launch("autoencoder", write(tmp_path, data, "best", "adamw"), ["loop.snapshots=true"])
    assert {folder.name for folder in (runs / "best" / "snapshots").iterdir()} == {"5", "10", "12"}
    vae = AutoencoderKL.from_pretrained(runs / "best" / "model")
    assert vae.config["scaling_factor"] == 1.0
    lines = [json.loads(line) for line in (runs / "best" / "metrics.jsonl").read_text().splitlines()]
    scores = [line["validation/score"] for line in lines if "validation/score" in line]
    facts = json.loads((runs / "best" / "checkpoint-12" / "state.json").read_text())
    assert facts["best"] == min(scores)


def test_unknown_method_and_unknown_key_name_the_nearest(data: Path, runs: Path, tmp_path: Path) -> None:
    file = write(tmp_path, data, "bad")
    with pytest.raises(BadInput, match="did you mean 'teacher'"):
        launch.launch("teachr", file)
    with pytest.raises(BadInput, match="did you mean 'batch'"):
        launch.launch("autoencoder", file, ["loop.bath=3"])


def test_a_broken_checkpoint_is_named(data: Path, runs: Path, tmp_path: Path) -> None:
    file = write(tmp_path, data, "broken", "adamw")
    launch.launch("autoencoder", file)
    state = runs / "broken" / "checkpoint-12" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(BadInput, match="checkpoint-12 cannot be read"):
        launch.launch("autoencoder", file)

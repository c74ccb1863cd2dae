"""Every training method, a few steps on tiny real networks, its result opened by the stock classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import AutoencoderKL, AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from base.errors import BadInput
from data.imagefolder import ImageFolder
from metrics import judge_network as judges
from models import folder as folders
from models.autoencoder_kl import KLAutoencoder, normalise
from models.latent_autoencoder import latent_autoencoder
from models.pixel_tensors import from_uint8
from models.schedule import Prediction
from tests import tiny
from training import launch
from training.clip import learn_tokenizer
from training.denoising_loss import min_snr
from training.schedule_tables import Tables

LOOP = {"steps": 2, "batch": 4, "validate_every": 2, "log_every": 1}
RATE = {"rate": 1e-3, "warmup": 0}
VAE = {
    "sample_size": 16,
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [4, 8],
    "latent_channels": 2,
    "layers_per_block": 1,
    "norm_num_groups": 2,
}
CLIP = {
    "merges": 20,
    "length": 8,
    "dimension": 16,
    "text": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
    "vision": {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    },
}
UNET = {**tiny.UNET, "sample_size": 8, "in_channels": 2, "out_channels": 2}


def train(method: str, folder: Path, **values: Any) -> dict[str, float]:
    file = folder / f"{method}.yaml"
    file.write_text(yaml.safe_dump({"run": method, "loop": LOOP, "optimizer": RATE, **values}))
    return launch.launch(method, file)


def test_from_images_to_a_teacher_that_stock_diffusers_opens(data: Path, runs: Path, tmp_path: Path) -> None:
    captions = ["text", "text_fr"]
    train("autoencoder", tmp_path, data=str(data), vae=VAE)
    train("clip", tmp_path, data=str(data), captions=captions, **CLIP)
    base = {"vae": "autoencoder", "clip": "clip", "unet": UNET}
    train("teacher", tmp_path, data=str(data), captions=captions, base=base, train_conditioner=True)
    assert CLIPModel.from_pretrained(runs / "clip" / "model").config.projection_dim == 16
    stock = StableDiffusionPipeline.from_pretrained(runs / "teacher" / "model")
    assert isinstance(stock.text_encoder, CLIPTextModel)
    image = stock("red", num_inference_steps=2, output_type="np").images
    typed, written = (stock.tokenizer(text)["input_ids"] for text in ("the Reds!", "red"))
    assert typed == written
    typed, written = folders.load(runs / "teacher" / "model").conditioner.tokenize(["the Reds!", "red"])
    assert typed.equal(written)
    assert image.shape == (1, 16, 16, 3)


PIXELS = {"family": "ddpm", "width": 8, "channels": 1, "scale": 2, "unet": {**UNET, "sample_size": 8}}


@pytest.mark.parametrize("column", ["label", "text"])
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_a_teacher_of_pixels_is_trained_from_labels(
    data: Path, runs: Path, tmp_path: Path, prediction: str, column: str
) -> None:
    base = {**PIXELS, "classes": ["red", "green", "blue", "yellow"], "prediction": prediction}
    train("teacher", tmp_path, data=str(data), captions=[column], base=base, train_conditioner=True)
    teacher = folders.load(runs / "teacher" / "model")
    assert teacher.task == "class-to-image" and teacher.schedule.prediction_type == prediction
    assert teacher.generate(["red", 3], [0, 1], steps=2, guidance=2.0).shape == (2, 16, 16, 3)
    launch.launch("teacher", runs / "teacher" / "config.yaml")  # the resolved configuration is the same one


def test_an_unconditional_teacher_takes_any_column(data: Path, runs: Path, tmp_path: Path) -> None:
    train("teacher", tmp_path, data=str(data), base=PIXELS, train_conditioner=True)
    assert folders.load(runs / "teacher" / "model").task == "unconditional-image-generation"


def test_labels_that_the_teacher_has_not_are_refused_by_their_column(data: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"column 'text' of .*: label 'yellow' is unknown; accepted: blue, green, red"):
        train("teacher", tmp_path, data=str(data), base={**PIXELS, "classes": ["red", "green", "blue"]})


def test_parts_of_a_family_are_checked_before_anything_starts(data: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="base: ddpm: unknown key 'vae'"):
        train("teacher", tmp_path, data=str(data), base={**PIXELS, "vae": "autoencoder"})
    assert not list(runs.iterdir())


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_a_teacher_is_fine_tuned_from_a_folder(data: Path, runs: Path, tmp_path: Path, prediction: str) -> None:
    folders.save(tiny.teacher(prediction_type=prediction, rescale_betas_zero_snr=False), tmp_path / "base")
    train("teacher", tmp_path, data=str(data), base=str(tmp_path / "base"))
    tuned = folders.load(runs / "teacher" / "model")
    before = folders.load(tmp_path / "base")
    assert tuned.schedule == before.schedule
    assert any(
        not torch.equal(ours, theirs)
        for ours, theirs in zip(tuned.denoiser.parameters(), before.denoiser.parameters(), strict=True)
    )
    pairs = zip(tuned.conditioner.parameters(), before.conditioner.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs), "the text encoder was to stay as it was"


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_min_snr_weights_are_finite_and_never_zero_at_pure_noise(prediction: Prediction) -> None:
    schedule = tiny.teacher(prediction_type=prediction).schedule
    weights = min_snr(Tables(schedule), torch.tensor([0, 500, 999]), 5.0, schedule.prediction_type)
    assert torch.isfinite(weights).all()
    if prediction != "epsilon":
        assert float(weights[-1]) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_a_decoder_learns_and_the_encoder_stays(data: Path, runs: Path, tmp_path: Path, kind: str) -> None:
    train("autoencoder", tmp_path, data=str(data), vae=VAE)
    channels = {"encoder_block_out_channels": [8, 8], "decoder_block_out_channels": [8, 8], "latent_channels": 2}
    blocks = {"num_encoder_blocks": [1, 1], "num_decoder_blocks": [1, 1]}
    tiny_vae = {**channels, **blocks} if kind == "tiny" else {}
    settings = {"kind": kind, "tiny": tiny_vae, "discriminator": RATE, "warmup": 1, "warmup_optimizer": RATE}
    train("decoder", tmp_path, data=str(data), vae="autoencoder", **settings)
    first, second, *_ = (runs / "decoder" / "metrics.jsonl").read_text().splitlines()
    assert "warmup/total" in first and "discriminator/total" not in first
    assert "warmup/total" not in second and all(f"{name}/total" in second for name in ("discriminator", "decoder"))
    opened = {"kl": AutoencoderKL, "tiny": AutoencoderTiny}[kind].from_pretrained(runs / "decoder" / "model")
    if kind == "kl":
        before = AutoencoderKL.from_pretrained(runs / "autoencoder" / "model")
        assert all(map(torch.equal, opened.encoder.parameters(), before.encoder.parameters()))
        assert not all(map(torch.equal, opened.decoder.parameters(), before.decoder.parameters()))


TINY = {
    "latent_channels": 4,
    "encoder_block_out_channels": [8, 8, 8],
    "decoder_block_out_channels": [8, 8, 8],
    "num_encoder_blocks": [1, 1, 1],
    "num_decoder_blocks": [1, 1, 1],
}


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_a_decoder_goes_on_for_the_pictures_of_a_student(data: Path, runs: Path, tmp_path: Path, kind: str) -> None:
    folders.save(tiny.student(), tmp_path / "student")
    begun = tmp_path / "student" / "vae"
    if kind == "tiny":
        begun = tmp_path / "tiny"
        AutoencoderTiny(**TINY).save_pretrained(begun)
    told = {"vae": str(tmp_path / "student" / "vae"), "start": str(begun), "student": str(tmp_path / "student")}
    rates = {"discriminator": RATE, "warmup_optimizer": {"rate": 0.0}, "optimizer": {"rate": 0.0}}
    train("decoder", tmp_path, data=str(data), kind=kind, student_images=6, **told, **rates)
    first, *_ = (runs / "decoder" / "metrics.jsonl").read_text().splitlines()
    assert "decoder/layout" in first
    network = {"kl": AutoencoderKL, "tiny": AutoencoderTiny}[kind]
    opened, before = (network.from_pretrained(folder) for folder in (runs / "decoder" / "model", begun))
    latents = torch.randn(2, 4, 4, 4)
    with torch.no_grad():
        assert torch.allclose(opened.decode(latents).sample, before.decode(latents).sample, atol=1e-4)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"kind": "tiny"}, "start: .* is an AutoencoderKL; kind tiny goes on from an AutoencoderTiny"),
        ({"start": "other/vae"}, "start: other/vae takes latents of 2 channels, student/vae gives 4"),
        ({"start": None, "student": "other"}, "student: other draws latents of 2 channels, .* has 4"),
    ],
)
def test_a_decoder_of_other_latents_is_refused(
    data: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folders.save(tiny.student(), tmp_path / "student")
    other = tiny.student()
    other.denoiser = UNet2DConditionModel(**{**UNET, "sample_size": 4, "cross_attention_dim": tiny.WIDTH})
    other.autoencoder = latent_autoencoder(AutoencoderKL(**VAE))
    folders.save(other, tmp_path / "other")
    rates = {"discriminator": RATE, "warmup_optimizer": RATE}
    with pytest.raises(BadInput, match=said):
        train("decoder", tmp_path, data=str(data), vae="student/vae", **{"start": "student/vae", **told}, **rates)


def test_a_judge_is_trained_and_opens(
    data: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = train("judge", tmp_path, data=str(data))
    judge = judges.load(runs / "judge" / "model")
    assert judge.config.labels == 4
    assert 0 <= figures["accuracy"] <= 1
    assert figures["mean over names"] == pytest.approx(figures["accuracy"]), "two pictures of each of four labels"
    assert f"judge: the mean over 4 names is {figures['accuracy']:.3f}" in capsys.readouterr().out


def test_normalised_latents_have_mean_zero_and_spread_one(data: Path) -> None:
    torch.manual_seed(0)
    vae = AutoencoderKL(**VAE).eval()
    images = from_uint8(ImageFolder(data, "train").images())
    with torch.no_grad():
        before = vae.decode(vae.encode(images).latent_dist.mode()).sample
        normalise(KLAutoencoder(vae), images)
        latents = vae.encode(images).latent_dist.mode()
        after = vae.decode(latents).sample
    assert torch.allclose(latents.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-4)
    assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(2), atol=1e-4)
    assert torch.allclose(after, before, atol=1e-4)


TOKENIZER: CLIPTokenizer = learn_tokenizer(["a red heart", "un cœur rouge", "red apple", "pomme rouge"] * 3, 30, 12)


@given(st.text(max_size=80))
@settings(max_examples=60)
def test_every_text_is_known_and_ends_with_the_last_id(text: str) -> None:
    ids = TOKENIZER([text], padding="max_length", max_length=12, truncation=True)["input_ids"][0]
    assert len(ids) == 12
    assert ids[0] == TOKENIZER.bos_token_id
    assert ids[-1] == TOKENIZER.eos_token_id == len(TOKENIZER) - 1
    assert None not in ids


def test_frequent_words_become_one_token() -> None:
    assert len(TOKENIZER("red")["input_ids"]) == 3


def test_an_untrained_run_is_refused_in_one_line(data: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no trained model in .*nowhere"):
        train("decoder", tmp_path, data=str(data), vae="nowhere", warmup_optimizer=RATE, discriminator=RATE)

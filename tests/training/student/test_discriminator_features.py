"""Feature networks of the discriminator: real tiny transformers and the tiny teacher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from base.errors import BadInput
from models.conditioning import Conditioning
from tests import tiny
from training.run.draws import Draws
from training.student.discriminator import Discriminator, head_conditioning
from training.student.discriminator_features import View, VisionFeatures, draw_view

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}


def vision(kind: str, folder: Path) -> str:
    """A tiny transformer of the family that `kind` names, saved as `folder`."""
    torch.manual_seed(0)
    shape = {"image_size": 16, "patch_size": 4}
    network: Any
    if kind == "dino":
        network = ViTModel(ViTConfig(**SIZES, **shape))
    elif kind == "dinov2":
        network = Dinov2Model(Dinov2Config(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, **shape))
    else:
        network = CLIPModel(CLIPConfig(text_config={**SIZES, "vocab_size": 20}, vision_config={**SIZES, **shape}))
    network.save_pretrained(folder)
    return str(folder)


def still(count: int) -> View:
    return View(torch.zeros(count).long(), torch.zeros(count, 4, 4, 4))


@pytest.mark.parametrize("kind", ["dino", "dinov2", "clip"])
def test_maps_are_patch_tokens_of_pictures_and_let_the_gradient_through(kind: str, tmp_path: Path) -> None:
    pipeline = tiny.teacher()
    network = VisionFeatures(vision(kind, tmp_path / kind), pipeline.autoencoder.decode)  # type: ignore[arg-type]
    sample = torch.randn(2, 4, 4, 4, requires_grad=True)
    maps = network(sample, still(2), Conditioning())
    assert [tuple(found.shape) for found in maps] == [(2, 16, 4, 4)] * 3
    assert network.layers == [1, 2, 3]
    (gradient,) = torch.autograd.grad(maps[0].square().sum(), sample)
    assert float(gradient.abs().sum()) > 0
    assert not any(weight.requires_grad for weight in network.network.parameters())


@pytest.mark.parametrize("says", [True, False])
def test_a_hub_name_is_normalised_as_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: bool) -> None:
    snapshot = tmp_path / "hub" / "models--some--clip" / "snapshots" / ("0" * 40)
    vision("clip", snapshot)
    if says:
        said = {"image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.25, 0.27]}
        (snapshot / "preprocessor_config.json").write_text(json.dumps(said))
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(snapshot.name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    by_folder, by_name = (VisionFeatures(name, lambda pixels: pixels) for name in (str(snapshot), "some/clip"))
    assert torch.equal(by_name.mean, by_folder.mean) and torch.equal(by_name.deviation, by_folder.deviation)
    assert float(by_name.mean[0]) == pytest.approx(0.48 if says else 0.485)


def test_a_patch_shows_at_its_own_place(tmp_path: Path) -> None:
    network = VisionFeatures(vision("dino", tmp_path / "dino"), lambda pixels: pixels)
    network.layers = [0]  # the embedding alone: every token still knows its own patch only
    plain = torch.zeros(1, 3, 16, 16)
    changed = plain.clone()
    changed[:, :, 4:8, 8:12] = 1.0
    (first,), (second,) = (network(picture, still(1), Conditioning()) for picture in (plain, changed))
    moved = (first - second).abs().sum(dim=1)[0] > 1e-6
    assert moved.nonzero().tolist() == [[1, 2]]


def test_what_is_no_vision_transformer_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="neither 'teacher' nor a folder"):
        VisionFeatures(str(tmp_path / "nothing"), lambda pixels: pixels)
    tiny.text_encoder().save_pretrained(tmp_path / "text")
    with pytest.raises(BadInput, match="not a vision transformer"):
        VisionFeatures(str(tmp_path / "text"), lambda pixels: pixels)


def test_noise_levels_of_a_view_are_logit_normal() -> None:
    view = draw_view(Draws.at(0, 0, range(4000), torch.device("cpu")), torch.zeros(4000, 1, 1, 1), 1000)
    shares = [float((view.timesteps < level).float().mean()) for level in (269, 500, 731)]  # one deviation either side
    assert shares == pytest.approx([0.159, 0.5, 0.841], abs=0.03)


def test_heads_hear_caption_and_noise_level() -> None:
    conditioning = tiny.teacher().condition(["red", "blue"])
    same = conditioning.map(lambda array: array[:1].repeat(2, 1, 1))
    level = torch.tensor([5, 5])
    discriminator = Discriminator([16, 32], 8, head_conditioning(conditioning, level).shape[1])
    maps = [torch.randn(1, 16, 4, 4).repeat(2, 1, 1, 1), torch.randn(1, 32, 2, 2).repeat(2, 1, 1, 1)]
    for condition in (head_conditioning(conditioning, level), head_conditioning(same, torch.tensor([5, 900]))):
        assert all(not torch.allclose(*logits, rtol=1e-4) for logits in discriminator(maps, condition))
    # Not to the bit: a processor may sum the rows of a batch in another order.
    assert all(torch.allclose(*logits, rtol=1e-4) for logits in discriminator(maps, head_conditioning(same, level)))

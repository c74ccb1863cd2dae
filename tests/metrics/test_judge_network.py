"""The judge: on disk, augmentation, loss, what its features see."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from metrics import features, judge_network, validity
from metrics.judge_network import DRAWS, Judge, JudgeConfig

TINY = JudgeConfig(labels=4, channels=(8, 8, 16), width=16)


def images(count: int = 4, side: int = 32) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_real_one_is_small_on_disk_and_the_same_after_a_round_trip(tmp_path: Path) -> None:
    network = Judge(JudgeConfig(labels=200)).eval()
    judge_network.save(network, tmp_path / "judge")
    again = judge_network.load(tmp_path / "judge")
    assert sum(file.stat().st_size for file in (tmp_path / "judge").iterdir()) < 2_000_000
    assert sorted(file.name for file in (tmp_path / "judge").iterdir()) == ["config.json", "judge.safetensors"]
    assert again.config == network.config
    with torch.no_grad():
        pictures = images(side=64)
        assert torch.allclose(again.features(pictures), network.features(pictures), atol=5e-3)
        assert again(pictures).shape == (4, 200)


def test_its_seed_is_its_own() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = Judge(TINY)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.classify, Judge(TINY).classify)


def test_a_folder_without_a_judge_and_a_damaged_one_say_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no judge"):
        judge_network.load(tmp_path)
    judge_network.save(Judge(TINY), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"labels": 5, "channels": [8, 8, 16], "width": 16, "seed": 1}))
    with pytest.raises(ValueError, match="damaged judge"):
        judge_network.load(tmp_path)
    (tmp_path / "judge.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="is no whole safetensors file"):
        judge_network.load(tmp_path)
    with pytest.raises(ValueError, match="accepted: judge, inception, clip, dino, dinov2"):
        features.load("vgg", tmp_path)


def test_the_loss_overfits_one_batch() -> None:
    network, pictures, labels = Judge(TINY), images(), torch.arange(4)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    first = judge_network.judge_loss(network, pictures, labels).item()
    for _ in range(40):
        optimizer.zero_grad()
        loss = judge_network.judge_loss(network, pictures, labels)
        loss.backward()
        optimizer.step()
    assert network(pictures).argmax(dim=1).tolist() == [0, 1, 2, 3]
    assert loss.item() < first / 2


def test_augmentation_follows_its_draws_alone() -> None:
    pictures, draws = images(), torch.rand(4, DRAWS, generator=torch.Generator().manual_seed(1))
    once = judge_network.augment(pictures, draws)
    assert torch.equal(once, judge_network.augment(pictures, draws))
    assert torch.equal(once[2:], judge_network.augment(pictures[2:], draws[2:]))
    assert not torch.equal(once, judge_network.augment(pictures, 1 - draws))
    middle = torch.full((4, DRAWS), 0.5)
    middle[:, 11] = 1.0  # no cutout
    assert torch.equal(judge_network.augment(pictures, middle), pictures)


def test_augmentation_never_blurs() -> None:
    """Pixels move but never mix: apart from recolouring and cutout, every colour was there before."""
    steps = (torch.arange(3 * 32 * 32).view(1, 3, 32, 32) % 7 - 3) / 4.0
    draws = torch.rand(1, DRAWS, generator=torch.Generator().manual_seed(2))
    draws[:, 4:9], draws[:, 11] = 0.5, 1.0
    moved = judge_network.augment(steps, draws)
    assert not torch.equal(moved, steps)
    assert set(moved.unique().tolist()) <= set(steps.unique().tolist())


def test_embeddings_have_length_one_and_features_add_texture() -> None:
    network = Judge(TINY).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    embedded, full = features.embeddings(network, pictures), features.features(network, pictures)
    assert embedded.dtype == np.float64 and embedded.shape == (5, 16)
    assert np.linalg.norm(embedded, axis=1) == pytest.approx(1, abs=1e-5)
    assert full.shape == (5, 16 + 2 * judge_network.OCTAVES)
    assert (full[:, :16] == embedded).all()


def test_texture_falls_with_blur_rises_with_noise_and_is_finite_on_flat_ground() -> None:
    def texture(pixels: np.ndarray) -> Tensor:  # type: ignore[type-arg]
        return judge_network.texture(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1)

    pictures = np.random.default_rng(0).integers(80, 176, (3, 32, 32, 3)).astype(np.uint8)
    assert (texture(validity.blurred(pictures, 1.0))[:, :2] < texture(pictures)[:, :2]).all()
    assert (texture(validity.noisy(pictures, 30.0))[:, :2] > texture(pictures)[:, :2]).all()
    assert torch.isfinite(texture(np.full((1, 32, 32, 3), 9, np.uint8))).all()


def test_features_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Judge(TINY).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    whole = features.features(network, pictures)
    monkeypatch.setattr(features, "BATCH", 2)
    assert features.features(network, pictures) == pytest.approx(whole, abs=1e-5)

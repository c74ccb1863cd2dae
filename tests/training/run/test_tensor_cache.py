"""What is computed once for all runs: made once, named by everything that made it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models import folder as folders
from tests import tiny
from training.run import tensor_cache


def test_kept_tensors_are_made_once_and_made_again_after_deletion(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    made = []

    def make() -> Tensor:
        made.append(True)
        return torch.arange(6.0).view(2, 3).T

    first, second = tensor_cache.cached("numbers", make), tensor_cache.cached("numbers", make)
    assert torch.equal(first, second) and len(made) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["numbers.safetensors"]
    (tmp_path / "cache" / "numbers.safetensors").unlink()
    assert torch.equal(tensor_cache.cached("numbers", make), first) and len(made) == 2


def test_a_name_changes_with_weights_and_facts() -> None:
    network = nn.Linear(2, 2)
    before = tensor_cache.digest([network], 1, torch.zeros(2))
    assert tensor_cache.digest([network], 1, torch.zeros(2)) == before
    assert tensor_cache.digest([network], 2, torch.zeros(2)) != before
    assert tensor_cache.digest([network], 1, torch.ones(2)) != before
    with torch.no_grad():
        network.weight += 1
    assert tensor_cache.digest([network], 1, torch.zeros(2)) != before


def test_what_was_cached_before_is_found_again() -> None:
    assert tensor_cache.digest([], torch.tensor([1.0, 2.0])) == "a4db0d892375089b7f3995aa"


def test_every_part_of_what_is_cached_counts() -> None:
    ids = torch.arange(12).view(6, 2)
    middle = ids.clone()
    middle[3, 1] += 1
    others = (middle, ids.view(4, 3), ids.int(), ids.flatten().tolist())
    assert len({tensor_cache.digest([], fact) for fact in (ids, *others)}) == 5
    assert tensor_cache.digest([], "ab", "c") != tensor_cache.digest([], "a", "bc")
    assert tensor_cache.digest([], {"a": 1, "b": 2}) == tensor_cache.digest([], {"b": 2, "a": 1})


def test_networks_of_the_same_weights_and_other_settings_have_other_names() -> None:
    networks = [tiny.unet() for _ in range(4)]
    for network in networks[1:]:
        network.load_state_dict(networks[0].state_dict())
    networks[1].register_to_config(norm_eps=1e-3)
    networks[2].register_to_config(attention_head_dim=4)
    assert len({tensor_cache.digest([network]) for network in networks}) == 3
    turned = nn.BatchNorm1d(2)
    before = tensor_cache.digest([turned])
    turned.register_buffer("more", torch.ones(1), persistent=False)
    assert tensor_cache.digest([turned]) != before


def test_a_network_that_was_saved_and_opened_is_the_same(tmp_path: Path) -> None:
    pipeline = tiny.teacher()
    folders.save(pipeline, tmp_path / "teacher")
    opened = folders.load(tmp_path / "teacher")
    for one, other in (
        (pipeline.conditioner, opened.conditioner),
        (pipeline.denoiser, opened.denoiser),
        (pipeline.autoencoder, opened.autoencoder),
    ):
        assert tensor_cache.digest([one]) == tensor_cache.digest([other])

"""What is computed once for all runs: made once, named by everything that made it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

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

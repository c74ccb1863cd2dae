"""What a large run leaves to the system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from training.run.memory import set_aside

GAPS = """
import os, sys, torch
from torch import nn
from training.run.memory import thrifty

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20

torch.ones(2**22)  # from here on glibc itself keeps pieces of up to 16 MiB
thrifty([nn.Linear(int(sys.argv[1]), 10_000, device="meta")])
held = [torch.ones(2**20) for _ in range(40)]
before = resident()
del held[::2]
print(before - resident())
"""


@pytest.mark.parametrize(("width", "freed"), [(100, (0, 10)), (10_000, (70, 90))])
def test_freed_memory_goes_back_where_networks_are_large(width: int, freed: tuple[int, int]) -> None:
    done = subprocess.run([sys.executable, "-c", GAPS, str(width)], capture_output=True, text=True, check=True)
    least, most = freed
    assert least <= int(done.stdout) <= most


@pytest.mark.skipif(sys.platform != "linux", reason="MADV_PAGEOUT is Linux's")
def test_weights_that_are_set_aside_leave_memory_and_come_back(tmp_path: Path) -> None:
    kind = subprocess.run(["stat", "--file-system", "--format=%T", str(tmp_path)], capture_output=True, text=True)
    if kind.stdout.strip() in ("tmpfs", "ramfs"):
        pytest.skip("the file itself lies in memory")
    file, numbers = tmp_path / "weights.safetensors", torch.arange(2**24, dtype=torch.float32)
    save_file({"weight": numbers.reshape(2**10, 2**14), "bias": torch.zeros(2**10)}, file)
    with file.open("rb+") as written:
        os.fsync(written)
    network = nn.Linear(2**14, 2**10, device="meta")
    network.load_state_dict(load_file(file), assign=True)
    assert torch.equal(network.weight.flatten(), numbers)
    before = _resident()
    set_aside(network)
    assert before - _resident() > 60  # of 64 MiB
    assert torch.equal(network.weight.flatten(), numbers)
    alone = nn.Linear(2**10, 2**10)  # in memory of its own: there is nowhere to take it back from
    weight = alone.weight.detach().clone()
    set_aside(alone)
    assert torch.equal(alone.weight, weight)


def _resident() -> int:
    """MiB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20

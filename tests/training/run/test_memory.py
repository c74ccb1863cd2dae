"""What a large run leaves to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

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

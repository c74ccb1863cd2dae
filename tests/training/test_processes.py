"""Two processes over one batch learn what one learns."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.test_loop import write

STEPS = ["loop.steps=20", "loop.batch=8", "loop.validate_every=20"]


def _losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["autoencoder/total"] for line in lines if "autoencoder/total" in line]


@pytest.mark.slow
def test_two_processes_and_one(data: Path, runs: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for count in (1, 2):
        command = [
            sys.executable,
            "ippo.py",
            "train",
            "autoencoder",
            str(write(tmp_path, data, f"of-{count}", "adamw")),
            *STEPS,
        ]
        common = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "ACCELERATE_USE_CPU": "true",
        }
        places = [
            {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"} if count == 2 else {}
            for rank in range(count)
        ]
        started = [
            subprocess.Popen(command, env={**common, **place}, stderr=subprocess.PIPE, text=True) for place in places
        ]
        for process in started:
            _, said = process.communicate()
            assert process.returncode == 0, said
    one, two = (_losses(runs / f"of-{count}") for count in (1, 2))
    assert len(one) == 20
    assert two == pytest.approx(one, rel=1e-4)

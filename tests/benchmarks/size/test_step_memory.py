"""Measured memory beside the dry run's, on tiny networks: every process of the benchmark does its part."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.size.step_memory import STUDENTS


@pytest.mark.slow
def test_both_students_are_measured_and_estimated() -> None:
    command = [sys.executable, "-m", "benchmarks.size.step_memory", "--small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found.pop("bars")) == 2 * len(STUDENTS)
    assert list(found) == list(STUDENTS)
    for figures in found.values():
        assert 0 < figures["libraries GB"] < figures["peak GB"] < 4  # the libraries, and not much more
        assert 0 < figures["estimated GB"] < 1 and figures["s a step"] > 0

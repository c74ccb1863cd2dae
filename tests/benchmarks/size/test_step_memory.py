"""Measured memory beside the dry run's, on tiny networks: every process of the benchmark does its part."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.size.step_memory import SPRINT, STUDENTS


@pytest.mark.slow
@pytest.mark.parametrize(("family", "students"), [([], list(STUDENTS)), (["sana"], list(SPRINT))])
def test_students_are_measured_and_estimated(family: list[str], students: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.size.step_memory", *family, "--small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found.pop("bars")) == 5 * len(students)
    assert list(found) == students
    for figures in found.values():
        assert 0 < figures["libraries GB"] < figures["peak GB"] < 4  # the libraries, and not much more
        assert 0 < figures["estimated GB"] < 1 and figures["s a step"] > 0

"""Who trains a run is known while it lives and no longer; a signal is a request once, and an end the second time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import BadInput
from training.run import process

HOLD = """
import sys, pathlib
from training.run import process
with process.claimed(pathlib.Path(sys.argv[1]), "teacher"), process.stopping() as asked:
    print("held", flush=True)
    while not asked.wait(0.05):
        pass
    print("asked", flush=True)
"""

TWICE = """
import signal
from training.run import process
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
with process.stopping() as asked:
    signal.raise_signal(signal.SIGINT)
    print("asked" if asked.is_set() else "not asked", flush=True)
    signal.raise_signal(signal.SIGINT)
    print("went on", flush=True)
"""


@pytest.mark.parametrize(("end", "code", "said"), [("stop", 0, "asked\n"), ("kill", -signal.SIGKILL, "")])
def test_a_run_is_held_until_its_process_ends_however_it_ends(tmp_path: Path, end: str, code: int, said: str) -> None:
    assert process.last(tmp_path) is None and not process.alive(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        assert process.alive(tmp_path)
        assert process.last(tmp_path) == process.Process(holder.pid, "teacher")
        with pytest.raises(BadInput, match="another process"), process.claimed(tmp_path, "student"):
            pass
        process.stop(tmp_path) if end == "stop" else holder.kill()
        assert (holder.stdout.read(), holder.wait()) == (said, code)
    assert not process.alive(tmp_path)
    with process.claimed(tmp_path, "student"):
        assert process.last(tmp_path) == process.Process(os.getpid(), "student")


def test_a_second_signal_ends_the_process_as_ever() -> None:
    """In a process of its own: libraries that other tests load may have left it a signal stack that is gone."""
    command = [sys.executable, "-c", TWICE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("asked\n", -signal.SIGINT), ended.stderr


def test_nobody_can_be_stopped_where_nobody_trains(tmp_path: Path) -> None:
    (tmp_path / process.FILE).write_text('{"pid": 1')
    assert process.last(tmp_path) is None
    with pytest.raises(BadInput, match="is not being trained"):
        process.stop(tmp_path)


def test_the_first_of_several_processes_claims_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with process.claimed(tmp_path, "teacher"):
        assert not (tmp_path / process.FILE).exists()

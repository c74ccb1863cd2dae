"""Trainings as processes: how far they are, and one real one that is started, stopped, resumed."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import BadInput
from studio import jobs, library, pieces
from tests.training.waiting import waited
from training.run import checkpoint, process

Write = Callable[[str, int], Path]


def test_progress_is_read_from_the_run_s_own_files(write_run: Write) -> None:
    write_run("half", 50)
    write_run("whole", 100)
    half, whole = jobs.progress("half"), jobs.progress("whole")
    assert (half.state, half.step, half.steps, half.rate, half.left) == ("stopped", 50, 100, 4.0, 12.5)
    assert (whole.state, whole.left) == ("finished", 0.0)


def test_who_holds_a_run_is_known_and_is_one(write_run: Write) -> None:
    run = write_run("held", 50)
    with process.claimed(run, "teacher"):
        assert jobs.progress("held").state == "running"
        with pytest.raises(BadInput, match="is being trained by another process"), process.claimed(run, "teacher"):
            pass
    assert jobs.progress("held").state == "stopped"
    assert jobs.method("held") == "teacher"
    with pytest.raises(BadInput, match="held is not being trained"):
        jobs.stop("held")


@pytest.mark.parametrize("said", ["ippo: no folder squares", "KeyError: 'x'", "safetensors.SafetensorError: torn"])
def test_a_refusal_is_shown(write_run: Write, said: str) -> None:
    (write_run("refused", 50) / jobs.LOG).write_text(f"Traceback\n{said}\n\n")
    progress = jobs.progress("refused")
    assert (progress.state, progress.line) == ("failed", said)
    assert html.escape(said) in pieces.card(progress)


def test_a_run_deleted_under_the_studio_is_one_line(write_run: Write) -> None:
    shutil.rmtree(write_run("gone", 50))
    for ask in (jobs.progress, jobs.stop, jobs.resume):
        with pytest.raises(BadInput, match=r"^the run 'gone' is gone"):
            ask("gone")


def test_a_name_that_leads_out_of_the_runs_starts_nothing(home: Path) -> None:
    with pytest.raises(BadInput, match="leads out of"):
        jobs.start("teacher", library.config("tiny/teacher.yaml"), ["run=../elsewhere"])
    with pytest.raises(BadInput, match="unknown key 'lop'; did you mean 'loop'"):
        jobs.start("teacher", library.config("tiny/teacher.yaml"), ["lop.steps=2"])
    assert not (home / "elsewhere").exists() and library.runs() == []


@pytest.mark.slow
def test_started_stopped_and_resumed_it_ends_as_it_should(home: Path) -> None:
    file = library.config("tiny/teacher.yaml")
    assert jobs.method_of(file) == "teacher"
    name = jobs.start("teacher", file, ["loop.steps=100000"])
    with pytest.raises(BadInput, match="is being trained already"):
        jobs.start("teacher", file, ["loop.steps=100000"])
    while jobs.progress(name).step < 3:
        assert waited(jobs._started[name], 0.1), jobs.progress(name).line
    jobs.stop(name)
    jobs._started[name].wait()
    stopped = jobs.progress(name)
    assert stopped.state == "stopped" and "stopped at step" in stopped.line
    newest = checkpoint.newest(library.run(name))
    assert newest is not None
    step = json.loads((newest / "state.json").read_text())["step"]
    assert step >= 3
    jobs.resume(name)
    while jobs.progress(name).step <= step + 1:
        assert waited(jobs._started[name], 0.1), jobs.progress(name).line
    jobs.stop(name)
    jobs._started[name].wait()
    lines = [json.loads(line) for line in (library.run(name) / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "teacher/total" in line]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > step

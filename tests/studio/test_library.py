"""What the studio may see, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import BadInput
from base.shipped import ROOT
from studio import library

Write = Callable[[str, int], Path]


def test_what_is_there_is_found_by_name(home: Path, write_run: Write) -> None:
    (home / "configs" / "variants.yaml").write_text("variants: [1, 2]\n")
    older, newer = write_run("a/teacher", 20), write_run("b", 40)
    os.utime(newer / "metrics.jsonl", (2e9, 2e9))
    (older / "model").mkdir()
    (older / "model" / "model_index.json").write_text("{}")
    assert library.configs() == ["tiny/teacher.yaml"]
    assert library.sets() == ["squares"]
    assert library.runs() == ["b", "a/teacher"]
    shipped = [name for name in library.models() if name.startswith("models/pretrained/")]
    assert shipped and library.models() == ["a/teacher", *shipped]  # they lie elsewhere than the working directory
    (newer / "model").mkdir()  # a network, no pipeline
    assert library.starts() == ["b", "a/teacher", *shipped]
    assert library.teacher_of("b") == "a/teacher"
    assert library.teacher_of("a/teacher") is None


def test_models_that_ship_know_their_teachers() -> None:
    student = "models/pretrained/digits/student"
    assert student in library.models()
    assert library.teacher_of(student) == "models/pretrained/digits/teacher"
    assert library.model(student) == ROOT / student


@pytest.mark.parametrize("name", ["../secret", "/etc", "a/../../secret", "", "."])
def test_names_that_lead_elsewhere_are_refused(home: Path, runs: Path, name: str) -> None:
    (home / "secret").mkdir()
    (home / "secret" / "config.yaml").write_text("run: x\n")
    for find in (library.run, library.image_set, library.config, library.model):
        with pytest.raises(BadInput):
            find(name)


def test_pictures_are_served_from_the_runs_alone(home: Path, runs: Path, write_run: Write) -> None:
    folder = write_run("a", 20)
    assert library.picture("a/samples/000020.png") == runs / "a/samples/000020.png"
    outside = home / "outside.png"
    outside.write_bytes((folder / "samples/000020.png").read_bytes())
    (runs / "link.png").symlink_to(outside)
    for name in ("../outside.png", str(outside), "link.png", "a/config.yaml", "a/samples/nothing.png"):
        with pytest.raises(BadInput, match="no picture"):
            library.picture(name)


def test_a_deleted_run_is_one_clear_line(home: Path) -> None:
    with pytest.raises(BadInput, match=r"^the run 'gone' is gone: there is no \S+/gone$"):
        library.run("gone")

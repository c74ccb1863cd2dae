"""What cannot work with a base or a data set is told before anything is encoded or trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from base.errors import BadInput
from models import folder as folders
from models.scheduler_configs import student_scheduler
from tests import tiny
from tests.training.conftest import write_set
from tests.training.test_lora import LOOP, RATE, STUDENT
from training import launch


def configured(tmp_path: Path, **values: Any) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"optimizer": RATE, **values}))
    return file


HEALED = {"healing": {"steps": 2, "optimizer": RATE}}
VALUES: dict[str, dict[str, Any]] = {"teacher": {}, "student": STUDENT}


@pytest.mark.parametrize("method", [*VALUES])
def test_it_is_told_and_nothing_is_encoded(runs: Path, tmp_path: Path, method: str) -> None:
    small, large = write_set(tmp_path / "small", 4), write_set(tmp_path / "large", 4, size=32)
    folders.save(tiny.teacher(), tmp_path / "base")
    known = {"base" if method == "teacher" else "teacher": str(tmp_path / "base"), "loop": LOOP, **VALUES[method]}
    for change, said in (
        ({"data": str(large)}, r"32x32 pixels, latents of \[4, 8, 8\]; the base draws \[4, 4, 4\], which is 16x16"),
        ({"data": str(small), "captions": ["label"]}, "column 'label' of .*: a prompt must be text"),
        ({"data": str(small), "captions": ["txet"]}, "txet"),
        ({"data": str(tmp_path / "nowhere")}, "nowhere"),
    ):
        for start in (launch.launch, launch.rehearse):  # a dry run too
            with pytest.raises(BadInput, match=said) as caught:
                start(method, configured(tmp_path, run=f"odd-{len(said)}", **{**known, **change}))
            assert "\n" not in str(caught.value)
    assert not (runs / "cache").exists()


@pytest.mark.parametrize("method", [*VALUES])
def test_a_student_is_no_base(runs: Path, tmp_path: Path, method: str) -> None:
    """Trained on, it would keep a student's scheduler, and be exported as one that it is not any more."""
    teacher, data = tiny.teacher(), write_set(tmp_path / "small", 4)
    folders.save(replace(teacher, scheduler=student_scheduler(teacher.scheduler)), tmp_path / "base")
    base = {"base" if method == "teacher" else "teacher": str(tmp_path / "base")}
    file = configured(tmp_path, run="r", data=str(data), loop=LOOP, **base, **VALUES[method])
    for start in (launch.launch, launch.rehearse):
        with pytest.raises(BadInput, match=r"base is a student .* give the teacher it was distilled from"):
            start(method, file)


@pytest.mark.parametrize(
    ("method", "change", "said"),
    [
        ("teacher", {"captions": ["text"]}, "column 'text' of .*: label 'red' is unknown"),
        ("teacher", {"data": "large"}, r"32x32 pixels, latents of \[3, 16, 16\]; the base draws \[3, 8, 8\]"),
        ("student", {"start": "xl"}, "start: .*xl has .*, its teacher"),
        ("student", {"pairs": {"exchanged": 0.5}}, "pairs.exchanged is for a teacher whose inputs are attributes"),
        (
            "student",
            {"healing": {"steps": 2, "optimizer": RATE}, "reduce": {"block_out_channels": [8, 16]}},
            "healing.features",
        ),
    ],
)
def test_a_dry_run_looks_at_what_the_start_opens(
    runs: Path, tmp_path: Path, method: str, change: dict[str, Any], said: str
) -> None:
    write_set(runs / "data" / "small", 4), write_set(runs / "data" / "large", 4, size=32)
    folders.save(tiny.teacher(), tmp_path / "base")
    folders.save(tiny.xl_teacher(), tmp_path / "xl")
    scratch = {"family": "ddpm", "width": 8, "scale": 2, "classes": 4, "unet": {**tiny.UNET, "sample_size": 8}}
    known: dict[str, dict[str, Any]] = {
        "teacher": {"base": scratch, "captions": ["label"]},
        "student": {**STUDENT, "teacher": str(tmp_path / "base")},
    }
    named = {key: str(tmp_path / value) if value == "xl" else value for key, value in change.items()}
    with pytest.raises(BadInput, match=said):
        launch.rehearse(
            method, configured(tmp_path, run="r", **{"data": "small", "loop": LOOP, **known[method], **named})
        )


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/tmp/x", ".", "data/emoji", "cache", "file", "file/x"])
@pytest.mark.parametrize("start", [launch.launch, launch.rehearse])
def test_a_run_lies_below_the_runs(runs: Path, data: Path, tmp_path: Path, name: str, start: Any) -> None:
    (runs / "file").write_text("a file")
    base = {"family": "ddpm", "width": 8, "scale": 2, "unet": {**tiny.UNET, "sample_size": 8}}
    with pytest.raises(BadInput, match=f"run: '{name}'"):
        start("teacher", configured(tmp_path, run=name, data=str(data), base=base, loop=LOOP))
    assert [path.name for path in runs.iterdir()] == ["file"]

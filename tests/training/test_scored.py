"""Which model is kept: by what training can know, where validation asks for names that it cannot; and what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from models import folder as folders
from tests import tiny
from tests.training.test_methods import LOOP, PIXELS, RATE, train
from training import launch
from training.scored import parts, scored
from training.teacher import TeacherMethod
from training.teacher_config import TeacherConfig

CLASSES = [f"creature {letter}" for letter in "abcdefgh"]


def test_held_out_rows_that_training_knows_are_scored_alone() -> None:
    rows = scored(["red cat", "blue dog"], ["red dog", "Blue, cat!", "green dog"], 10)
    assert (rows.held_out, rows.train, rows.unknown) == ([0, 1], [], [2])
    assert rows.said == "2 held-out samples"
    assert scored(["a"], ["a", "a"], 10).said == "held-out samples"


def test_training_rows_stand_in_where_held_out_names_are_new() -> None:
    rows = scored(["Ivysaur", "Raichu", "Mew"], ["Abra", "Onix", "raichu"], 10)
    assert (rows.held_out, rows.train, rows.unknown) == ([2], [0, 1, 2], [0, 1])
    assert rows.said == (
        "3 training samples with fresh noise and 1 held-out ones, for 2 of the 3 held-out ones are of names that training "
        "never has"
    )


def test_labels_and_attributes_are_known_one_by_one() -> None:
    assert scored([0, 1], [1, 5, 0], 10).unknown == [1]
    assert scored([["Man", "Cap"], ["Ape"]], [["Ape", "Cap"], ["Zombie"], []], 10).unknown == [1]
    assert list(parts({"Cap": 2.0, "Pipe": 0})) == ["Cap"] and list(parts(None)) == []


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_something_is_always_scored(train: list[int], held_out: list[int]) -> None:
    rows = scored(train, held_out, 8)
    assert len(rows.held_out) + len(rows.train) > 0 and len(rows.held_out) <= 8 and len(rows.train) <= 8
    assert all(held_out[row] in train for row in rows.held_out) and not any(
        held_out[row] in train for row in rows.unknown
    )


@pytest.fixture
def creatures(data: Path, tmp_path: Path) -> Path:
    """A picture a name: those that are held out have names that training never says."""
    folder = shutil.copytree(data, tmp_path / "creatures")
    for split, names in (("train", CLASSES[:6]), ("validation", CLASSES[6:]), ("test", CLASSES[6:])):
        pictures = sorted((folder / split).glob("*.png"))[: len(names)]
        rows = [{"file_name": picture.name, "text": name} for picture, name in zip(pictures, names, strict=True)]
        (folder / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def figures(run: Path, name: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


def test_the_model_that_knows_its_names_is_kept(
    creatures: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = {**PIXELS, "classes": CLASSES}
    loop = {"steps": 20, "batch": 6, "validate_every": 10, "ema": 0.5, "snapshots": True}
    common = {"data": str(creatures), "captions": ["text"], "train_conditioner": True, "loop": loop}
    train("teacher", tmp_path, base=base, **common, optimizer={"rate": 3e-2, "warmup": 0})
    scores, unknown = (figures(runs / "teacher", f"validation/{name}") for name in ("score", "unknown"))
    best = min(scores, key=lambda step: (scores[step], -step))
    assert list(unknown) == list(scores) == [10, 20]
    ours, theirs = (
        load_file(runs / "teacher" / folder / "unet" / "diffusion_pytorch_model.safetensors")
        for folder in ("model", f"snapshots/{best}")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with Image.open(runs / "teacher" / "samples" / "000020.png") as grid:
        assert grid.size == (2 * 16, 2 * 16), "two training captions above the held-out ones"
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"teacher: best at step {best} of 20, because the loss is lowest there: {scores[best]:.4g} on 6 training samples with"
        in said
    )


def test_a_set_of_known_names_is_scored_as_ever(data: Path, runs: Path, tmp_path: Path) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    values = {"run": "x", "data": str(data), "base": str(tmp_path / "base"), "loop": {"steps": 1}, "optimizer": RATE}
    method = TeacherMethod(TeacherConfig.parse(values, "test"))
    assert sorted(method.scored.held_out) == list(range(8)) and not method.scored.train
    with torch.no_grad():
        assert set(method.validate(method.modules)) == {"score"}


@pytest.fixture
def two_models(data: Path, runs: Path, tmp_path: Path) -> dict[str, Any]:
    """The run `teacher`, whose last model is told from its best by a bias; returns what its configuration shares."""
    common = {"data": str(data), "captions": ["label"], "loop": {**LOOP, "last": True}}
    train("teacher", tmp_path, base={**PIXELS, "classes": 4}, train_conditioner=True, **common)
    marked = folders.load(runs / "teacher" / "last")
    with torch.no_grad():
        marked.denoiser.get_parameter("conv_out.bias").fill_(7)
    folders.save(marked, runs / "teacher" / "last")
    return common


def bias(folder: Path) -> float:
    return float(folders.load(folder).denoiser.get_parameter("conv_out.bias").detach())


def test_the_last_model_is_taken_where_one_asks_for_it(two_models: Any, runs: Path, tmp_path: Path) -> None:
    for take, expected in (("best", False), ("last", True)):
        command = ["save", "teacher", "--out", str(tmp_path / take), "--take", take]
        assert CliRunner().invoke(ippo.app, command).exit_code == 0
        assert (bias(tmp_path / take) == 7) is expected
    # A run that starts from it says so.
    file = tmp_path / "next.yaml"
    file.write_text(yaml.safe_dump({"run": "next", "base": "teacher", **two_models, "optimizer": {"rate": 1e-9}}))
    launch.launch("teacher", file, take="last")
    assert bias(runs / "next" / "model") == pytest.approx(7, abs=1e-3)
    assert yaml.safe_load((runs / "next" / "config.yaml").read_text())["base"] == "teacher/last"
    with pytest.raises(BadInput, match="another configuration"):
        launch.launch("teacher", file)


def test_a_last_model_that_is_not_there_is_named(two_models: Any, runs: Path, tmp_path: Path) -> None:
    shutil.rmtree(runs / "teacher" / "last")
    file = tmp_path / "next.yaml"
    file.write_text(yaml.safe_dump({"run": "next", "base": "teacher", **two_models, "optimizer": RATE}))
    with pytest.raises(BadInput, match=r"holds no last model to take; accepted: a run trained with loop\.last=true"):
        launch.launch("teacher", file, take="last")
    with pytest.raises(BadInput, match="--take last: this run starts from no other run"):
        launch.launch("teacher", tmp_path / "teacher.yaml", take="last")
    launch.launch("teacher", tmp_path / "teacher.yaml")
    assert (runs / "teacher" / "last").is_dir(), "written from the checkpoint, without a step"

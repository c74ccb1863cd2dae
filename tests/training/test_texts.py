"""Cached text: a run learns the same from it, captions are still dropped, and nothing that learns is cached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from base.errors import BadInput
from models import folder as folders
from tests import tiny
from tests.training.test_lora import LOOP, STUDENT, train
from training.run import tensor_cache
from training.texts import Texts


@pytest.mark.parametrize("family", [tiny.teacher, tiny.xl_teacher])
def test_known_ids_are_looked_up_and_others_computed(runs: Path, family: Any) -> None:
    pipeline = family()
    ids = pipeline.conditioner.tokenize(["red", "a blue heart", "red", ""])
    texts = Texts(pipeline, ids)
    assert {len(array) for array in texts.arrays.values()} == {3}
    for asked in (ids[[1, 3, 0]], pipeline.conditioner.tokenize(["red", "never seen"])):
        ours, theirs = texts(asked).arrays(), pipeline.conditioner(asked).arrays()
        assert ours.keys() == theirs.keys()
        assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)


def losses(run: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


@pytest.mark.parametrize(
    ("method", "names", "values"),
    [
        (
            "teacher",
            ["teacher/total", "validation/score", "test/loss"],
            {"condition_dropout": 0.5, "captions": ["text", "text_fr"]},
        ),
        ("student", ["warmup/total", "generator/total"], STUDENT),
    ],
)
def test_the_losses_are_those_without_it(
    data: Path, runs: Path, tmp_path: Path, method: str, names: list[str], values: dict[str, Any]
) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    base = {"base" if method == "teacher" else "teacher": str(tmp_path / "base"), "data": str(data), "loop": LOOP}
    for cached in (True, False):
        train(method, tmp_path, run=str(cached), cache_text=cached, **base, **values)
    assert len(list((runs / "cache").glob("texts-*"))) == 1
    for name in names:
        ours, theirs = losses(runs / "True", name), losses(runs / "False", name)
        assert len(ours) > 0 and ours == pytest.approx(theirs, rel=1e-5)


def test_other_weights_have_a_cache_of_their_own(runs: Path) -> None:
    ids = tiny.teacher().conditioner.tokenize(["red"])  # type: ignore[operator]
    for seed in (0, 1):
        Texts(tiny.teacher(seed), ids)
    assert len(list((runs / "cache").glob("texts-*"))) == 2
    assert tensor_cache.digest([tiny.teacher(0).conditioner], ids) == tensor_cache.digest(
        [tiny.teacher(0).conditioner], ids
    )


def test_what_learns_is_not_cached(data: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cache_text is for a conditioner that stays"):
        train(
            "teacher",
            tmp_path,
            run="odd",
            base="none",
            data=str(data),
            loop=LOOP,
            cache_text=True,
            train_conditioner=True,
        )

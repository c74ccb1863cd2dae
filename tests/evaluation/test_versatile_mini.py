"""The mini line and its quality as the Makefile walks them, two steps a stage, from icons to both pages with every baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import ippo
from base.shipped import ROOT
from tests.data.sample_icons import SAMPLE, SETS
from tests.makefile import steps
from training.configured_line import stages

CONFIGS = ROOT / "configs" / "versatile-mini"
FEW: dict[str, Any] = {"steps": 2, "warmup": 2, "batch": 4, "validate_every": 2, "count": 6, "merges": 60}
"""Values of keys that are sizes, wherever they stand; the networks stay as they are."""


def test_the_lines_stages_are_what_the_makefile_trains() -> None:
    trained = [step for target in ("versatile", "versatile-quality") for step in steps(target) if step[0] == "train"]
    files = {(method, Path(file).name) for _, method, file in trained}
    assert files == {(stage.method, stage.file.name) for stage in stages(CONFIGS)}
    assert {yaml.safe_load(file.read_text())["loop"].get("precision", "auto") for file in CONFIGS.glob("*.yaml")} == {
        "auto"
    }


@pytest.mark.slow
def test_the_mini_line_ends_in_two_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    places = {"$(LINE)": str(tmp_path), "$(ICONS_MINI)": str(tmp_path / "data" / "icons-mini")}
    sets = [word for name in SETS for word in ("--set", name)]
    small = ["--modules", str(SAMPLE), "--count", "12", "--size", "64", *sets]
    for words in (*steps("versatile"), *steps("versatile-quality")):
        words = [expanded for word in words for expanded in (small if word == "$(OF_MINI)" else [word])]
        for name, place in places.items():
            words = [word.replace(name, place) for word in words]
        if words[0] == "train":
            file = tmp_path / Path(words[2]).name
            file.write_text(yaml.safe_dump(_few(yaml.safe_load((ROOT / words[2]).read_text()))))
            words[2] = str(file)
        if words[0] == "evaluate":  # two steps of the teacher, and few of everything
            words.remove("--quick")
            words[words.index("--steps") + 1] = "2"
            words += ["--images", "4", "--captions", "4", "--sweep", "4", "--guidances", "1", "--samplers", "ddim"]
        result = CliRunner().invoke(ippo.app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    out = tmp_path / "line" / "versatile-quality"
    assert {"evaluation.html", "captions.html", "quality.json", "captions.json"} <= {
        file.name for file in out.iterdir()
    }
    lines = {line["name"]: line for line in json.loads((out / "captions.json").read_text())["lines"]}
    assert (
        any(name.startswith("autoregressive, ") for name in lines)
        and {"judge's answer", "student, 1 step"} <= lines.keys()
    )
    transfers = {line["name"]: line for line in json.loads((out / "quality.json").read_text())["transfers"]}
    rivals = {f"student, 1 step, {way}" for way in ("in words", "principal components", "caption and redraw")}
    assert rivals <= transfers.keys() and set(transfers["student, 1 step"]["edit"]) == {"ground", "style"}


def _few(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    few = {key: _few(value) for key, value in values.items()}
    return few | {key: value for key, value in FEW.items() if isinstance(values.get(key), int)}

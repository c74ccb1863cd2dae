"""The notebooks, cell by cell, on a tiny base: what they say can be done is done."""

from __future__ import annotations

import ast
import importlib
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from accelerate.state import AcceleratorState
from PIL import Image

from models.folder import load
from runtime.bundle import open_bundle
from runtime.tokenize import PromptTokenizer
from tests.docs.workplace import ROOT, workplace

NAMES = ("Teacher", "Student", "Scratch")


def cells(name: str, kind: str) -> list[str]:
    content = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == kind]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.delenv("IPPO_RUNS", raising=False)
    monkeypatch.chdir(workplace(tmp_path / "user"))
    yield tmp_path / "user"
    AcceleratorState._reset_state()


def run(name: str, folder: Path) -> dict[str, Any]:
    """Every cell in order; a picture at the end of the last one is kept as `shown`."""
    *before, last = cells(name, "code")
    *lines, shown = last.splitlines()
    script = folder / f"{name}.py"
    AcceleratorState._reset_state()  # a process, and a precision, of its own
    script.write_text("\n\n".join([*before, *lines, f"shown = {shown}"]), encoding="utf-8")
    return runpy.run_path(str(script))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_words_between_its_cells_and_keeps_no_output(name: str) -> None:
    content = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    assert all(cell["outputs"] == [] for cell in content["cells"] if cell["cell_type"] == "code")
    assert len(cells(name, "markdown")) >= len(cells(name, "code")) // 2
    for cell in cells(name, "code"):
        compile(cell, name, "exec")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_notebook_imports_is_there(name: str) -> None:
    """Without running it, which takes a minute."""
    tree = ast.parse("\n".join(cells(name, "code")))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [(node.module or "", one.name) for node in imports for one in node.names]
    ours = [(module, one) for module, one in ours if (ROOT / module.partition(".")[0]).is_dir()]
    assert ours
    for module, one in ours:
        place = ROOT / module.replace(".", "/")
        if not (place / f"{one}.py").is_file():
            assert hasattr(importlib.import_module(module), one), f"from {module} import {one}"


@pytest.mark.slow
def test_the_notebooks_from_pictures_to_a_bundle(folder: Path) -> None:
    found = run("Teacher", folder)
    assert sum(found["report"].rows.values()) == 27 and len(found["report"].dropped) == 3
    assert (
        isinstance(found["shown"], Image.Image)
        and not load(folder / "runs" / "naruto" / "teacher" / "model").is_student
    )
    drawn = run("Student", folder)
    assert isinstance(drawn["shown"], Image.Image) and drawn["drawn"].shape == (4, 16, 16, 3)
    assert open_bundle(folder / "my-naruto").manifest.parity["openvino"]["psnr"] >= 35


@pytest.mark.slow
def test_a_model_of_small_pictures_from_scratch(folder: Path) -> None:
    found = run("Scratch", folder)
    assert isinstance(found["shown"], Image.Image) and found["drawn"].shape == (4, 64, 64, 3)
    bundle = open_bundle(folder / "my-model")
    assert bundle.manifest.parity["openvino"]["psnr"] >= 35
    assert (
        PromptTokenizer(bundle).ids(["Red things, number A"]).tolist()
        == PromptTokenizer(bundle).ids(["a red thing number a"]).tolist()
    )


def test_the_recipe_takes_overrides(folder: Path) -> None:
    settings, recipe = cells("Teacher", "code")[0], cells("Teacher", "code")[1]
    script = folder / "recipe.py"
    edited = settings.replace(
        "DATA_OVERRIDES = []", 'DATA_OVERRIDES = ["hub=null", "root=my-pictures", "size=32", "name=mine"]'
    )
    assert edited != settings
    script.write_text(f"{edited}\n\n{recipe}", encoding="utf-8")
    report = runpy.run_path(str(script))["report"]
    assert report.folder == folder / "runs" / "data" / "mine" and report.parameters["size"] == 32
    assert sum(report.rows.values()) == 26

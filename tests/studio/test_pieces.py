"""Pieces of the page: they show what there is, and words of users stay words."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio import pieces
from studio.jobs import Progress

RUDE = '<script>alert("x")</script>'


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_durations_read_well(seconds: float, shown: str) -> None:
    assert pieces.duration(seconds) == shown


def test_words_of_users_cannot_become_markup(tmp_path: Path) -> None:
    image = np.zeros((1, 4, 4, 3), np.uint8)
    shown = [
        pieces.card(Progress(RUDE, "failed", 1, 2, None, RUDE)), pieces.trouble(RUDE), pieces.hint(RUDE, RUDE),
        pieces.bars({RUDE: 1}), pieces.gallery([tmp_path / RUDE], [RUDE]), pieces.drawing(RUDE, image, RUDE),
        pieces.film(RUDE, image, image), pieces.charts({RUDE: {RUDE: [(0, 1)], "b": [(1, 2)]}}), pieces.title(RUDE),
    ]  # fmt: skip
    assert all("<script" not in piece and '"x"' not in piece for piece in shown)


def test_a_running_card_tells_rate_and_time_left() -> None:
    card = pieces.card(Progress("a", "running", 50, 100, 0.25, ""))
    assert "step 50 of 100" in card and "4 s/step" in card and "3 min 20 s left" in card and "width: 50.0%" in card


def test_a_length_in_epochs_has_no_time_left_before_it_is_known() -> None:
    card = pieces.card(Progress("a", "running", 50, 0, 0.25, ""))
    assert "step 50" in card and "4 s/step" in card and "left" not in card


def test_the_newest_grid_is_the_large_one(write_run: Callable[[str, int], Path]) -> None:
    folder = write_run("a", 20) / "samples"
    for step in range(30, 600, 10):
        (folder / f"{step:06d}.png").write_bytes((folder / "000020.png").read_bytes())
    shown = pieces.samples(sorted(folder.glob("*.png")))
    assert 'class="large" src="/picture/a/samples/000590.png?' in shown
    assert shown.count("<img") <= pieces.THUMBNAILS + 1


def test_pictures_outside_the_runs_get_no_address(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(b"")
    assert pieces.url(tmp_path / "outside.png") == ""


def test_the_gif_shows_every_step_and_rests_at_the_end() -> None:
    seen = [np.full((8, 8, 3), 20 * step, np.uint8) for step in range(5)]
    moving = Image.open(io.BytesIO(pieces.gif(seen, seen)))
    assert (moving.n_frames, moving.size) == (5, (512, 256))  # type: ignore[attr-defined]
    moving.seek(4)
    assert moving.info["duration"] == pieces.LAST_MS

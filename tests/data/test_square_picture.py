"""Pictures on a ground of one colour are trimmed to what is drawn; photographs stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.build import build
from data.drawn_box import drawn_box, trimmed
from tests.data.pictures import built, captioned, picture


@pytest.mark.parametrize("box", [(10, 20, 30, 60), (0, 0, 20, 5), (99, 79, 100, 80)])
@pytest.mark.parametrize("ground", ["white", "#204060"])
def test_the_square_around_what_is_drawn_is_kept(box: tuple[int, int, int, int], ground: str) -> None:
    image = Image.new("RGB", (100, 80), ground)
    image.paste((250, 20, 20), box)
    assert drawn_box(image).box == box
    square = trimmed(image)
    assert square.width == square.height >= max(box[2] - box[0], box[3] - box[1])
    red = (np.asarray(square) == (250, 20, 20)).all(axis=2)
    assert red.sum() == (box[2] - box[0]) * (box[3] - box[1])  # all of it, and nothing twice
    assert square.getpixel((0, 0)) == Image.new("RGB", (1, 1), ground).getpixel((0, 0)) or box[2] - box[0] < 8


def test_a_picture_without_a_ground_and_an_empty_one_stay() -> None:
    for image in (picture(1, 40, 30), Image.new("RGB", (30, 20), "red")):
        assert np.array_equal(np.asarray(trimmed(image)), np.asarray(image)) or image.getextrema()[0] == (255, 255)
    assert drawn_box(Image.new("RGB", (30, 20), "red")).box == (0, 0, 30, 20)


def test_build_trims_where_it_is_asked_for(tmp_path: Path) -> None:
    image = Image.new("RGBA", (200, 100))
    image.paste((0, 0, 200, 255), (90, 40, 110, 60))
    captioned(tmp_path / "in", "a.png", image)
    (_, small), *_ = built(build(tmp_path / "in", tmp_path / "plain", 32, fit="pad")).values()
    (_, large), *_ = built(build(tmp_path / "in", tmp_path / "trimmed", 32, trim=True)).values()
    blue = [(pixels[..., 0] < 128).mean() for pixels in (small, large)]
    assert blue[0] < 0.02 and blue[1] > 0.6

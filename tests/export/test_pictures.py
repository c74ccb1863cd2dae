"""Image files: names, grids and formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.pictures import tile, write
from models.errors import BadInput

IMAGES = np.random.default_rng(0).integers(0, 255, (5, 8, 6, 3), dtype=np.uint8)


def test_several_images_are_numbered(tmp_path: Path) -> None:
    files = write(IMAGES, tmp_path / "cat.png", columns=5, grid=False)
    assert [file.name for file in files] == [f"cat-{number}.png" for number in range(5)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name for file in files]
    assert all(np.array_equal(np.asarray(Image.open(file)), image) for file, image in zip(files, IMAGES, strict=True))


def test_a_grid_holds_every_image_in_reading_order(tmp_path: Path) -> None:
    (file,) = write(IMAGES, tmp_path / "grid.png", columns=3, grid=True)
    pixels = np.asarray(Image.open(file))
    assert pixels.shape == (2 * 10 - 2, 3 * 8 - 2, 3)
    assert np.array_equal(pixels, tile(IMAGES, 3))
    assert np.array_equal(pixels[10:18, 8:14], IMAGES[4])


@pytest.mark.parametrize(
    ("name", "message"), [("cat.bmp", "unknown image format '.bmp'"), ("no/cat.png", "is no folder")]
)
def test_bad_names_are_one_line(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        write(IMAGES, tmp_path / name, columns=1, grid=False)

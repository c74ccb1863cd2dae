"""Image files: names, grids and formats."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from runtime.images import fit, read, tile, write
from runtime.provenance import Provenance, together

SOURCES = [Provenance({"prompt": f"cat {number % 2}"}, number, 1, "tiny", "1f") for number in range(5)]
IMAGES = np.random.default_rng(0).integers(0, 255, (5, 8, 6, 3), dtype=np.uint8)


def test_several_images_are_numbered(tmp_path: Path) -> None:
    files = write(IMAGES, SOURCES, tmp_path / "cat.png")
    assert [file.name for file in files] == [f"cat-{number}.png" for number in range(5)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name for file in files]
    assert all(np.array_equal(np.asarray(Image.open(file)), image) for file, image in zip(files, IMAGES, strict=True))
    assert [Image.open(file).info["seed"] for file in files] == ["0", "1", "2", "3", "4"]


def test_a_grid_holds_every_image_in_reading_order(tmp_path: Path) -> None:
    (file,) = write(tile(IMAGES, 3)[None], [together(SOURCES)], tmp_path / "grid.png")
    assert Image.open(file).info["prompt"] == "cat 0 | cat 1"
    pixels = np.asarray(Image.open(file))
    assert pixels.shape == (2 * 10 - 2, 3 * 8 - 2, 3)
    assert np.array_equal(pixels, tile(IMAGES, 3))
    assert np.array_equal(pixels[10:18, 8:14], IMAGES[4])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cat.bmp", "unknown image format '.bmp'"),
        ("no/cat.png", "is no folder"),
        ("folder.png", "is a folder; accepted"),
    ],
)
def test_bad_names_are_one_line(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadInput, match=message):
        write(IMAGES, SOURCES, tmp_path / name)


def test_a_picture_to_start_from_is_upright_opaque_and_of_the_wanted_size(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[:, :30] = (255, 0, 0, 255)  # red on the left, nothing on the right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is left is then on top
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    found = read(tmp_path / "a.png", (8, 16))
    assert found.shape == (16, 8, 3) and found.dtype == np.uint8
    assert found[2, 4].tolist() == [255, 0, 0] and found[-3, 4].tolist() == [255, 255, 255]


def test_a_picture_of_the_size_itself_is_not_touched() -> None:
    assert np.array_equal(fit(Image.fromarray(IMAGES[0]), (6, 8)), IMAGES[0])


def test_what_is_no_picture_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no image .*nowhere\.png"):
        read(tmp_path / "nowhere.png", (8, 8))
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for content in (b"", b"GIF89a", whole[: len(whole) // 2]):
        (tmp_path / "b.png").write_bytes(content)
        with pytest.raises(BadInput, match=r"b\.png is no image that can be read"):
            read(tmp_path / "b.png", (8, 8))
    row = struct.pack(">II", 20_000, 20_000)
    head = b"IHDR" + row + whole[24:29]
    (tmp_path / "bomb.png").write_bytes(whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:])
    with pytest.raises(BadInput, match=r"bomb\.png has too many pixels; at most \d+ are accepted"):
        read(tmp_path / "bomb.png", (8, 8))

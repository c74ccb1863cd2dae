"""Photographs as phones make them: large, turned by EXIF, several in one file, HEIC by its name."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from runtime.images import MAX_JPEG_PIXELS, MAX_PIXELS, decode, open_picture, provenance_in

TURNED = Image.Exif()
TURNED[0x0112] = 6  # the camera was held upright


def halves(width: int, height: int) -> Image.Image:
    """Red above blue."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (0, height // 2, width, height))
    return image


def file(image: Image.Image, format: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, format, **options)
    return content.getvalue()


def test_a_photograph_of_twelve_million_pixels_is_read_small_and_upright() -> None:
    photograph = file(halves(4032, 3024).rotate(90, expand=True), "JPEG", exif=TURNED)  # EXIF turns it back
    picture = open_picture(photograph)
    assert picture.size == (2016, 1512)
    pixels = decode(photograph, (8, 8))
    assert (pixels[:3, :, 0] > 250).all() and (pixels[5:, :, 2] > 250).all()


BROKEN_EXIF = (
    b"MM\0\x7f\0\0\0\x08",  # its head
    b"MM\0*\0\0\0\x08\0\x02\x01\x01\0\x02\0\0\0\x02d\0\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",  # a text as height
)


@pytest.mark.parametrize("broken", BROKEN_EXIF)
def test_damaged_exif_says_nothing_of_a_picture_that_is_whole(broken: bytes) -> None:
    """Pillow raises what a server answered with 500."""
    damaged = file(halves(64, 48), "JPEG", exif=b"Exif\0\0" + broken)
    assert decode(damaged, (8, 8))[0, 0, 0] > 250


def test_a_description_that_is_a_number_says_nothing() -> None:
    number = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0e\0\x03\0\0\0\x01\0\x05\0\0\0\0\0\0"
    assert provenance_in(file(halves(64, 48), "JPEG", exif=number)) == {}


def test_of_several_pictures_in_a_file_the_first_is_read() -> None:
    several = file(halves(64, 48), "MPO", save_all=True, append_images=[Image.new("RGB", (32, 24), "green")])
    assert open_picture(several).size == (64, 48)
    assert decode(several, (8, 8))[0, 0, 0] > 250


@pytest.mark.parametrize(
    ("mode", "format"), [("CMYK", "JPEG"), ("L", "JPEG"), ("LA", "PNG"), ("P", "PNG"), ("1", "PNG")]
)
def test_every_kind_of_pixel_is_read(mode: str, format: str) -> None:
    assert decode(file(Image.new("RGB", (8, 8), "white").convert(mode), format), (4, 4)).min() > 250


def test_sixteen_bits_keep_their_brightness() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    assert np.unique(decode(file(grey, "PNG"), (4, 4))).tolist() == [128]


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0qt  ", "a video"),
        (b"GIF89a", "GIF"),
        (b"II*\0", "TIFF"),
        (b"  <svg xmlns", "SVG"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_formats_are_refused_by_name(start: bytes, name: str) -> None:
    with pytest.raises(BadInput, match=rf"^photo is {name}, which is not read; accepted: PNG, JPEG or WebP$"):
        open_picture(start + bytes(64), "photo")


def test_too_many_pixels_are_refused_before_they_are_read() -> None:
    photograph = bytearray(file(halves(16, 16), "JPEG"))
    frame = photograph.index(b"\xff\xc0")
    photograph[frame + 5 : frame + 9] = b"\x24\x00\x24\x00"  # 9216x9216
    with pytest.raises(BadInput, match=f"9216x9216 pixels; at most {MAX_JPEG_PIXELS} are accepted"):
        open_picture(bytes(photograph))


def test_what_a_huge_picture_says_is_not_read_either() -> None:
    """A PNG is decoded for its EXIF: 13,000 pixels square fit into 700 kB, and took 680 MB."""
    with pytest.raises(BadInput, match=f"5000x5000 pixels; at most {MAX_PIXELS} are accepted"):
        provenance_in(file(Image.new("1", (5000, 5000)), "PNG"))


def test_a_cut_photograph_is_one_line() -> None:
    photograph = file(halves(400, 300), "JPEG")
    with pytest.raises(BadInput, match=r"^image cannot be read; accepted: PNG, JPEG or WebP$"):
        open_picture(photograph[: len(photograph) // 2])

"""PNG files, read by Pillow."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runtime.png import png


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99), flip=st.booleans())
def test_pillow_reads_the_same_pixels(height: int, width: int, seed: int, flip: bool) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels = pixels[::-1, :, ::-1] if flip else pixels
    with Image.open(io.BytesIO(png(pixels))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (width, height))
        assert np.array_equal(np.asarray(picture), pixels)


def test_chunks_come_before_the_pixels() -> None:
    file = png(np.zeros((2, 3, 3), np.uint8), [(b"tEXt", b"seed\x007"), (b"iTXt", b"prompt\0\0\0\0\0\xc3\xbc")])
    assert file.index(b"tEXt") < file.index(b"iTXt") < file.index(b"IDAT")
    with Image.open(io.BytesIO(file)) as picture:
        assert picture.info == {"seed": "7", "prompt": "ü"}
        picture.verify()  # every chunk's checksum

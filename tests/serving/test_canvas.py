"""Sizes and masks of any proportions: answers have the size asked for, and a picture's place in them stays."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from runtime.shapes import nearest_size
from serving import canvas
from serving.refused import Refused

SIDES = st.integers(1, 40)
SIZES = st.tuples(SIDES, SIDES)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.booleans())
def test_answers_have_the_size_asked_for(drawn: tuple[int, int], answered: tuple[int, int], covers: bool) -> None:
    """And of one colour where the drawing is: nothing is put beside it but its own border."""
    pixels = np.full((drawn[1], drawn[0], 3), (200, 30, 90), np.uint8)
    answer = canvas.finish(pixels, answered, Image.Resampling.LANCZOS, covers, None)
    assert answer.shape == (answered[1], answered[0], 3) and (answer == (200, 30, 90)).all()


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.booleans(), st.sampled_from([0.0, 2.0]), st.integers(0, 99))
def test_a_mask_keeps_what_it_keeps(
    model: tuple[int, int], answered: tuple[int, int], inverted: bool, blur: float, seed: int
) -> None:
    """Whatever was drawn: a picture of the answer's size is there to the bit where the mask says so, and there alone."""
    shown = noise(answered, seed)
    mask = np.random.default_rng(seed).integers(0, 2, (answered[1], answered[0]), dtype=np.uint8) * 255
    file = png(Image.fromarray(mask))
    start, kept = canvas.start(png(shown), model, answered, canvas.Mask(file, inverted=inverted, blur=blur))
    assert start.shape == (model[1], model[0], 3) and kept is not None
    black, white = (
        canvas.finish(np.full(start.shape, value, np.uint8), answered, Image.Resampling.LANCZOS, True, kept)
        for value in (0, 255)
    )
    stays = (mask == 0) != inverted
    assert (black[stays] == np.asarray(shown)[stays]).all() and (white[stays] == np.asarray(shown)[stays]).all()
    if not blur:
        assert (black[~stays] == 0).all() and (white[~stays] == 255).all()


def test_what_starts_from_a_picture_of_another_shape_comes_back_in_its_place() -> None:
    """The model draws squares and draws what it is given: the answer is the picture again."""
    columns = np.repeat(np.arange(96) // 12 % 2 * 255, 3).reshape(1, 96, 3).astype(np.uint8)
    shown = Image.fromarray(columns.repeat(24, 0))
    start, _ = canvas.start(png(shown), (96, 96), (96, 24), None)
    answer = canvas.finish(start, (96, 24), Image.Resampling.LANCZOS, True, None)
    assert np.array_equal(answer, np.asarray(shown))


def test_a_drawing_lies_whole_in_a_wider_answer() -> None:
    drawn = np.asarray(noise((8, 8)))
    answer = canvas.finish(drawn, (32, 16), Image.Resampling.NEAREST, False, None)
    assert np.array_equal(answer[:, 8:24], drawn.repeat(2, 0).repeat(2, 1))
    assert (answer[:, :8] == answer[:, 8:9]).all() and (answer[:, 24:] == answer[:, 23:24]).all()


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [((512, 512), (64, 64)), ((40, 40), (32, 32)), ((1536, 1024), (96, 64)), ((64, 64), (64, 64)), ((1, 9), (64, 96))],
)
def test_the_nearest_size_is_the_nearest_in_shape_then_in_area(
    asked: tuple[int, int], nearest: tuple[int, int]
) -> None:
    assert nearest_size(asked, [(32, 32), (64, 64), (96, 64), (64, 96)]) == nearest


def test_what_is_no_picture_names_its_key() -> None:
    for file, mask, key in ((b"no", png(noise((8, 8))), "image"), (png(noise((8, 8))), b"no", "mask")):
        with pytest.raises(Refused, match=f"^{key} cannot be read") as refused:
            canvas.start(file, (8, 8), (8, 8), canvas.Mask(mask))
        assert refused.value.key == key

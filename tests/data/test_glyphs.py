"""Glyphs stand whole on their background, without fringes, and faults of the font are seen."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data import glyphs
from tests.data.test_emoji import needs_font


@settings(max_examples=60, deadline=None)
@given(
    scale=st.floats(0.5, 1.5),
    shift=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
    tilt=st.floats(-180, 180),
    size=st.sampled_from([16, 32, 64, 200]),
)
def test_a_placed_glyph_never_touches_the_edge(
    scale: float, shift: tuple[float, float], tilt: float, size: int
) -> None:
    glyph = Image.new("RGBA", (136, 128))
    glyph.paste((255, 0, 0, 255), (10, 30, 130, 120))
    at = glyphs.Placement(scale, shift, tilt)
    picture = np.asarray(glyphs.composite(glyph, glyphs.outline(glyph), (0, 0, 255), at, size)).astype(int)
    assert picture.shape == (size, size, 3)
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert edge[:, 0].max() <= 255 * 0.75  # at most what half a pixel of margin lets through
    assert (picture[..., 0] > 128).sum() > 0.1 * size**2


def test_a_half_transparent_edge_has_no_fringe() -> None:
    glyph = Image.new("RGBA", (136, 128))  # transparent black outside: blended unpremultiplied it would darken the edge
    glyph.paste((200, 200, 200, 255), (30, 30, 100, 100))
    at = glyphs.Placement(0.9, (0.3, 0.7), 7)
    picture = np.asarray(glyphs.composite(glyph, glyphs.outline(glyph), (200, 200, 200), at, 64)).astype(int)
    assert np.abs(picture - 200).max() <= 1


@needs_font
def test_an_unjoined_sequence_is_a_fault() -> None:
    font = glyphs.open_font(None)
    assert glyphs.fault(font, "👩‍🚀", glyphs.draw(font, "👩‍🚀")) is None
    pair = "😀\u200d😀"
    assert "several glyphs" in str(glyphs.fault(font, pair, glyphs.draw(font, pair)))
    assert "blank" in str(glyphs.fault(font, "\U000f0000", glyphs.draw(font, "\U000f0000")))

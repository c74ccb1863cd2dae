"""Drawing an icon: whole, centred, as large as the others, and nothing of it beyond its edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import BadInput
from data import icon_drawing
from data.icon_drawing import Box, extent, fit, on_ground, rasterize, standing_out, thumbnail, view, view_like
from data.icon_sets import Icon, IconSet
from tests.data.sample_icons import SAMPLE, SETS

RED = (217, 83, 79)
edges = st.floats(0, 256).map(lambda value: round(value, 2))


def rectangle(left: float, top: float, right: float, bottom: float) -> Icon:
    path = f'<path fill="#d9534f" d="M{left} {top}H{right}V{bottom}H{left}Z"/>'
    return Icon("rectangle", path, 0, 0, 256, 256)


boxes = st.tuples(edges, edges, edges, edges).map(
    lambda four: Box(min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3]))
).filter(lambda box: min(box.right - box.left, box.bottom - box.top) > 12 and box.longest > 80)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(boxes, st.sampled_from((64, 128)))
def test_whatever_its_place_and_size_a_thing_is_centred_and_fills_the_frame(box: Box, size: int) -> None:
    drawing = rasterize(rectangle(box.left, box.top, box.right, box.bottom))
    found = extent(drawing)
    assert found is not None
    shown = extent(fit(drawing, view(found), size))
    assert shown is not None
    assert shown.longest == pytest.approx(size * 15 / 16, abs=3)
    assert (shown.left + shown.right) / 2 == pytest.approx(size / 2, abs=1.5)
    assert (shown.top + shown.bottom) / 2 == pytest.approx(size / 2, abs=1.5)


@settings(max_examples=100, deadline=None)
@given(boxes, boxes)
def test_a_face_keeps_the_place_of_its_set_unless_something_would_be_cut_off(face: Box, thing: Box) -> None:
    shown = view_like(face, thing)
    side = shown.right - shown.left
    rim = side / 128 - 1e-6
    assert shown.left + rim <= thing.left and thing.right <= shown.right - rim
    assert shown.top + rim <= thing.top and thing.bottom <= shown.bottom - rim
    inside = Box(
        max(face.left, thing.left),
        max(face.top, thing.top),
        min(face.right, thing.right),
        min(face.bottom, thing.bottom),
    )
    if inside == thing:
        assert side == pytest.approx(face.longest * 32 / 29)
        assert shown.left + shown.right == pytest.approx(face.left + face.right)


def test_faces_of_every_set_lie_on_one_another() -> None:
    centres = []
    for name in SETS:
        icon = IconSet(name, SAMPLE).find("😀", ("grinning-face",))
        assert icon is not None
        drawing = rasterize(icon)
        face = extent(drawing)
        assert face is not None
        shown = extent(fit(drawing, view_like(face, face), 128))
        assert shown is not None
        centres.append((shown.left, shown.top, shown.right, shown.bottom))
    assert np.ptp(np.array(centres), axis=0).max() <= 2


def test_a_ground_is_one_plain_colour_up_to_the_thing() -> None:
    drawing = rasterize(rectangle(64, 96, 192, 160))
    picture = fit(drawing, view(Box(64, 96, 192, 160)), 128)
    shown = np.asarray(on_ground(picture, (91, 155, 230)))
    assert shown.shape == (128, 128, 3)
    assert (shown[:30] == (91, 155, 230)).all() and (shown[:, :2] == (91, 155, 230)).all()
    assert (shown[50:78, 10:118] == RED).all()


def test_a_thing_stands_out_from_other_colours_alone() -> None:
    picture = fit(rasterize(rectangle(0, 0, 128, 128)), Box(-10, -10, 138, 138), 64)
    assert standing_out(picture, RED) == 0
    assert standing_out(picture, (250, 170, 205)) == 1
    assert standing_out(np.zeros((8, 8, 4), np.uint8), RED) == 0


def test_thumbnails_tell_things_apart_and_not_what_is_hidden() -> None:
    drawings = [rasterize(rectangle(0, 0, right, 200)) for right in (200, 200, 150)]
    drawings[1][drawings[1][..., 3] == 0] = (9, 99, 9, 0)
    first, hidden, other = (thumbnail(drawing) for drawing in drawings)
    assert np.abs(first - hidden).max() <= 1
    assert np.sqrt(((first - other) ** 2).mean()) > 10


def test_what_shows_nothing_has_no_extent_and_what_is_no_svg_is_refused() -> None:
    assert extent(rasterize(Icon("blank", "<g/>", 0, 0, 32, 32))) is None
    with pytest.raises(BadInput, match="icon 'broken' is no SVG that can be drawn"):
        rasterize(Icon("broken", "<path", 0, 0, 32, 32))


def test_small_units_are_drawn_at_a_whole_number_of_pixels() -> None:
    assert rasterize(Icon("twemoji", "<g/>", 0, 0, 36, 36)).shape == (288, 288, 4)
    assert rasterize(Icon("tall", "<g/>", 0, 0, 32, 33)).shape[0] % 33 == 0
    assert icon_drawing.rasterize(Icon("noto", "<g/>", 0, 0, 128, 128)).shape == (256, 256, 4)

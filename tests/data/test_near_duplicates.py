"""The same picture in another size, format or light is a twin; another picture is none, however alike their backgrounds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance

from base.errors import BadInput
from data.avatars import characters
from data.avatars_art import draw
from data.build import build
from data.near_duplicates import BITS, Twins, fingerprint
from tests.data.pictures import built, captioned, picture, why

NEAR = 12


def drawn(seed: int, side: int = 96) -> Image.Image:
    """A few coloured shapes on white, as sprites are."""
    generator = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        left, top = generator.integers(0, side * 2 // 3, 2)
        width, height = generator.integers(side // 8, side // 2, 2)
        draw.ellipse((left, top, left + width, top + height), fill=tuple(generator.integers(0, 230, 3).tolist()))
    return image


def distance(one: Image.Image, other: Image.Image) -> int:
    return int((fingerprint(one).look != fingerprint(other).look).sum())


def jpeg(image: Image.Image) -> Image.Image:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=75)
    return Image.open(written)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_another_size_format_or_light_is_a_twin_and_another_picture_is_none(seed: int) -> None:
    image = drawn(seed)
    assert distance(image, image.resize((64, 64), Image.Resampling.LANCZOS)) <= NEAR
    assert distance(image, jpeg(image)) <= NEAR
    assert distance(image, ImageEnhance.Brightness(image).enhance(0.95)) <= NEAR
    assert distance(image, drawn(seed + 1)) > NEAR


def test_the_same_shape_in_another_colour_is_no_twin() -> None:
    red, blue = (Image.new("RGB", (40, 40), "white") for _ in range(2))
    red.paste((220, 30, 30), (10, 10, 30, 30))
    blue.paste((30, 30, 220), (10, 10, 30, 30))
    assert distance(red, blue) > NEAR


def test_the_first_of_many_is_named() -> None:
    twins = Twins(NEAR)
    assert [twins.find(fingerprint(drawn(seed)), str(seed)) for seed in range(150)] == [None] * 150
    assert twins.find(fingerprint(drawn(130)), "again") == ("130", "same pixels as another image")
    assert twins.find(fingerprint(jpeg(drawn(131))), "again") == ("131", "nearly the same pixels as another image")
    assert Twins().find(fingerprint(jpeg(drawn(131))), "alone") is None


def test_near_duplicates_are_dropped_where_it_is_asked_for(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for seed in range(4):
        captioned(source, f"{seed}.png", drawn(seed), f"picture {seed}")
    captioned(source, "smaller.png", drawn(2).resize((48, 48)), "picture 2, smaller")
    captioned(source, "twin.bmp", drawn(3), "picture 3 again")
    report = build(source, tmp_path / "out", size=16, near=NEAR)
    assert sorted(built(report)) == ["0.png", "1.png", "2.png", "3.png"]
    assert why(report) == {
        "smaller.png (same as 2.png)": "nearly the same pixels as another image",
        "twin.bmp (same as 3.png)": "same pixels as another image",
    }
    assert report.parameters["near"] == NEAR
    plain = build(source, tmp_path / "plain", size=16)
    assert list(why(plain)) == ["twin.bmp (same as 3.png)"]


@pytest.mark.parametrize("near", [-1, BITS // 2])
def test_a_threshold_that_means_nothing_is_refused(tmp_path: Path, near: int) -> None:
    captioned(tmp_path / "in", "a.png", picture(0))
    with pytest.raises(BadInput, match=f"near {near}: accepted are 0 to 95"):
        build(tmp_path / "in", tmp_path / "out", size=16, near=near)


def test_different_creatures_on_white_stay(tmp_path: Path) -> None:
    """Their looks agree in the white alone: 12 bits would drop nearly all of them. A smaller copy of one still goes."""
    source = tmp_path / "in"
    rng = np.random.Generator(np.random.Philox(key=0))
    for number, character in zip(range(120), characters(rng), strict=False):
        image = Image.new("RGB", (224, 224), "white")
        image.paste(Image.fromarray(draw(character)).resize((72, 72), Image.Resampling.NEAREST), (76, 76))
        captioned(source, f"{number:03d}.png", image, ", ".join(character.attributes))
        if number == 7:
            captioned(source, "smaller.png", image.resize((160, 160), Image.Resampling.LANCZOS), "again")
    report = build(source, tmp_path / "out", size=16, near=NEAR)
    assert "smaller.png (same as 007.png)" in why(report) and len(why(report)) <= 4
    assert not any("near duplicates" in note for note in report.notes)


def test_where_a_tenth_goes_it_is_said(tmp_path: Path) -> None:
    for seed in range(4):
        captioned(tmp_path / "in", f"{seed}.png", drawn(seed), f"picture {seed}")
    captioned(tmp_path / "in", "smaller.png", drawn(2).resize((48, 48)), "picture 2, smaller")
    report = build(tmp_path / "in", tmp_path / "out", size=16, near=NEAR)
    assert any(note.startswith("1 of 5 images were dropped as near duplicates") for note in report.notes)

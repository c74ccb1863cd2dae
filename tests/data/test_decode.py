"""Every kind of image file comes out as upright RGB, over the background that was asked for."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from data.decode import UnreadableError, to_rgb


def _one(folder: Path, name: str, image: Image.Image, **save: object) -> np.ndarray:
    """The (32, 32, 3) pixels of an image saved as `name`, over orange; the same from the file and from its content."""
    path = folder / name
    image.save(path, **save)  # type: ignore[arg-type]
    pixels, again = (np.asarray(to_rgb(source, (255, 128, 0))) for source in (path, path.read_bytes()))
    assert pixels.shape == (32, 32, 3) and (pixels == again).all()
    return pixels.astype(int)


def test_transparency_lies_over_the_background(tmp_path: Path) -> None:
    half = Image.new("RGBA", (32, 32), (0, 0, 255, 0))
    half.paste((0, 0, 255, 255), (0, 0, 16, 32))
    keyed = half.convert("RGB")
    keyed.paste((9, 9, 9), (16, 0, 32, 32))
    palette = keyed.quantize(4)
    for name, image, save in [
        ("alpha.png", half, {}),
        ("alpha.webp", half, {"lossless": True}),
        ("grey.png", half.convert("LA"), {}),
        ("keyed.png", keyed, {"transparency": (9, 9, 9)}),
        ("palette.png", palette, {"transparency": palette.getpixel((31, 0))}),
        ("palette.gif", palette, {"transparency": palette.getpixel((31, 0))}),
    ]:
        pixels = _one(tmp_path, name, image, **save)
        assert (pixels[:, 16:] == (255, 128, 0)).all(), name
        grey = image.convert("L").getpixel((0, 0))
        assert np.abs(pixels[:, :16] - ((grey,) * 3 if name == "grey.png" else (0, 0, 255))).max() <= 2, name


def test_deep_pictures_keep_their_range(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 32), (32, 1))
    for name, values in [
        ("deep.png", ramp.astype(np.uint16)),
        ("deep.tif", ramp.astype(np.uint16)),
        ("long.tif", ramp.astype(np.int32)),
        ("float.tif", (ramp / 65535).astype(np.float32)),
    ]:
        pixels = _one(tmp_path, name, Image.fromarray(values))
        assert np.abs(pixels - np.linspace(0, 255, 32)[None, :, None]).max() <= 1, name


def test_other_modes_turned_and_moving_pictures(tmp_path: Path) -> None:
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    assert np.abs(_one(tmp_path, "cmyk.jpg", red.convert("CMYK")) - (255, 0, 0)).max() <= 6
    assert (_one(tmp_path, "bit.png", Image.new("1", (32, 32), 1)) == 255).all()
    green = [Image.new("RGB", (32, 32), (0, 255, 0))]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        more = {"lossless": True} if name == "moving.webp" else {}
        assert (_one(tmp_path, name, red, save_all=True, append_images=green, **more) == (255, 0, 0)).all(), name
    turned = red.copy()
    turned.paste((0, 255, 0), (0, 0, 32, 16))  # green above; the camera says: turn it clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = _one(tmp_path, "turned.jpg", turned, exif=exif, quality=95, subsampling=0)
    assert np.abs(pixels[:, 18:] - (0, 255, 0)).max() <= 12 and np.abs(pixels[:, :14] - (255, 0, 0)).max() <= 12


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("width", [40, 4000])
def test_images_beyond_pillows_limit_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, width: int) -> None:
    Image.new("RGB", (width, 40)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1599)
    with pytest.raises(UnreadableError, match="more than 1599 pixels"):
        to_rgb(tmp_path / "large.png")


def test_an_embedded_profile_is_heeded(tmp_path: Path) -> None:
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = plain.replace(b"rXYZ", b"XXXX", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"XXXX", b"gXYZ", 1)
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    assert np.abs(_one(tmp_path, "srgb.png", red, icc_profile=plain) - (255, 0, 0)).max() <= 1
    assert np.abs(_one(tmp_path, "swapped.png", red, icc_profile=swapped) - (0, 255, 0)).max() <= 1
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, profile in (("unfit.png", lab), ("broken.png", b"no profile")):
        assert (_one(tmp_path, name, red, icc_profile=profile) == (255, 0, 0)).all(), name


@settings(deadline=None)
@given(cut=st.integers(0, 400), at=st.integers(0, 399), flip=st.integers(1, 255))
def test_damage_is_never_anything_but_unreadable(cut: int, at: int, flip: int) -> None:
    content = io.BytesIO()
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(content, "png")
    damaged = bytearray(content.getvalue()[:cut])
    if at < len(damaged):
        damaged[at] ^= flip
    try:
        assert to_rgb(bytes(damaged)).mode == "RGB"
    except UnreadableError as reason:
        assert str(reason)


def test_exif_that_cannot_be_turned_is_damage() -> None:
    """Of a height that is text, Pillow raises what none of its files raise otherwise."""
    exif = b"MM\0*\0\0\0\x08\0\x02\x01\x01\0\x02\0\0\0\x02d\0\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    content = io.BytesIO()
    Image.new("RGB", (6, 4)).save(content, "JPEG", exif=b"Exif\0\0" + exif)
    with pytest.raises(UnreadableError, match="damaged"):
        to_rgb(content.getvalue())

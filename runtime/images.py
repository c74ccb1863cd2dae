"""Pixels → PNG, JPEG or WebP with their provenance inside, and files → images to start from; it knows nothing about what draws.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from base.errors import BadInput
from base.files import atomic_file
from runtime.formats import ENDINGS, QUALITY, Format
from runtime.png import png
from runtime.provenance import Provenance

MAX_PIXELS = 1 << 24
"""Most pixels of an image that a client sends: a small file can hold a huge image."""
MAX_JPEG_PIXELS = 1 << 26
"""The same of a JPEG, which is read at a fraction of its size: photographs of phones have up to 50 million."""
LARGE_JPEG = 1 << 23
"""From so many pixels on it is."""
READ_SIDE = 1024
"""No side is read with fewer pixels then."""
BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
}
"""What stands at the fourth byte of files of the ISO family, behind `ftyp`."""
STARTS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG",
}
STARTS |= {b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL"}


def encode(
    pixels: NDArray[np.uint8], format: Format, provenance: Provenance | None = None, quality: int = QUALITY
) -> bytes:
    """Pixels `(H, W, 3)` → a file's bytes. PNG carries provenance as text chunks, JPEG and WebP as JSON in EXIF; all as XMP.

    PNG is level 1 and WebP method 0: several times faster than the defaults for some per cent of size.
    """
    if format == "png":
        return png(pixels, provenance.text_chunks() if provenance else ())
    file, metadata = io.BytesIO(), {"exif": provenance.exif(), "xmp": provenance.xmp()} if provenance else {}
    Image.fromarray(pixels).save(file, format.upper(), quality=quality, method=0, **metadata)
    return file.getvalue()


def decode(file: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A client's PNG, JPEG or WebP → `(H, W, 3)` of `size` (W, H), as `fit` makes it. BadInput: as `open_picture`."""
    return fit(open_picture(file), size)


def open_picture(file: bytes, what: str = "image") -> Image.Image:
    """A client's PNG, JPEG (of several pictures the first) or WebP, read and upright; a large JPEG at a fraction of its size.

    BadInput, which calls it `what`: another format, by its name; too many pixels; a file that is cut.
    """
    with _opened(file, what) as picture:
        if _is_jpeg(picture) and picture.width * picture.height > LARGE_JPEG:
            picture.draft(None, (READ_SIDE, READ_SIDE))
        return _upright(picture)


def provenance_in(file: bytes) -> dict[str, str]:
    """What a client's file says of how it was made, by name: a PNG's text chunks, or of a JPEG or WebP what EXIF holds.

    BadInput: as `open_picture`.
    """
    with _opened(file, "image") as picture:
        said = {str(name): text for name, text in picture.info.items() if isinstance(text, str)}
        exif = picture.getexif()
        description = exif.get(ExifTags.Base.ImageDescription)
        comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if isinstance(comment, bytes) and comment.startswith(b"UNICODE\0"):  # as Automatic1111 writes JPEGs
        said["parameters"] = comment[8:].decode("utf-16-be", "replace")
    with suppress(ValueError, TypeError, RecursionError):  # no JSON, or a description that is a number
        fields = json.loads(description or "null")
        said |= {str(name): str(value) for name, value in fields.items()} if isinstance(fields, dict) else {}
    return said


@contextmanager
def _opened(file: bytes, what: str) -> Iterator[Image.Image]:
    """A picture of one of the formats that are read, not decoded yet. BadInput: as `open_picture`."""
    try:
        with Image.open(io.BytesIO(file), formats=("PNG", "JPEG", "WEBP")) as picture:
            most = MAX_JPEG_PIXELS if _is_jpeg(picture) else MAX_PIXELS
            if picture.width * picture.height > most:
                raise BadInput(f"{what} has {picture.width}x{picture.height} pixels; at most {most} are accepted")
            yield picture
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise BadInput(_too_many(what)) from error
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        kind = _other_format(file)
        said = f"{what} is {kind}, which is not read" if kind else f"{what} cannot be read"
        raise BadInput(f"{said}; accepted: PNG, JPEG or WebP") from error


def _is_jpeg(picture: Image.Image) -> bool:
    return picture.format in ("JPEG", "MPO")


def _too_many(what: str) -> str:
    return f"{what} has too many pixels; at most {MAX_JPEG_PIXELS} are accepted"


def _other_format(file: bytes) -> str | None:
    """The name of a format that people send and nobody reads here, by its first bytes."""
    if file[4:8] == b"ftyp":
        brands = [file[start : start + 4] for start in (8, *range(16, min(len(file), 64), 4))]
        return next((name for brand, name in BRANDS.items() if brand in brands), "a video")
    return next((name for start, name in STARTS.items() if file.lstrip().startswith(start)), None)


def write(images: NDArray[np.uint8], provenance: Sequence[Provenance], out: Path) -> list[Path]:
    """Write images `(N, H, W, 3)` and where each came from as `out`, or where there are several as `out-0`, `out-1`, …

    BadInput: as `check_out`.
    """
    format, names = check_out(out), written(out, len(images))
    for file, image, source in zip(names, images, provenance, strict=True):
        with atomic_file(file) as hidden:
            hidden.write_bytes(encode(image, format, source))
    return names


def written(out: Path, count: int) -> list[Path]:
    """The files that so many images are written as: `out`, or where there are several `out-0`, `out-1`, …"""
    return [out] if count == 1 else [out.with_stem(f"{out.stem}-{number}") for number in range(count)]


def check_out(out: Path) -> Format:
    """The format of a file to write, by its ending. BadInput: another ending, no such folder, or one in its place."""
    if out.suffix.lower() not in ENDINGS:
        raise BadInput(f"{out}: unknown image format '{out.suffix}'; accepted: {', '.join(ENDINGS)}")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder")
    if out.is_dir():
        raise BadInput(f"{out} is a folder; accepted: a file to write")
    return ENDINGS[out.suffix.lower()]


def read(file: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image file → `(H, W, 3)` of `size` (W, H), upright, as `fit` makes it. BadInput: none, a folder, or too large."""
    if file.is_dir():
        raise BadInput(f"{file} is a folder; accepted: one picture")
    try:
        with Image.open(file) as picture:
            return fit(_upright(picture), size)
    except FileNotFoundError as error:
        raise BadInput(f"no image {file}") from error
    except Image.DecompressionBombError as error:
        raise BadInput(_too_many(str(file))) from error
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise BadInput(f"{file} is no image that can be read") from error


def fit(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """`(H, W, 3)` of `size` (W, H): transparency on white, the middle cut out, then scaled."""
    return np.array(ImageOps.fit(opaque(picture), size, Image.Resampling.LANCZOS))


def _upright(picture: Image.Image) -> Image.Image:
    """As its EXIF wants it shown; damaged EXIF says nothing of a picture that is whole."""
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):  # what Pillow stumbles over in there
        return picture.copy()


def opaque(picture: Image.Image) -> Image.Image:
    """In RGB, with what is transparent on white."""
    shown = unpacked(picture)
    if shown.mode == "RGBA":
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")
    return shown


def unpacked(picture: Image.Image) -> Image.Image:
    """In RGB, or RGBA where something may be transparent: Pillow resizes no other kind as it is asked to."""
    if picture.mode.startswith("I;16"):  # Pillow would cut what is brighter than 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    transparent = picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
    return picture.convert("RGBA" if transparent else "RGB")


def tile(images: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """Images `(N, H, W, 3)` → one of all `(rows·(H + gap) − gap, columns·(W + gap) − gap, 3)`, row by row on white."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * (height + gap), number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas

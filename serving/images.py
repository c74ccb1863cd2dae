"""Pixels → PNG, JPEG or WebP with their provenance inside, and files that clients send → pixels; it knows no HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from base.errors import BadInput
from base.version import VERSION
from runtime import pictures
from serving.serve_config import QUALITY, Format

SOFTWARE = f"ippo {VERSION}"
MAX_PIXELS = 1 << 24
"""Most pixels of a picture that a client sends: a small file can hold a huge picture."""
TRAINED_ALGORITHM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for a picture that a generative model made."""
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">\
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType><xmp:CreatorTool>{software}</xmp:CreatorTool>\
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>\
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@dataclass(frozen=True)
class Provenance:
    """Where a picture came from: enough to draw it again."""

    inputs: Mapping[str, str]
    """`{"prompt": …}`, `{"label": …}` or `{"attributes": …}`, whichever the model was asked with."""
    seed: int
    steps: int
    model: str
    model_hash: str
    """SHA-256 of the bundle's manifest."""
    strength: float | None = None
    """Where the picture was made from another one."""
    software: str = SOFTWARE

    def fields(self) -> dict[str, str | int | float]:
        """Everything that is known, by name, as a file holds it."""
        others = ("seed", "steps", "strength", "model", "model_hash", "software")
        values = {name: getattr(self, name) for name in others}
        return {**self.inputs, **{name: value for name, value in values.items() if value is not None}}

    def xmp(self) -> bytes:
        """The XMP packet, which picture agencies, archives and networks read."""
        description = escape(json.dumps(self.fields()))  # ASCII, and so free of what XML cannot hold
        return XMP.format(source=TRAINED_ALGORITHM, software=escape(self.software), description=description).encode()


def encode(
    pixels: NDArray[np.uint8], format: Format, provenance: Provenance | None = None, quality: int = QUALITY
) -> bytes:
    """`pixels` (H, W, 3) → a file's bytes. PNG carries provenance as text chunks, JPEG and WebP as JSON in EXIF; all as XMP.

    PNG is level 1 and WebP method 0: five times faster than the defaults for a few per cent of size.
    """
    image, file = Image.fromarray(pixels), io.BytesIO()
    if format == "png":
        image.save(file, "PNG", compress_level=1, pnginfo=_text_chunks(provenance) if provenance else None)
    else:
        metadata = {"exif": _exif(provenance), "xmp": provenance.xmp()} if provenance else {}
        image.save(file, format.upper(), quality=quality, method=0, **metadata)
    return file.getvalue()


def decode(file: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A client's PNG, JPEG or WebP → (H, W, 3) of `size` (W, H), the middle of it. Raises BadInput."""
    try:
        with Image.open(io.BytesIO(file), formats=("PNG", "JPEG", "WEBP")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadInput(f"image has {picture.width}x{picture.height} pixels; at most {MAX_PIXELS} are accepted")
            return pictures.fit(picture, size)
    except BadInput:
        raise
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadInput("image cannot be read; accepted: PNG, JPEG or WebP") from error


def _text_chunks(provenance: Provenance) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for name, value in provenance.fields().items():
        chunks.add_text(name, str(value))
    chunks.add_itxt("XML:com.adobe.xmp", provenance.xmp().decode())
    return chunks


def _exif(provenance: Provenance) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = json.dumps(provenance.fields())  # ASCII, as EXIF wants it
    exif[ExifTags.Base.Software] = provenance.software
    return exif

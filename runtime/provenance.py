"""Where an image came from, and how a file says so: text chunks, EXIF, XMP, a comment. It knows neither pixels nor HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from PIL import ExifTags, Image, PngImagePlugin

from base.version import VERSION

if TYPE_CHECKING:
    from models.task import Task
    from runtime.generator import Request

SOFTWARE = f"ippo {VERSION}"
TRAINED_ALGORITHM = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for an image that a generative model made."""
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">\
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType><xmp:CreatorTool>{software}</xmp:CreatorTool>\
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>\
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@dataclass(frozen=True)
class Provenance:
    """Where an image came from: enough to draw it again."""

    inputs: Mapping[str, str]
    """`{"prompt": …}`, `{"label": …}` or `{"attributes": …}`, whichever the model was given."""
    seed: int
    steps: int
    model: str
    model_hash: str | None
    """SHA-256 of the bundle's manifest; None: it was drawn by a run."""
    strength: float | None = None
    """Where the image was made from another one."""
    guidance: float | None = None
    """Guidance of a teacher; a student has none."""
    sampler: str | None = None
    """Sampler of a teacher; a student has one of its own."""
    software: str = SOFTWARE
    further: Mapping[str, str | float] = field(default_factory=dict)
    """What else the request held, by its key: a mix, and of each picture to draw from its fingerprint."""

    def fields(self) -> dict[str, str | int | float]:
        """Everything that is known, by name, as a file holds it."""
        others = ("seed", "steps", "strength", "guidance", "sampler", "model", "model_hash", "software")
        values = {name: getattr(self, name) for name in others}
        return {**self.inputs, **self.further, **{name: value for name, value in values.items() if value is not None}}

    def as_json(self) -> str:
        """The fields as JSON in ASCII, which EXIF wants and XML can hold."""
        return json.dumps(self.fields())

    def xmp(self) -> bytes:
        """The XMP packet, which picture agencies, archives and networks read."""
        description = escape(self.as_json())
        return XMP.format(source=TRAINED_ALGORITHM, software=escape(self.software), description=description).encode()

    def text_chunks(self) -> list[tuple[bytes, bytes]]:
        """A PNG's text chunks, one a field, and its XMP: type and content of each."""
        chunks = PngImagePlugin.PngInfo()
        for name, value in self.fields().items():
            chunks.add_text(name, str(value))
        chunks.add_itxt("XML:com.adobe.xmp", self.xmp().decode())
        return [(kind, content) for kind, content, _ in chunks.chunks]

    def exif(self) -> Image.Exif:
        """EXIF of a JPEG or WebP: all fields as JSON in the description."""
        exif = Image.Exif()
        exif[ExifTags.Base.ImageDescription] = self.as_json()
        exif[ExifTags.Base.Software] = self.software
        return exif


def of_request(task: Task, request: Request, steps: int, model: str, model_hash: str) -> Provenance:
    """Where the image of a request comes from that a bundle drew: whoever asks, server, command line or page, says the same."""
    strength = None if request.image is None else request.strength
    inputs = task.shown(request.input)
    return Provenance(inputs, request.seed, steps, model, model_hash, strength, further=request.further)


def told(further: Mapping[str, Any]) -> dict[str, str | float]:
    """A request's further values as provenance tells them: of a file the first 16 digits of its SHA-256, as of `sha256sum`."""
    return {
        name: hashlib.sha256(value).hexdigest()[:16] if isinstance(value, bytes) else value
        for name, value in further.items()
    }


def together(sources: Sequence[Provenance]) -> Provenance:
    """The provenance of one picture that shows several images: every input once, and the first seed."""
    first = sources[0]
    inputs = {name: " | ".join(dict.fromkeys(source.inputs[name] for source in sources)) for name in first.inputs}
    return replace(first, inputs=inputs)

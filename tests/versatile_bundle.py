"""A tiny versatile bundle without graphs, which `backend: eager` runs: what serves it is tested without ten exports."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from export import write_bundle
from models import folder as folders
from runtime.manifest import MANIFEST
from tests import tiny

NAME = "both"


def write_versatile(out: Path, name: str = NAME, seed: int = 0) -> Path:
    """The folder of both students with the manifest that an export writes, but for graphs and their figures."""
    pipeline = tiny.versatile_student(seed)
    folders.save(pipeline, out)
    text = write_bundle._manifest(pipeline.siblings[0], out, {}, {}, name)
    flows = {text.task: text.model_copy(update={"files": {}})}
    manifest = write_bundle._manifest(pipeline, out, {}, {}, name).model_copy(update={"flows": flows})
    (out / MANIFEST).write_text(manifest.model_dump_json())
    return out


def encoded(
    seed: int = 0, kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (16, 16), **options: Any
) -> bytes:
    """A picture of noise as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, kind, **options)
    return content.getvalue()


def base(file: bytes) -> str:
    return base64.b64encode(file).decode()


SHOWN = [
    {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base(encoded())}"}}],
    }
]
"""Messages of a chat with one picture."""

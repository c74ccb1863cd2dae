"""A tiny versatile bundle without graphs, which `backend: eager` runs: what serves it is tested without ten exports."""

from __future__ import annotations

from pathlib import Path

from export import write_bundle
from models import folder as folders
from runtime.bundle import MANIFEST
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

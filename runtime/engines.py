"""Engines that lie in a bundle, built ahead of time: the record of each, and which may be read here; it loads and runs none.

An engine is executable content. It is read only where its record is of this graph, these weights, this compute capability and
this version of the runtime, and its bytes are those that were written with the record.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from base.errors import BadInput
from base.files import leads_out

FOLDER = "engines"
log = logging.getLogger("ippo")


class Engine(BaseModel):
    """The record of one engine."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    graph: str
    """What it runs: `one_step`, `denoiser`, …"""
    file: str
    """Its path inside the bundle."""
    sha256: str
    """Of its bytes."""
    capabilities: tuple[str, ...]
    """Compute capabilities of the GPUs that it is for, e.g. `sm86`, `sm89`."""
    versions: dict[str, str]
    """Package that built it → its version."""
    key: str
    """Digest of all else that it depends on."""


def capabilities(engines: Sequence[Engine], graph: str) -> list[str]:
    """The compute capabilities for which a graph has an engine."""
    return [capability for engine in engines if engine.graph == graph for capability in engine.capabilities]


def parse(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """`sm86,sm89` → capabilities. BadInput: one that is not in `known`, or none."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not names or (unknown := [name for name in names if name not in known]):
        wrong = f"'{unknown[0]}'" if names else "''"
        raise BadInput(f"compute capability {wrong} is not one to build for; accepted: {', '.join(known)}")
    return names


def read(folder: Path, engines: Sequence[Engine], graph: str, capability: str, key: str) -> bytes | None:
    """The engine of a graph for GPUs of `capability`, if it is one of `key` and whole.

    None, and one line in the log that says why, where there is none that may be loaded.
    """
    try:
        return _checked(folder, engines, graph, capability, key)
    except BadInput as error:
        log.warning("no engine of %s is taken from %s: %s", graph, folder, error)
        return None


def _checked(folder: Path, engines: Sequence[Engine], graph: str, capability: str, key: str) -> bytes:
    """BadInput: there is none that may be loaded."""
    found = next((e for e in engines if e.graph == graph and capability in e.capabilities), None)
    if found is None:
        there = ", ".join(capabilities(engines, graph)) or "none"
        raise BadInput(f"there is none for {capability}; it holds: {there}")
    if found.key != key:
        made = ", ".join(f"{package} {version}" for package, version in found.versions.items())
        raise BadInput(f"{found.file} is of other graphs, plans or versions ({made})")
    if leads_out(found.file):
        raise BadInput(f"{found.file} lies outside of the bundle")
    try:
        content = (folder / found.file).read_bytes()
    except OSError as error:
        raise BadInput(f"{found.file} cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != found.sha256:
        raise BadInput(f"{found.file} was altered (SHA-256 differs)")
    return content

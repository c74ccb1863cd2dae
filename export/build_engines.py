"""Engines into a bundle, built ahead of time for GPUs that are not here; it knows no network and needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

from base.errors import BadInput
from base.files import atomic_file, write_text
from runtime import available, cache
from runtime import engines as engine_records
from runtime.bundle import Bundle
from runtime.engines import FOLDER, Engine
from runtime.manifest import MANIFEST
from runtime.signature import FUSED

BACKEND = "rtx"
"""Whose engines are built without their GPU."""
ENDING = ".engine"
ALONE = ("sm75",)
"""Compute capabilities that get an engine of their own."""


def check(names: str) -> tuple[str, ...]:
    """`sm86,sm89` → compute capabilities. BadInput: one that is unknown, or what builds engines is not installed."""
    return engine_records.parse(names, _builder().known())


def add(bundle: Bundle, capabilities: Sequence[str], graphs: Sequence[str] = (FUSED,)) -> Bundle:
    """Build engines of `graphs` into the bundle's folder: the bundle that has them, whose manifest is not written yet.

    A graph has one engine for all GPUs but Turing's, for which NVIDIA advises one of its own: an engine holds the weights,
    kernels come later. Compute capabilities that it was for already are kept. BadInput: NVIDIA's builder refuses a graph.
    """
    listed = bundle.manifest.engines
    if not capabilities:
        return bundle
    built = [engine for engine in listed if engine.graph not in graphs]
    for graph in graphs:
        known = {*capabilities, *engine_records.capabilities(listed, graph)}
        ordered = [name for name in _builder().known() if name in known]
        for group in ([name for name in ordered if name in ALONE], [name for name in ordered if name not in ALONE]):
            built += [_written(bundle, graph, group)] if group else []
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"engines": tuple(built)}))


def write_manifest(bundle: Bundle) -> None:
    """Write the manifest of a bundle that lies there already, and remove engines that it does not list any more.

    BadInput: its folder cannot be written to.
    """
    try:
        write_text(bundle.folder / MANIFEST, bundle.manifest.model_dump_json(indent=2) + "\n")
        listed = {bundle.folder / engine.file for engine in bundle.manifest.engines}
        for file in list((bundle.folder / FOLDER).glob(f"*/*{ENDING}")):
            if file not in listed:
                file.unlink()
                if not any(file.parent.iterdir()):
                    file.parent.rmdir()
    except OSError as error:
        raise BadInput(f"{bundle.folder} cannot be written: {error.strerror or error}") from error


def _written(bundle: Bundle, graph: str, capabilities: Sequence[str]) -> Engine:
    file = f"{FOLDER}/{'-'.join(capabilities)}/{graph}{ENDING}"
    content = _builder().built(bundle, graph, capabilities)
    try:
        (bundle.folder / file).parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(bundle.folder / file) as hidden:
            hidden.write_bytes(content)
    except OSError as error:
        raise BadInput(f"{bundle.folder / file} cannot be written: {error.strerror or error}") from error
    return Engine(
        graph=graph,
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        capabilities=tuple(capabilities),
        versions=_builder().versions(),
        key=cache.digest(_builder().key(bundle, graph)),
    )


def _builder() -> ModuleType:
    """The backend's own module. BadInput: what it needs is not installed; the line names the extra."""
    info = available.backends()[BACKEND]
    if not info.installed:
        raise BadInput(f"engines need {info.package}, which is not installed: pip install 'ippo[{info.extra}]'")
    from runtime import rtx

    return rtx

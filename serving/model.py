"""A bundle opened, warmed and named: what a request chooses; it knows nothing about queues or HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import MANIFEST, Manifest, open_bundle, sha256
from runtime.generator import Generator
from serving.serve_config import ServeConfig


@dataclass(frozen=True, eq=False)
class Model:
    """Equal to itself only, so that requests for a model and for the one that takes its place share no batch."""

    name: str
    alias: str | None
    """The operator's name, which the model that takes its place inherits."""
    hash: str
    """SHA-256 of the manifest, which holds that of every file."""
    generator: Generator

    @classmethod
    def open(cls, folder: Path, config: ServeConfig, alias: str | None = None) -> Self:
        """Load the bundle and run it once in every way it will be asked to. Raises BadInput."""
        bundle = open_bundle(folder)
        generator = Generator(bundle, backend.load(config.backend, bundle, BackendOptions(config.threads)))
        images = generator.takes_images and config.image_to_image
        generator.warm(config.sizes(fused=True), sizes=generator.sizes)
        generator.warm(config.sizes(fused=False), steps=(2,), sizes=generator.sizes, images=images)
        return cls(alias or bundle.manifest.model_name, alias, sha256(folder / MANIFEST), generator)

    @property
    def manifest(self) -> Manifest:
        return self.generator.bundle.manifest

    @property
    def title(self) -> str:
        """Name and the hash's start, as provenance and Automatic1111's clients show it."""
        return f"{self.name} [{self.hash[:10]}]"

"""The models that are served, by name: bundles opened, warmed, exchanged; it knows no queue and no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from base.errors import BadInput
from models.task import Task, doing, task_named, task_of
from models.tasks.image_to_text import ImageToText
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import open_bundle
from runtime.captioner import CaptionGenerator
from runtime.generator import Generator
from runtime.manifest import Manifest
from serving import prometheus
from serving.preflight import check_together
from serving.refused import Refused
from serving.serve_config import ServeConfig


@dataclass(frozen=True, eq=False)
class Model:
    """A bundle that draws. Equal to itself only: requests for it share no batch with those for the one that replaces it."""

    name: str
    alias: str | None
    """The operator's name for it, which the model that replaces it inherits."""
    hash: str
    """SHA-256 of the manifest as exported, which holds that of every file."""
    generator: Generator
    captioner: CaptionGenerator | None = None
    """What writes about pictures, where the bundle does that too."""

    @classmethod
    def open(cls, folder: Path, config: ServeConfig, alias: str | None = None) -> Self:
        """Load the bundle and run it once in every way it will be asked to. Raises BadInput."""
        bundle, options = open_bundle(folder), BackendOptions(config.threads, config.device)
        if task_named(bundle.manifest.task).output == "text":
            writer = CaptionGenerator(bundle, config.backend, options)
            writer.generator.warm(config.sizes(fused=True))
            return cls(alias or bundle.manifest.model_name, alias, bundle.hash, writer.generator, writer)
        generator = Generator(bundle, backend.load(config.backend, bundle, options))
        images = generator.takes_images and config.image_to_image
        generator.warm(config.sizes(fused=True), sizes=generator.sizes)
        generator.warm(config.sizes(fused=False), steps=(2,), sizes=generator.sizes, images=images)
        writes = doing(ImageToText.name, bundle.manifest.tasks) is not None
        captioner = CaptionGenerator(bundle, config.backend, options) if writes else None
        if captioner is not None:
            captioner.generator.warm(config.sizes(fused=True))
        return cls(alias or bundle.manifest.model_name, alias, bundle.hash, generator, captioner)

    @property
    def manifest(self) -> Manifest:
        return self.generator.bundle.manifest

    @cached_property
    def task(self) -> Task:
        """What the model is for, with the names that it knows."""
        return task_of(self.manifest)

    @property
    def title(self) -> str:
        """Name and the first ten digits of the hash, as Automatic1111's clients show a model."""
        return f"{self.name} [{self.hash[:10]}]"


class Registry:
    """The served models by name, all of one task; iterates over the models in the operator's order."""

    def __init__(self, models: Iterable[Model], config: ServeConfig) -> None:
        self.config = config
        self._by_name = {model.name: model for model in models}
        self._aliases = {alias: self.names.index(name) for alias, name in config.aliases.items()}
        self._swapping = asyncio.Lock()

    @classmethod
    def open(cls, config: ServeConfig) -> Self:
        """Load and warm every bundle of the configuration. BadInput: one cannot be opened; as `check_together`."""
        models = [Model.open(folder, config, alias) for alias, folder in config.bundles]
        check_together([model.manifest for model in models], config)
        return cls(models, config)

    def __iter__(self) -> Iterator[Model]:
        return iter(self._by_name.values())

    @property
    def names(self) -> list[str]:
        """The names that a request may choose from."""
        return list(self._by_name)

    @property
    def aliases(self) -> dict[str, str]:
        """The operator's other names → the models' own, whichever bundle is in their place now."""
        return {alias: self.names[place] for alias, place in self._aliases.items()}

    @property
    def first(self) -> Model:
        """The model of requests that name none."""
        return next(iter(self))

    def model(self, name: str | None) -> Model:
        """The model of a name, or the first. Refused: there is none of that name."""
        if name is None:
            return self.first
        own = self.aliases.get(name, name)
        if own not in self._by_name:
            accepted = ", ".join([*self.names, *self.aliases])
            message = f"the model {name!r:.60} does not exist; accepted: {accepted}"
            raise Refused(message, "model", status=404, code="model_not_found")
        return self._by_name[own]

    async def swap(self, old: Model, folder: Path) -> Model:
        """Serve the bundle in `folder` in the place of `old`; what was accepted for `old` is finished on it.

        BadInput: the bundle cannot be opened, has another task, or a name or alias that is taken. Nothing is changed then.
        """
        async with self._swapping:
            if old not in self._by_name.values():
                raise BadInput(f"the model {old.name} was exchanged meanwhile")
            new = await asyncio.to_thread(Model.open, folder, self.config, old.alias)
            if new.manifest.task != old.manifest.task:
                raise BadInput(f"the bundle's task is {new.manifest.task}; accepted: {old.manifest.task}, as is served")
            if new.name in self.aliases or new.name in {model.name for model in self if model is not old}:
                raise BadInput(f"a model {new.name} is served already")
            models = [new if model is old else model for model in self]
            self._by_name = {model.name: model for model in models}
        prometheus.SWAPS.inc()
        return new

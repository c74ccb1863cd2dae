"""What can be known to be wrong before a server starts: packages, bundles, what they are served as; it loads no model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from base.errors import BadInput
from models.task import task_named
from runtime import backend
from runtime.bundle import open_bundle
from runtime.manifest import Manifest
from serving.serve_config import ServeConfig

PACKAGES = ("bentoml", "httptools", "prometheus_client", "wsproto")
"""What the service imports beside the backend's own."""
PAGE_PACKAGES = ("gradio",)


def check_packages(config: ServeConfig) -> None:
    """BadInput: what serving or the page imports is not installed."""
    needed = (*PACKAGES, *(PAGE_PACKAGES if config.page else ()))
    if missing := [name for name in needed if not _installed(name)]:
        without = ", or page=false" if missing == list(PAGE_PACKAGES) else ""
        raise BadInput(f"serving needs {', '.join(missing)}: pip install 'ippo[serve]'{without}")


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def check(config: ServeConfig) -> None:
    """Raise BadInput for whatever can be known to be wrong before a worker starts."""
    backend.chosen(config.backend, config.device)
    manifests = [open_bundle(folder).manifest for _, folder in config.bundles]
    check_together(manifests, config)


def check_together(manifests: Sequence[Manifest], config: ServeConfig) -> None:
    """BadInput: the bundles of the configuration, in its order, cannot be served beside each other, or by its aliases."""
    for manifest in manifests:
        if task_named(manifest.task).output != "image" and config.page:
            raise BadInput(f"page: it draws, and {manifest.model_name} writes alone; accepted: page=false")
    names = [alias or manifest.model_name for (alias, _), manifest in zip(config.bundles, manifests, strict=True)]
    if len({manifest.task for manifest in manifests}) > 1:
        tasks = " and ".join(f"{name} is {one.task}" for name, one in zip(names, manifests, strict=True))
        raise BadInput(f"models: all must have one task, for they are asked with one kind of body; {tasks}")
    for alias, name in config.aliases.items():
        if name not in names:
            raise BadInput(f"aliases: {alias}={name}, but no such model is served; accepted: {', '.join(names)}")
        if alias in names:
            raise BadInput(f"aliases: {alias} is the name of a served model; accepted: other names")

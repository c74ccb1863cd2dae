"""A dialect: what one file of `serving/dialects/` offers below its prefix, and the shape of its errors; it knows none by name.

Such a file holds `DIALECT`. To be served it needs nothing else: the application lists the folder. A file without one is a
part of another's.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from serving import dialects

if TYPE_CHECKING:
    from runtime.manifest import Manifest
    from serving.refused import Refused


@dataclass(frozen=True)
class Dialect:
    """An HTTP interface whose paths share a prefix."""

    prefix: str
    """`/v1`: every path below it is the dialect's, offered or not. The native one's is empty: it has what no other has."""
    router: Callable[[Manifest], APIRouter]
    """Makes the endpoints, all below the prefix. The manifest is that of the models served: its task says what a request
    holds."""
    error_body: Callable[[Refused], dict[str, Any]]
    """What a refusal is answered with, as JSON."""
    error_schema: Mapping[str, Any]
    """The JSON schema of `error_body`'s answers, for the OpenAPI document."""
    error_description: str
    """What the document says of them."""
    picture_paths: frozenset[str] = frozenset()
    """Paths whose requests bring pictures: their bodies may be larger."""

    def owns(self, path: str) -> bool:
        """Whether `path` is the prefix or lies below it."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")

    @property
    def error_responses(self) -> dict[int | str, dict[str, Any]]:
        """Every 4xx of the dialect, as `responses` of a FastAPI route."""
        content = {"application/json": {"schema": self.error_schema}}
        return {"4XX": {"description": self.error_description, "content": content}}


def joined(*routers: APIRouter) -> APIRouter:
    """The routers of one dialect as one, each with its whole prefix: what FastAPI says of a request's route, and with it
    the metrics, is the path in the innermost router."""
    whole = APIRouter()
    for router in routers:
        whole.include_router(router)
    return whole


def load_dialects() -> list[Dialect]:
    """The dialects in `serving/dialects/`, a file each, the shortest prefix first."""
    names = sorted(module.name for module in pkgutil.iter_modules(dialects.__path__))
    modules = [importlib.import_module(f"{dialects.__name__}.{name}") for name in names]
    loaded = [module.DIALECT for module in modules if hasattr(module, "DIALECT")]
    return sorted(loaded, key=lambda dialect: len(dialect.prefix))


def dialect_of(path: str, served: Iterable[Dialect]) -> Dialect:
    """The dialect of `served` that a path belongs to: the one of the longest prefix."""
    return max((dialect for dialect in served if dialect.owns(path)), key=lambda dialect: len(dialect.prefix))

"""One image over HTTP beside the same generator and encoder without it; it knows nothing of how images are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection

import httpx

from base.errors import BadInput
from benchmarks.latency.cases import AS_PNG, body, label, png
from benchmarks.load.served import served
from evaluation.clock import Case, Timing, interleaved
from models.labels import Input
from runtime import backend as backends
from runtime.bundle import Bundle
from runtime.generator import Generator

HTTP = "image over HTTP"


@dataclass(frozen=True)
class Overhead:
    """One image with and without HTTP."""

    http: Timing
    """By the leanest client there is, so that it is the service that is measured."""
    bare: Timing
    comfortable: Timing
    """By httpx, as most Python programs would ask."""

    @property
    def milliseconds(self) -> float:
        """What HTTP adds at the median."""
        return self.http.median - self.bare.median


def overhead(bundle: Bundle, url: str | None = None, rounds: int = 10, seconds: float = 1.0) -> Overhead:
    """Time both in turns; `url` is that of a running service, without it one is started."""
    generator, asked = Generator(bundle, backends.load("auto", bundle)), body(bundle.manifest)
    png(generator)  # compiles; meanwhile a service would close connections that stay idle
    opened = httpx.Client(base_url=url, timeout=30) if url else served(str(bundle.folder.resolve()))
    with opened as client, closing(HTTPConnection(client.base_url.host, client.base_url.port)) as lean:
        cases = [
            Case(HTTP, "http.client, kept alive", 1, lambda: ask(lean, asked)),
            Case(AS_PNG, f"{label(generator)}, without HTTP", 1, lambda: png(generator)),
            Case(HTTP, "httpx, kept alive", 1, lambda: client.post("/generate", json=asked).raise_for_status().content),
        ]
        return Overhead(*interleaved(cases, rounds, seconds))


def ask(connection: HTTPConnection, asked: Mapping[str, Input]) -> bytes:
    """One PNG over a connection that stays open. BadInput: the service answered with an error."""
    connection.request("POST", "/generate", json.dumps(asked), {"content-type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != HTTPStatus.OK:
        raise BadInput(f"the service answered {answer.status}: {content[:200].decode(errors='replace')}")
    return content

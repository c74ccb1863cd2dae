"""A folder over HTTP on loopback, as a static host gives it, with every answer's bytes counted; it knows no page."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class StaticSite(ThreadingHTTPServer):
    """The server; what it sent stands in `sent`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(_Counted, directory=str(folder)))
        self.sent: list[tuple[str, int]] = []
        """Path and bytes of every answer's body."""

    @property
    def address(self) -> str:
        """With a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Counted(SimpleHTTPRequestHandler):
    server: StaticSite

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        self.server.sent.append((self.path, len(content)))
        outputfile.write(content)

    def log_message(self, format: str, *values: Any) -> None:
        """Nothing is said."""


@contextmanager
def static_site(folder: Path) -> Iterator[StaticSite]:
    """The server while the block runs."""
    with StaticSite(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()

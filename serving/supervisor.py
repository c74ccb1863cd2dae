"""Starts the service in BentoML's supervisor, in place of this process; it knows nothing about what is served."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from base import listening
from base.shipped import ROOT
from runtime import hub
from serving.preflight import check_packages
from serving.serve_config import ServeConfig

LEAN = {"MALLOC_ARENA_MAX": "2"}
"""glibc would keep a pool of memory for every thread."""


def serve(config: ServeConfig) -> NoReturn:
    """Become `bentoml serve`; the page's address is printed when it is ready.

    BadInput: a port in use, an unknown host, a missing package.
    """
    check_packages(config)
    listening.check_free(config.host, config.port, "port (--port, IPPO_PORT, make serve PORT=…) or host (--host)")
    resolved = config.model_copy(
        update={
            "bundle": local(config.bundle),
            "models": {name: local(folder) for name, folder in config.models.items()},
        }
    )
    environment = {**LEAN, **os.environ, **resolved.environment()}
    where = ["--host", listening.address_of(config.host), "--port", str(config.port), "--working-dir", str(ROOT)]
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", "serve", "serving.service:Ippo", *where], environment)


def local(bundle: Path) -> Path:
    """Where a bundle lies, fetched from the Hub before any worker starts."""
    return hub.local(bundle.expanduser()).resolve()

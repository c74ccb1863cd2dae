"""A worker that cannot start ends its supervisor, which would start it again for ever behind an open port; it knows no model.

The supervisor calls `watch` before it starts a worker, the worker `begin` and `done`. A worker that was killed while it
loaded (out of memory) could say nothing: the next one finds its mark.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

from base.errors import BadInput

VARIABLE = "SERVED_BY_IPPO"
"""The environment of the supervisor's children holds a file here; it is not empty while a worker starts."""
CANNOT_START = getattr(signal, "SIGUSR1", signal.SIGTERM)  # Windows knows the second only
log = logging.getLogger("ippo")


def watch() -> None:
    """In the supervisor: end with code 2 as soon as a worker says that it cannot start."""
    descriptor, name = tempfile.mkstemp(prefix="ippo-start-")
    os.close(descriptor)
    os.environ[VARIABLE] = name
    atexit.register(Path(name).unlink, missing_ok=True)
    signal.signal(CANNOT_START, _end)


def begin() -> None:
    """In the worker, before it loads anything; ends both where the one before it died of loading."""
    if (mark := _mark()) is None:
        return
    if mark.stat().st_size:
        give_up(BadInput("a worker died while it loaded the models, without a word: is there enough memory?"))
    mark.write_text("starting")


def done() -> None:
    """In the worker, as soon as it can draw."""
    if (mark := _mark()) is not None:
        mark.write_text("")


def give_up(error: Exception) -> NoReturn:
    """In the worker: say in one line why it cannot start, and end it with its supervisor. Without one, raise `error`."""
    if _mark() is None:
        raise error
    if not isinstance(error, BadInput):
        log.error("cannot start", exc_info=error)
    said = str(error) if isinstance(error, BadInput) else f"cannot start: {type(error).__name__}: {error}"
    print(f"ippo: {' '.join(said.split())[:500]}", file=sys.stderr, flush=True)
    os.kill(os.getppid(), CANNOT_START)
    os._exit(2)  # no traceback of what waits for the start


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(2)


def _mark() -> Path | None:
    """The file of the supervisor, where there is one and it is there."""
    name = os.environ.get(VARIABLE)
    return Path(name) if name and Path(name).is_file() else None

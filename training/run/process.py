"""Which process trains a run, and stopping it between two steps; it knows nothing of what is trained.

Whoever trains a run holds a lock on its `process.json` until it ends, however it ends: no stale file, no reused number.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

from base.errors import BadInput

FILE = "process.json"
_PATIENCE = 1.0
"""Seconds that a lock may be held by somebody who only looks."""


@dataclass(frozen=True)
class Process:
    """Who trains a run, or did last."""

    pid: int
    method: str
    """As in `ippo train METHOD`."""


@contextmanager
def claimed(run: Path, method: str) -> Iterator[None]:
    """Be the one process that trains `run`. BadInput: another one does.

    Of several processes of one training (torchrun) the first claims for all.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    with (run / FILE).open("a+") as file:
        _lock(file, run)
        file.truncate(0)
        file.write(json.dumps(asdict(Process(os.getpid(), method))))
        file.flush()
        yield


def last(run: Path) -> Process | None:
    """Who trains `run` or did last; None: nobody that is known."""
    try:
        return Process(**json.loads((run / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def alive(run: Path) -> bool:
    """Whether `run` is being trained at this moment."""
    try:
        with (run / FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def stop(run: Path) -> None:
    """Ask the process that trains `run` to write a checkpoint and end. BadInput: nobody trains it."""
    process = last(run)
    if process is None or not alive(run):
        raise BadInput(f"{run.name} is not being trained: there is nothing to stop")
    os.kill(process.pid, signal.SIGTERM)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set in place of ending the process; a second one ends it as ever.

    Below a launcher (torchrun) it does not: launchers pass on what the terminal sent to their children too, and kill by
    themselves.
    """
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # nobody else may handle signals
        yield requested
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        requested.set()
        if "RANK" not in os.environ:
            restore()

    for number in before:
        signal.signal(number, ask)
    try:
        yield requested
    finally:
        restore()


def _lock(file: TextIO, run: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BadInput(f"{run} is being trained by another process; wait for it, or stop it first") from None
            time.sleep(0.05)

"""Compiled engines of this machine, stored between runs: content-addressed, built once; it knows no runtime.

A compiled engine is executable content: it is read back only from a folder that is the user's own, and only if its checksum
is the one that was written with it.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
import stat
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from base.errors import BadInput
from base.files import atomic_folder

ENGINE, MANIFEST = "engine.plan", "manifest.json"
LIMIT = 20 << 30
"""Bytes that engines may take; those used longest ago go first."""

Key = Mapping[str, Any]
"""All that an engine depends on, as JSON values."""


def folder(name: str) -> Path:
    """The user's own folder for one kind of cache: below IPPO_CACHE, else below the XDG cache folder.

    BadInput: it cannot be made, or others may write to it.
    """
    base = Path(os.environ.get("IPPO_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ippo")
    try:
        path = base.expanduser() / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except (OSError, RuntimeError) as error:  # not writable, or nobody's home
        why = getattr(error, "strerror", None) or error
        raise BadInput(f"no cache folder {base / name}: {why}; IPPO_CACHE names another") from error
    owner = os.getuid() if hasattr(os, "getuid") else status.st_uid
    if status.st_uid != owner or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BadInput(f"cache folder {path} can be written by others, so nothing is loaded from it")
    return path


@dataclass(frozen=True)
class EngineCache:
    """Engines by the digest of their keys: a folder each, with the engine and a manifest of key and checksum."""

    folder: Path
    limit: int = LIMIT

    def get(self, key: Key, build: Callable[[], bytes]) -> bytes:
        """The engine of `key`, built if it is not there or was altered; a second process waits for the first to build it."""
        return self.mapped(key, build)[:]

    def mapped(self, key: Key, build: Callable[[], bytes]) -> mmap.mmap | bytes:
        """As `get`, in pages of its file, which need no memory once they were read; bytes where it could not be stored."""
        entry = self.folder / digest(key)
        with FileLock(self.folder / f"{entry.name}.lock"):  # free again when the process that holds it is killed
            engine = _read(entry, key)
            if engine is not None:
                return engine
            built = build()
            self._store(entry, key, built)
            return _read(entry, key) or built

    def stored(self, key: Key) -> bytes | None:
        """What lies there for `key`, if it is whole."""
        engine = _read(self.folder / digest(key), key)
        return None if engine is None else engine[:]

    def store(self, key: Key, engine: bytes) -> None:
        """Put `engine` there for `key`, in place of what was."""
        entry = self.folder / digest(key)
        with FileLock(self.folder / f"{entry.name}.lock"):
            self._store(entry, key, engine)

    def _store(self, entry: Path, key: Key, engine: bytes) -> None:
        """A disk that is full costs the next start a build, not this one its engine."""
        shutil.rmtree(entry, ignore_errors=True)
        try:
            self._make_room(len(engine))
            with atomic_folder(entry) as hidden:  # whoever holds the lock owns it
                (hidden / ENGINE).write_bytes(engine)
                manifest = {"sha256": _sha256(engine), "key": dict(key)}
                (hidden / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        except (OSError, BadInput) as error:
            why = getattr(error, "strerror", None) or error
            warnings.warn(f"the engine is not kept in {self.folder}: {why}", stacklevel=2)

    def _make_room(self, size: int) -> None:
        """Remove engines, those used longest ago first, until one more of `size` bytes is within the limit."""
        stored = sorted(self.folder.glob(f"*/{MANIFEST}"), key=lambda file: file.stat().st_mtime, reverse=True)
        for manifest in stored:
            size += sum(file.stat().st_size for file in manifest.parent.iterdir())
            if size > self.limit:
                shutil.rmtree(manifest.parent, ignore_errors=True)


def digest(key: Key) -> str:
    """One name for equal keys, whatever the order of their entries."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _read(entry: Path, key: Key) -> mmap.mmap | None:
    """The engine, if the entry is whole and of this key; reading it makes it the last one used."""
    try:
        manifest = json.loads((entry / MANIFEST).read_bytes())
        with (entry / ENGINE).open("rb") as file:
            engine = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except (OSError, ValueError):  # not there, empty, or no JSON
        return None
    whole = isinstance(manifest, dict) and manifest.get("sha256") == _sha256(engine)
    if not whole or digest(manifest.get("key", {})) != digest(key):
        return None
    os.utime(entry / MANIFEST)
    return engine


def _sha256(content: bytes | mmap.mmap) -> str:
    return hashlib.sha256(content).hexdigest()

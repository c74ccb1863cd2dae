"""Files and folders that appear whole or not at all, written under a hidden name, then renamed; and what lies in them.

It knows no format.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from base.errors import BadInput


@contextmanager
def atomic_file(file: Path) -> Iterator[Path]:
    """A path to write to, in the folder of `file`, which takes the name `file` if the block ends well and is removed if not.

    It holds the process's number, so that two processes which write one file do not write into each other's.
    """
    hidden = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with spoken_of(hidden, file):
            yield hidden
        os.replace(hidden, file)
    finally:
        hidden.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """A whole text file in UTF-8, atomically, whatever the encoding of the system is."""
    with atomic_file(file) as hidden:
        hidden.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes the name `folder`, in place of the folder there, if the block ends well.

    If it does not, it is removed and `folder` stays as it was. Where that is a link, what it leads to is replaced, on its own
    disk. Whoever is killed leaves it behind, hidden as `.NAME.tmp`, until the same folder is written again. BadInput: it cannot
    be made, or a file is in its place.
    """
    given, folder = folder, folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{given} is a file; accepted: a folder, or a new name")
    hidden, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("tmp", "old"))
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        hidden.mkdir(parents=True)
    except OSError as error:
        raise BadInput(f"cannot write beside {given.absolute()}: {error.strerror or error}") from None
    try:
        with spoken_of(hidden, given):
            yield hidden
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            os.replace(folder, old)  # steps aside: a kill between these lines leaves one of the two
        os.replace(hidden, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def check_replaceable(folder: Path, mark: str) -> None:
    """BadInput: what lies at `folder` is neither empty nor a folder with the file `mark`, and would be lost."""
    if folder.is_dir() and ((folder / mark).is_file() or not any(folder.iterdir())):
        return
    if folder.exists():
        raise BadInput(f"{folder} exists and holds no {mark}, so it will not be replaced: name another folder")


def check_overwritable(out: Path, overwrite: bool, mark: str, kind: str) -> None:
    """BadInput: something is at `out`, and `overwrite` was not said, or it is no `kind`, which has the file `mark`.

    Where `mark` is empty a `kind` is a file itself.
    """
    check_writable(out.parent)
    another = "name another folder" if mark else "name another file"
    if not out.exists():
        return
    if not overwrite:
        raise BadInput(f"{out} exists already: {another}, or --overwrite")
    if not (out / mark).is_file():
        raise BadInput(f"{out} is no {kind}, so it will not be overwritten: {another}")


def check_writable(folder: Path) -> None:
    """BadInput: a folder that cannot be made, or written into, by the nearest one above it that exists."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        raise BadInput(f"{there} is a file: name a folder that can be made")
    if not os.access(there, os.W_OK | os.X_OK):
        raise BadInput(f"{there} cannot be written into: name another folder")


def leads_out(name: str) -> bool:
    """Whether a path that some file names leads out of the folder in which it is meant."""
    path = PurePath(name)
    return path.is_absolute() or ".." in path.parts


def sha256(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """Path inside a folder → SHA-256, of every file there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


@contextmanager
def spoken_of(hidden: Path, name: str | Path) -> Iterator[None]:
    """Refusals inside the block name `name`, which is what the user knows, in place of `hidden`, which is soon gone."""
    try:
        yield
    except BadInput as error:
        message = str(error)
        for path in dict.fromkeys((str(hidden), str(hidden.resolve()))):
            message = re.sub(rf"{re.escape(path)}(?![\w.-]*\w)", lambda _: str(name), message)
        if message == str(error):
            raise
        raise BadInput(message) from error

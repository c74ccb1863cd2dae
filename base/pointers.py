"""Files whose content is elsewhere, as git-lfs and git-annex leave them; it knows nothing of what the content would be."""

from __future__ import annotations

from pathlib import Path

from base.errors import BadInput

_LFS = b"version https://git-lfs.github.com/spec/"


def absence(file: Path) -> str | None:
    """Why the file's content is not here and what brings it, as a message goes on after its name; None: it is here."""
    if file.is_symlink() and not file.exists():
        return "is a link to content that is not here: fetch it first (`git annex get`, `git lfs pull`)"
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        if stream.read(len(_LFS)) == _LFS:
            return "is a git-lfs pointer, its content is not here: run `git lfs pull` in that folder"
    return None


def refuse_pointer(file: Path) -> None:
    """BadInput: the file is missing, or only points at its content (git-lfs, git-annex)."""
    if (why := absence(file)) is not None:
        raise BadInput(f"{file} {why}")
    if not file.is_file():
        raise BadInput(f"no file {file}")

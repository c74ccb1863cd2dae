"""Bundles of the Hugging Face Hub by name, `hub:user/name` or `hub:user/name@revision`; it runs nothing and sends nothing.

What is fetched is what the bundle's manifest lists and nothing else, of one revision, once: below `IPPO_CACHE`. The folder's
manifest says in `source` which revision that is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from base.errors import BadInput, first_line
from base.files import leads_out, write_text

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PREFIX = "hub:"
MANIFEST = "manifest.json"
_REVISION = re.compile(r"[0-9a-f]{40}")
_SOURCE = re.compile(rb'\A\{\n  "source": "[^"\n]*",\n')


def local(name: str | Path) -> Path:
    """The folder of a bundle: itself, or of a Hub name the revision's own, fetched where it is not there yet.

    Where the Hub cannot be reached, what was fetched last under that name serves. BadInput: no such name, or not that either.
    """
    if not str(name).startswith(PREFIX):
        return Path(name)
    from runtime import cache  # which needs filelock

    repo, _, revision = str(name).removeprefix(PREFIX).partition("@")
    check_repo(repo)
    kept = cache.folder("hub") / repo.replace("/", "--")
    if _REVISION.fullmatch(revision) and (kept / revision).is_dir():
        return kept / revision
    client = api()
    try:
        with explained(f"{PREFIX}{repo}"):
            found = str(client.model_info(repo, revision=revision or None).sha)
    except Unreachable as error:
        return _fetched_before(kept, revision or "main", error)
    folder = _fetch(repo, found, kept)
    write_text(kept / f"{_safe(revision or 'main')}.ref", found)
    return folder


def check_repo(repo: str) -> None:
    """BadInput: no name that the Hub could have."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repo, re.ASCII) or len(repo) > 96:
        raise BadInput(f"{repo!r:.60} is no name on the Hub; accepted: user/name")


def api() -> HfApi:
    """The Hub's client, for `HF_ENDPOINT` as it is now. BadInput: huggingface_hub is not installed."""
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise BadInput("Hub names need huggingface_hub: pip install 'ippo[serve]'") from None
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"))


class Unreachable(BadInput):
    """The Hub does not answer, or was not to be asked."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """What the Hub's client raises inside the block, in one line. Raises Unreachable, or BadInput for what the Hub refuses."""
    from huggingface_hub import errors

    # What the HTTP library that this version of the client stands on raises where there is no connection
    no_connection = cast("type[Exception]", errors.HfHubHTTPError.__bases__[0])
    try:
        yield
    except errors.GatedRepoError:
        raise BadInput(
            f"{what} is gated: accept its terms on the Hub, then log in (hf auth login, or HF_TOKEN)"
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        raise BadInput(
            f"{what}: the Hub has no such model or revision, or it is private (hf auth login, or HF_TOKEN)"
        ) from None
    except errors.RemoteEntryNotFoundError as error:
        file = unquote(str(error.response.url).partition("/resolve/")[2].partition("/")[2])
        raise BadInput(f"{what} is no bundle of ippo, or not whole: it has no {file}") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise BadInput(
                f"{what}: the Hub does not let you: log in with a token that may (hf auth login, or HF_TOKEN)"
            ) from None
        if status < 500:
            raise BadInput(f"{what}: the Hub answers {status}: {first_line(error.server_message or error)}") from None
        raise Unreachable(f"{what}: the Hub is out of order, it answers {status}") from None
    except (OSError, no_connection) as error:
        raise Unreachable(f"{what}: the Hub cannot be reached ({first_line(error) or type(error).__name__})") from None


def stamped(manifest: bytes, source: str) -> bytes:
    """A manifest with its source as the first key."""
    return manifest.replace(b"{\n", b'{\n  "source": %s,\n' % json.dumps(source).encode(), 1)


def unstamped(manifest: bytes) -> bytes:
    """A manifest as it was exported, without the source: what names a bundle, wherever it was fetched from."""
    return _SOURCE.sub(b"{\n", manifest, count=1)


def _fetch(repo: str, revision: str, kept: Path) -> Path:
    """The folder of a revision; files that a broken connection left are not fetched again. BadInput: no bundle lies there."""
    from filelock import FileLock

    folder, source = kept / revision, f"{PREFIX}{repo}@{revision}"
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(kept / f"{revision}.lock"):  # free again when the process that holds it is killed
        if folder.is_dir():
            return folder
        part, client = kept / f".{revision}.part", api()
        with explained(source):
            manifest = Path(client.hf_hub_download(repo, MANIFEST, revision=revision, local_dir=part))
            for file in _listed(manifest, source):
                client.hf_hub_download(repo, file, revision=revision, local_dir=part)
        manifest.write_bytes(stamped(unstamped(manifest.read_bytes()), source))
        shutil.rmtree(part / ".cache", ignore_errors=True)
        part.rename(folder)
    return folder


def _listed(manifest: Path, source: str) -> list[str]:
    try:
        files = [str(name) for name in json.loads(manifest.read_bytes())["files"]]
    except (ValueError, TypeError, KeyError):
        raise BadInput(f"{source} is no bundle of ippo: its {MANIFEST} lists no files") from None
    if outside := [name for name in files if leads_out(name)]:
        raise BadInput(f"{source}: {MANIFEST} lists {outside[0]}, which lies outside of the bundle")
    return files


def _fetched_before(kept: Path, revision: str, error: Unreachable) -> Path:
    reference = kept / f"{_safe(revision)}.ref"
    folder = kept / reference.read_text() if reference.is_file() else None
    if folder is None or not folder.is_dir():
        raise BadInput(f"{error}, and nothing was fetched under this name before") from None
    warnings.warn(f"{error}; what was fetched before is used, revision {folder.name}", stacklevel=3)
    return folder


def _safe(revision: str) -> str:
    return re.sub(r"[^\w.-]", "-", revision)

"""Many prompts → shards of images with their metadata, resumable; it knows nothing about encoders or HTTP.

A folder holds `manifest.json` (what was asked, and the shards that are done) and `shard-00000/` with its images and a
`metadata.jsonl`: an imagefolder. A shard is written beside and renamed, so what is there is whole; what a killed run left
is drawn again in the same batches, and so has the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from export.bundle import MANIFEST, sha256
from export.generator import Generator, Request
from export.prompts import Row
from models.errors import BadInput
from models.progress import progress

METADATA = "metadata.jsonl"
LOCK = ".lock"
Encode = Callable[[NDArray[np.uint8], Request], bytes]
"""Pixels (H, W, 3) and what they were asked with → a file."""


@dataclass(frozen=True)
class Job:
    """What decides every byte; a folder holds one job."""

    bundle: str
    """SHA-256 of the bundle's manifest."""
    backend: str
    prompts: str
    """SHA-256 of all inputs and seeds."""
    images: int
    steps: int
    format: str
    batch: int
    shard: int
    """Images in a shard."""


def requests_of(rows: Sequence[Row], seed: int, count: int = 1) -> list[Request]:
    """`count` images a row: image i of row r has the row's seed + i, or `seed + count·r + i` where it names none."""
    starts = [seed + count * place if row.seed is None else row.seed for place, row in enumerate(rows)]
    return [Request(row.input, start + i) for row, start in zip(rows, starts, strict=True) for i in range(count)]


def job_of(generator: Generator, requests: Sequence[Request], steps: int, format: str, batch: int, shard: int) -> Job:
    """Checks every request as well. Raises BadInput."""
    for number, request in enumerate(requests, 1):
        try:
            generator.check([request], steps)
            generator.tokenizer.ids([request.input])
        except BadInput as error:
            raise BadInput(f"image {number}: {error}") from None
    asked = json.dumps([[request.input, request.seed] for request in requests]).encode()
    bundle = sha256(generator.bundle.folder / MANIFEST)
    name, prompts = generator.backend.name, hashlib.sha256(asked).hexdigest()
    return Job(bundle, name, prompts, len(requests), steps, format, batch, shard)


@dataclass(frozen=True)
class Bulk:
    """A job at work on a folder."""

    generator: Generator
    job: Job
    out: Path
    encode: Encode

    def run(self, requests: Sequence[Request]) -> Path:
        """Draw what the folder does not hold yet; its manifest. Raises BadInput where it holds another job."""
        self.out.mkdir(parents=True, exist_ok=True)
        with _alone(self.out), progress(Console(stderr=True)) as shown:
            done = _resumed(self.out, self.job)
            bar = shown.add_task("images", total=self.job.images)
            for number, first in enumerate(range(0, self.job.images, self.job.shard)):
                name, wanted = f"shard-{number:05d}", requests[first : first + self.job.shard]
                if name in done:
                    shown.advance(bar, len(wanted))
                    continue
                with self._beside(name) as folder:
                    lines = []
                    numbered = list(enumerate(wanted, first))
                    for start in range(0, len(wanted), self.job.batch):
                        batch = numbered[start : start + self.job.batch]
                        lines += self._draw(batch, folder)
                        shown.advance(bar, len(batch))
                    (folder / METADATA).write_text("\n".join(lines) + "\n")
                done[name] = sha256(self.out / name / METADATA)  # which holds that of every image
                _write_manifest(self.out, self.job, done)
        return self.out / MANIFEST

    def _draw(self, batch: Sequence[tuple[int, Request]], folder: Path) -> list[str]:
        """Write a batch of numbered images; their lines of metadata."""
        lines = []
        images = self.generator.generate([request for _, request in batch], self.job.steps)  # (N, H, W, 3)
        for (number, request), pixels in zip(batch, images, strict=True):
            file, name = self.encode(pixels, request), f"{number:08d}.{self.job.format}"
            (folder / name).write_bytes(file)
            told = {"file_name": name, **dict.fromkeys(self.generator.bundle.manifest.inputs, request.input)}
            lines.append(json.dumps({**told, "seed": request.seed, "sha256": hashlib.sha256(file).hexdigest()}))
        return lines

    @contextmanager
    def _beside(self, name: str) -> Iterator[Path]:
        """A folder that takes its name when it is whole; what a killed run left of it goes."""
        beside = self.out / f".{name}.tmp"
        for left in (beside, self.out / name):
            shutil.rmtree(left, ignore_errors=True)
        beside.mkdir()
        yield beside
        beside.rename(self.out / name)


def _resumed(out: Path, job: Job) -> dict[str, str]:
    """Shard → SHA-256 of its metadata, of those that are done. Raises BadInput."""
    if not (out / MANIFEST).exists():
        others = [file.name for file in out.iterdir() if file.name != LOCK]
        if others:
            raise BadInput(f"{out} holds other things ({others[0]}); name a new folder, or one of the same job")
        _write_manifest(out, job, {})
        return {}
    try:
        found: dict[str, Any] = json.loads((out / MANIFEST).read_text())
        before, done = found["job"], dict(found["shards"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{out / MANIFEST} is no manifest of bulk generation") from error
    differing = [name for name, value in asdict(job).items() if before.get(name) != value]
    if differing:
        raise BadInput(f"{out} holds another job: {', '.join(differing)} differ; name a new folder")
    return {name: digest for name, digest in done.items() if (out / name / METADATA).is_file()}


def _write_manifest(out: Path, job: Job, done: dict[str, str]) -> None:
    complete = len(done) * job.shard >= job.images
    told = {"job": asdict(job), "complete": complete, "shards": dict(sorted(done.items()))}
    beside = out / f".{MANIFEST}.tmp"
    beside.write_text(json.dumps(told, indent=1) + "\n")
    os.replace(beside, out / MANIFEST)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two runs in one folder would undo each other's work; the lock of a killed one is gone with it."""
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(f"another run is at work in {out}") from None
        yield

"""Many prompts → shards of images with their metadata, resumable; it knows nothing about clusters or HTTP.

A folder holds `manifest.json` (the job, and the shards that are done) and `shard-00000/` with its images and a
`metadata.jsonl`: an imagefolder. A shard appears whole; what a killed run left is drawn again in the same batches, and so has
the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from base.errors import BadInput
from base.files import atomic_folder, sha256, write_text
from base.progress import progress
from models.task import Task, task_of
from runtime import backend, picture_files
from runtime.backend import BackendOptions
from runtime.bundle import open_bundle
from runtime.formats import Format
from runtime.generator import Generator, Request
from runtime.images import encode
from runtime.manifest import MANIFEST
from runtime.prompts import Row
from runtime.provenance import of_request

METADATA = "metadata.jsonl"
LOCK = ".lock"
Encode = Callable[[NDArray[np.uint8], Request], bytes]
"""Pixels `(H, W, 3)` and their request → a file's bytes."""
HASHED = {"prompts": "prompts, pictures or seeds", "bundle": "bundles"}
"""What a field of a job that is a hash holds."""
Numbered = tuple[int, Request]
"""An image's place among all, and its request."""


@dataclass(frozen=True)
class Job:
    """What decides every byte; a folder holds one job."""

    bundle: str
    """SHA-256 of the bundle's manifest."""
    backend: str
    device: str
    """As it was named, or `auto`."""
    reproducible: bool
    prompts: str
    """SHA-256 of all inputs and seeds."""
    images: int
    steps: int
    format: Format
    batch: int
    shard: int
    """Images in a shard."""


@dataclass(frozen=True)
class Shard:
    """A folder to be, and what it will hold."""

    name: str
    requests: Sequence[Numbered]


@dataclass(frozen=True)
class ShardProgress:
    """So many images more; with the last of a shard its name, and the SHA-256 of its metadata."""

    images: int
    shard: str = ""
    digest: str = ""


def requests_of(rows: Sequence[Row], seed: int, count: int = 1) -> list[Request]:
    """`count` images a row: image i of row r has the row's seed + i, or `seed + count·r + i` where it names none."""
    starts = [seed + count * index if row.seed is None else row.seed for index, row in enumerate(rows)]
    return [
        Request(row.input, start + i, further=row.further)
        for row, start in zip(rows, starts, strict=True)
        for i in range(count)
    ]


def job_of(
    generator: Generator, requests: Sequence[Request], steps: int, format: Format, batch: int, shard: int
) -> Job:
    """The job of drawing these requests; every one of them is checked. BadInput: what the bundle does not offer."""
    generator.check_steps(steps)
    for number, request in enumerate(requests, 1):
        try:
            generator.check([request], steps)
            generator.tokenizer.ids([request.input])
        except BadInput as error:
            raise BadInput(f"image {number}: {error}") from None
    every = json.dumps([_identity(request) for request in requests]).encode()
    options = generator.backend.options
    return Job(
        bundle=generator.bundle.hash,
        backend=generator.backend.name,
        device=options.device,
        reproducible=options.reproducible,
        prompts=hashlib.sha256(every).hexdigest(),
        images=len(requests),
        steps=steps,
        format=format,
        batch=batch,
        shard=shard,
    )


def _identity(request: Request) -> list[Any]:
    """What an image is made from, pictures by their digests."""
    if isinstance(request.input, str):
        return [request.input, request.seed]
    return [str(request.input), request.seed, dict(sorted(request.further.items()))]


@dataclass(frozen=True)
class Painter:
    """Draws the shards of a job into a folder, one at a time."""

    generator: Generator
    job: Job
    out: Path
    encode: Encode

    def paint(self, shard: Shard) -> Iterator[ShardProgress]:
        """Draw and write a shard, batch by batch."""
        with atomic_folder(self.out / shard.name) as folder:
            lines = []
            for start in range(0, len(shard.requests), self.job.batch):
                batch = shard.requests[start : start + self.job.batch]
                lines += self._draw(batch, folder)
                yield ShardProgress(len(batch))
            (folder / METADATA).write_text("\n".join(lines) + "\n")
        yield ShardProgress(0, shard.name, sha256(self.out / shard.name / METADATA))  # which holds that of every image

    def _draw(self, batch: Sequence[Numbered], folder: Path) -> list[str]:
        """Write a batch of numbered images; their lines of metadata."""
        lines = []
        manifest = self.generator.bundle.manifest
        ready = picture_files.opened([request for _, request in batch], manifest.picture_size or manifest.sizes[0])
        images = self.generator.generate(ready, self.job.steps)  # (N, H, W, 3)
        for (number, request), pixels in zip(batch, images, strict=True):
            file, name = self.encode(pixels, request), f"{number:08d}.{self.job.format}"
            (folder / name).write_bytes(file)
            inputs = dict.fromkeys(manifest.inputs, _text(request, task_of(manifest))) | _named(request)
            facts = {"seed": request.seed, "sha256": hashlib.sha256(file).hexdigest()}
            lines.append(json.dumps({"file_name": name, **inputs, **facts}))
        return lines


def _text(request: Request, task: Task) -> str:
    """What an image was drawn of, as the list says it."""
    return request.input if isinstance(request.input, str) else task.text(request.input)


def _named(request: Request) -> dict[str, str | float]:
    """What else it was drawn from: pictures by their names in the list."""
    return {**request.further, **{key: file.name for key, file in picture_files.named(request.input).items()}}


def open_painter(job: Job, bundle: Path, out: Path) -> Painter:
    """Open a bundle for a job; the files are those of the service. To be called where the painter is to work."""
    opened = open_bundle(bundle)
    task, options = task_of(opened.manifest), BackendOptions(device=job.device, reproducible=job.reproducible)

    def encoded(pixels: NDArray[np.uint8], request: Request) -> bytes:
        source = of_request(task, request, job.steps, opened.manifest.model_name, job.bundle)
        return encode(pixels, job.format, source)

    return Painter(Generator(opened, backend.load(job.backend, opened, options)), job, out, encoded)


Engine = Callable[[Callable[[], Painter], Sequence[Shard]], Iterable[ShardProgress]]
"""How to make a painter, and shards → how far they are, in any order."""


def here(painter: Callable[[], Painter], shards: Sequence[Shard]) -> Iterator[ShardProgress]:
    """The engine of one process: this one."""
    painting = painter()
    for shard in shards:
        yield from painting.paint(shard)


def run(
    painter: Callable[[], Painter], job: Job, out: Path, requests: Sequence[Request], engine: Engine = here
) -> Path:
    """Draw what the folder does not hold yet; its manifest. BadInput: it holds another job, or another run is at work in it."""
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out), progress(Console(stderr=True)) as shown:
        done = _resumed(out, job)
        numbered = list(enumerate(requests))
        shards = [
            Shard(f"shard-{number:05d}", numbered[first : first + job.shard])
            for number, first in enumerate(range(0, job.images, job.shard))
        ]
        left = [shard for shard in shards if shard.name not in done]
        done_images = job.images - sum(len(shard.requests) for shard in left)
        bar = shown.add_task("images", total=job.images, completed=done_images)
        for news in engine(painter, left) if left else ():
            shown.advance(bar, news.images)
            if news.shard:
                done[news.shard] = news.digest
                _write_manifest(out, job, done)
    return out / MANIFEST


def _resumed(out: Path, job: Job) -> dict[str, str]:
    """Shard → SHA-256 of its metadata, of those that are done. BadInput: the folder holds something else."""
    if not (out / MANIFEST).exists():
        others = [file.name for file in out.iterdir() if not file.name.startswith(".")]
        if others:
            raise BadInput(f"{out} holds other things ({others[0]}); name a new folder, or one of the same job")
        _write_manifest(out, job, {})
        return {}
    try:
        manifest: dict[str, Any] = json.loads((out / MANIFEST).read_text())
        before, done = dict(manifest["job"]), dict(manifest["shards"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{out / MANIFEST} is no manifest of bulk generation") from error
    differing = [HASHED.get(name, name) for name, value in asdict(job).items() if before.get(name) != value]
    if differing:
        raise BadInput(f"{out} holds another job: {', '.join(differing)} differ; name a new folder")
    return {name: digest for name, digest in done.items() if (out / name / METADATA).is_file()}


def _write_manifest(out: Path, job: Job, done: dict[str, str]) -> None:
    complete = len(done) * job.shard >= job.images
    manifest = {"job": asdict(job), "complete": complete, "shards": dict(sorted(done.items()))}
    write_text(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two runs in one folder would undo each other's work; the lock of a killed one is gone with it."""
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(f"another run is at work in {out}") from None
        yield

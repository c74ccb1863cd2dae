"""`ippo bulk`: a file of prompts → folders of images with their metadata, here or on a Ray cluster."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from base.errors import BadInput
from base.files import check_writable
from base.shipped import SHIPPED_BUNDLE
from commands import options
from runtime.formats import Format

if TYPE_CHECKING:
    from runtime import shards


def bulk(
    prompts: Annotated[Path, typer.Argument(help="Prompts, labels or attributes: .txt, .csv, .parquet, .jsonl.")],
    bundle: options.BundleFolder = SHIPPED_BUNDLE,
    out: Annotated[Path, typer.Option(help="Folder to write, with one below it for each shard.")] = Path("out"),
    seed: options.Seed = 0,
    steps: options.StudentSteps = 1,
    count: options.Count = 1,
    format: Annotated[Format, typer.Option(help="Format of the files.")] = "png",
    batch: Annotated[int, typer.Option(help="Images drawn together.", min=1, max=64)] = 8,
    shard: Annotated[
        int, typer.Option(help="Images of one shard; a killed run loses less than one shard.", min=1)
    ] = 256,
    backend: options.BackendName = "auto",
    device: options.Device = "auto",
    reproducible: options.Reproducible = False,
    engine: Annotated[Literal["here", "ray"], typer.Option(help="This process, or a Ray cluster.")] = "here",
    actors: Annotated[
        int | None, typer.Option(help="Generators at once on Ray; by default one a GPU, or a node.", min=1)
    ] = None,
) -> None:
    """Draw many images from a file of prompts; the same command again resumes."""
    from runtime import backend as backends
    from runtime import shards
    from runtime.bundle import open_bundle
    from runtime.generator import Generator
    from runtime.prompts import read

    check_writable(out)
    opened = open_bundle(bundle)
    opened.check_draws()
    generator = Generator(opened, backends.load(backend, opened, backends.BackendOptions(None, device, reproducible)))
    requests = shards.requests_of(read(prompts, opened.manifest.inputs), seed, count)
    job = shards.job_of(generator, requests, steps, format, batch, shard)
    options.tell_cut(generator, [request.input for request in requests[::count]])
    painter = partial(shards.open_painter, job, opened.folder.resolve(), out.resolve())
    print(shards.run(painter, job, out, requests, _engine(engine, actors)))


def _engine(name: str, actors: int | None) -> shards.Engine:
    """Who runs painters. BadInput: Ray is not installed."""
    from runtime import shards

    if name == "here":
        return shards.here
    if importlib.util.find_spec("ray") is None:
        raise BadInput("engine ray is not installed: pip install 'ippo[ray]'")
    from runtime import on_ray

    return on_ray.engine(actors)

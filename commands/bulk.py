"""`ippo bulk`: a file of prompts → folders of images with their metadata, here or on a Ray cluster."""

from __future__ import annotations

import importlib.util
import sys
from functools import cached_property, partial
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from base.errors import BadInput
from base.files import check_writable
from base.shipped import SHIPPED_BUNDLE
from commands import options
from runtime.formats import Format

if TYPE_CHECKING:
    from data.image_names import ImageNames
    from runtime import shards
    from runtime.manifest import Manifest
    from runtime.prompts import Row


def bulk(
    prompts: Annotated[
        Path,
        typer.Argument(
            help="Prompts, labels or attributes: .txt, .csv, .parquet, .jsonl; a table may have columns seed, content, style, "
            "mix and focus too, as ippo generate has options: paths of pictures from its folder."
        ),
    ],
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
    """Draw many images from a file of prompts or pictures; the same command again resumes. (Captions: ippo caption FOLDER.)"""
    from runtime import backend as backends
    from runtime import shards
    from runtime.bundle import open_bundle
    from runtime.generator import Generator

    check_writable(out)
    opened = open_bundle(bundle)
    opened.check_draws()
    rows = _rows(prompts, opened.manifest)
    generator = Generator(opened, backends.load(backend, opened, backends.BackendOptions(None, device, reproducible)))
    requests = shards.requests_of(rows, seed, count)
    job = shards.job_of(generator, requests, steps, format, batch, shard)
    options.tell_cut(generator, [request.input for request in requests[::count]])
    painter = partial(shards.open_painter, job, opened.folder.resolve(), out.resolve())
    print(shards.run(painter, job, out, requests, _engine(engine, actors)))


def _rows(file: Path, manifest: Manifest) -> list[Row]:
    """What a file says is to be drawn. BadInput: it cannot be read, or says what the model does not take."""
    from models.task import task_named, task_names, task_of
    from runtime import picture_files, prompts

    task = task_of(manifest)
    drawn_from = [key for name in task_names() if task_named(name).output == "image" for key in task_named(name).images]
    listed = prompts.opened(file, manifest.inputs)
    columns = listed.picture_columns(drawn_from)
    if strange := [key for key, of_pictures in columns.items() if of_pictures and key not in task.images]:
        accepted = ", ".join((*manifest.inputs, *task.further_keys())) or "a seed alone"
        raise BadInput(
            f"{file} names pictures in {' and '.join(strange)}, which the model does not take; accepted: {accepted}"
        )
    for key in task.images:
        if columns.get(key) is False:
            print(f"ippo: the column {key} of {file} names no pictures and is not read", file=sys.stderr)
    pictures = [key for key in task.images if columns.get(key)]
    rows = listed.rows(pictures, [field.name for field in task.further])
    return picture_files.wishes(rows, task, manifest.picture_size or manifest.sizes[0], _Listed(file).named)


class _Listed:
    """The pictures that a list means, by their paths from its folder."""

    def __init__(self, table: Path) -> None:
        self.table = table

    def named(self, name: str) -> Path | None:
        """The one picture of a name; a path of another machine is read from its end, as far as one picture here has it."""
        file, foreign = self.table.parent / name.replace("\\", "/"), PureWindowsPath(name).anchor
        if file.is_file():
            return file
        return self._known.named(name, self.table) if foreign else next(iter(self._known.of_stem(name)), None)

    @cached_property
    def _known(self) -> ImageNames:
        """The pictures in the list's folder and below."""
        from data.image_names import ImageNames
        from data.sources import pictures

        try:
            return ImageNames(pictures(self.table.parent)[1], self.table.parent)
        except BadInput:
            return ImageNames((), self.table.parent)


def _engine(name: str, actors: int | None) -> shards.Engine:
    """Who runs painters. BadInput: Ray is not installed."""
    from runtime import shards

    if name == "here":
        return shards.here
    if importlib.util.find_spec("ray") is None:
        raise BadInput("engine ray is not installed: pip install 'ippo[ray]'")
    from runtime import on_ray

    return on_ray.engine(actors)

"""`ippo caption`: what a bundle says of pictures, as lines or as a table that `ippo data build` reads."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from base.errors import BadInput
from base.files import atomic_file
from base.shipped import SHIPPED_BUNDLE
from commands import options

TABLE = ".csv"
FORMULA = ("=", "+", "-", "@")
"""What a table's cell must not begin with: spreadsheets would compute it."""


def caption(
    files: Annotated[list[Path], typer.Argument(help="Pictures: PNG, JPEG or WebP.")],
    bundle: options.BundleFolder = SHIPPED_BUNDLE,
    column: Annotated[str, typer.Option("--as", help="Kind of caption; by default any that the model knows.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="A .csv of file_name and text to write; by default lines are printed.")
    ] = None,
    seed: options.Seed = 0,
    steps: options.StudentSteps = 1,
    backend: options.BackendName = "auto",
    device: options.Device = "auto",
) -> None:
    """Write captions of pictures with a bundle that knows pictures and words."""
    from runtime import images
    from runtime.backend import BackendOptions
    from runtime.bundle import open_bundle
    from runtime.captioner import CaptionGenerator

    if out is not None and out.suffix.lower() != TABLE:
        raise BadInput(f"{out}: unknown kind of file '{out.suffix}'; accepted: {TABLE}")
    captioner = CaptionGenerator(open_bundle(bundle), backend, BackendOptions(None, device))
    pictures = [images.read(file, captioner.size) for file in files]
    seeds = [seed + number for number in range(len(files))]
    captions = captioner.caption(pictures, seeds, column, steps)
    if out is None:
        print(*(f"{file}: {one.text or '(nothing)'}" for file, one in zip(files, captions, strict=True)), sep="\n")
        return
    with atomic_file(out) as hidden, hidden.open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(["file_name", "text"])
        table.writerows([file.name, _plain(one.text)] for file, one in zip(files, captions, strict=True))
    print(out)


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text

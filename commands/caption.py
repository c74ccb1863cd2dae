"""`ippo caption`: what a bundle says of pictures, as lines or as a table that `ippo data build` reads."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from base.errors import BadInput
from base.files import atomic_file, check_writable
from base.shipped import SHIPPED_BUNDLE
from commands import options

TABLE = ".csv"
FORMULA = ("=", "+", "-", "@")
"""What a table's cell must not begin with: spreadsheets would compute it."""


def caption(
    files: Annotated[list[Path] | None, typer.Argument(help="Pictures: PNG, JPEG or WebP.")] = None,
    bundle: options.BundleFolder = SHIPPED_BUNDLE,
    column: Annotated[
        str,
        typer.Option("--as", help="Kind of caption; by default the first one; any: each may come."),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .csv of file_name and text to write, in the pictures' folder; by default lines are printed."
        ),
    ] = None,
    seed: options.Seed = 0,
    steps: options.StudentSteps = 1,
    backend: options.BackendName = "auto",
    device: options.Device = "auto",
    texts: Annotated[
        list[str] | None, typer.Option("--text", help="A text to say otherwise, of a model that reads as well.")
    ] = None,
) -> None:
    """Write captions of pictures with a bundle that knows pictures and words; or other words for a text."""
    from runtime import images
    from runtime.backend import BackendOptions
    from runtime.bundle import open_bundle
    from runtime.captioner import CaptionGenerator

    if bool(files) == bool(texts):
        raise BadInput("ippo caption takes pictures, or --text; accepted: one of the two")
    if texts and (column or out):
        raise BadInput(f"--text goes without {'--as' if column else '--out'}")
    names = _names(files or (), out) if out else []
    captioner = CaptionGenerator(open_bundle(bundle), backend, BackendOptions(None, device))
    if texts:
        written = captioner.reword(texts, [seed + number for number in range(len(texts))], steps=steps)
        print(*(one.text or "(nothing)" for one in written), sep="\n")
        return
    pictures = [images.read(file, captioner.size) for file in files or ()]
    captions = captioner.caption(pictures, [seed + number for number in range(len(pictures))], column, steps)
    if out is None:
        print(
            *(f"{file}: {one.text or '(nothing)'}" for file, one in zip(files or (), captions, strict=True)), sep="\n"
        )
        return
    with atomic_file(out) as hidden, hidden.open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(["file_name", "text"])
        table.writerows([name, _plain(one.text)] for name, one in zip(names, captions, strict=True))
    print(out)


def _names(files: Sequence[Path], out: Path) -> list[str]:
    """What a table at `out` calls pictures: their paths from its folder, bare names where they lie elsewhere.

    BadInput: it cannot be written there, or a name would stand for two pictures.
    """
    if out.suffix.lower() != TABLE:
        raise BadInput(f"{out}: unknown kind of file '{out.suffix}'; accepted: {TABLE}")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder")
    if out.is_dir():
        raise BadInput(f"{out} is a folder; accepted: a {TABLE} file to write")
    check_writable(out.parent)
    folder, named = out.parent.resolve(), dict[str, Path]()
    for file in files:
        place = file.parent.resolve() / file.name
        inside = place.is_relative_to(folder)
        name = place.relative_to(folder).as_posix() if inside else file.name
        other = named.setdefault(name, file) if inside or not (folder / name).exists() else out.parent / name
        if other is not file:
            raise BadInput(
                f"{file} and {other} would both be {name} in {out}: write the table into a folder above both"
            )
    return list(named)


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text

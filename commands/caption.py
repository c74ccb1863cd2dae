"""`ippo caption`: what a bundle says of pictures, as lines or as a table that `ippo data build` reads."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from base.errors import BadInput
from base.files import atomic_file, check_overwritable
from base.shipped import SHIPPED_BUNDLE
from commands import options

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.captioner import CaptionGenerator

TABLE = ".csv"
BATCH = 32
"""So many pictures are held in memory."""
TOLD = 10
"""So many pictures that are left out are told one by one."""
FORMULA = ("=", "+", "-", "@")
"""What a table's cell must not begin with: spreadsheets would compute it."""


def caption(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Pictures: PNG, JPEG or WebP; of a folder, all in it and below.")
    ] = None,
    bundle: options.BundleFolder = SHIPPED_BUNDLE,
    column: Annotated[
        str,
        typer.Option("--as", help="Kind of caption; by default the first one; any: each may come."),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .csv of file_name and text to write, in the pictures' folder or above; by default lines are printed."
        ),
    ] = None,
    seed: options.Seed = 0,
    steps: options.StudentSteps = 1,
    backend: options.BackendName = "auto",
    device: options.Device = "auto",
    texts: Annotated[
        list[str] | None, typer.Option("--text", help="A text to say otherwise, of a model that reads as well.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there.")] = False,
) -> None:
    """Write captions of pictures or whole folders with a bundle that knows pictures and words; or other words for a text."""
    from runtime.backend import BackendOptions
    from runtime.captioner import CaptionGenerator

    if bool(files) == bool(texts):
        raise BadInput("ippo caption takes pictures, or --text; accepted: one of the two")
    if texts and (column or out):
        raise BadInput(f"--text goes without {'--as' if column else '--out'}")
    pictures = _listed(files or ())
    names = _names(pictures, out, overwrite) if out else []
    captioner = CaptionGenerator(_opened(bundle), backend, BackendOptions(None, device))
    if texts:
        written = captioner.reword(texts, [seed + number for number in range(len(texts))], steps=steps)
        print(*(one.text or "(nothing)" for one in written), sep="\n")
        return
    said = dict(_captions(captioner, pictures, seed, column, steps))
    if out is None:
        print(*(f"{file}: {text or '(nothing)'}" for file, text in said.items()), sep="\n")
        return
    with atomic_file(out) as hidden, hidden.open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(["file_name", "text"])
        table.writerows([name, _plain(said[file])] for name, file in zip(names, pictures, strict=True) if file in said)
    print(out)
    silent = sum(not text for text in said.values())
    lacking = f"{silent} say nothing and are left out unless you write them; " if silent else ""
    _tell(f"{lacking}next: look through the table, then ippo data build {out.parent} NAME")


def _listed(files: Sequence[Path]) -> list[Path]:
    """The pictures that are named, and those of folders in the order of their paths, each once. BadInput: a folder has none."""
    from data.sources import pictures

    return list(dict.fromkeys(one for file in files for one in (pictures(file)[1] if file.is_dir() else [file])))


def _opened(folder: Path) -> Bundle:
    """The bundle in a folder. BadInput: it writes no captions."""
    from models.task import doing
    from models.tasks.image_to_text import ImageToText
    from runtime.bundle import open_bundle

    bundle = open_bundle(folder)
    if folder == SHIPPED_BUNDLE and doing(ImageToText.name, bundle.manifest.tasks) is None:
        raise BadInput(
            "the bundle that ships writes no captions; accepted: --bundle with one that does (make versatile)"
        )
    return bundle


def _captions(
    captioner: CaptionGenerator, pictures: Sequence[Path], seed: int, column: str, steps: int
) -> Iterator[tuple[Path, str]]:
    """Each picture that can be read with its caption; the others are told. BadInput: none can."""
    from base.progress import track
    from runtime import images

    numbered, lost = [*enumerate(pictures, seed)], list[BadInput]()
    parts: Iterable[list[tuple[int, Path]]] = [numbered[at : at + BATCH] for at in range(0, len(numbered), BATCH)]
    for part in track(parts, "captions", console=Console(stderr=True)) if len(numbered) > BATCH else parts:
        read = {}
        for number, file in part:
            try:
                read[file] = number, images.read(file, captioner.size)
            except BadInput as error:
                lost.append(error)
        if read:
            seeds, pixels = zip(*read.values(), strict=True)
            yield from zip(read, (one.text for one in captioner.caption(pixels, seeds, column, steps)), strict=True)
    if len(pictures) == len(lost) == 1:
        raise lost[0]
    for unread in lost[:TOLD]:
        _tell(f"left out: {unread}")
    if len(lost) == len(pictures):
        raise BadInput(f"none of the {len(lost)} pictures can be read")
    if lost:
        _tell(f"{len(lost)} of {len(pictures)} left out")


def _tell(line: str) -> None:
    Console(stderr=True).print(line, style="yellow", highlight=False, markup=False, emoji=False, soft_wrap=True)


def _names(files: Sequence[Path], out: Path, overwrite: bool) -> list[str]:
    """What a table at `out` calls pictures: their paths from its folder.

    BadInput: it cannot be written there, or is there and may not be overwritten; a picture does not lie in its folder or
    below, or is named twice.
    """
    if out.suffix.lower() != TABLE:
        raise BadInput(f"{out}: unknown kind of file '{out.suffix}'; accepted: {TABLE}")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder")
    if out.is_dir():
        raise BadInput(f"{out} is a folder; accepted: a {TABLE} file to write")
    check_overwritable(out, overwrite, "", "file")
    folder, named = out.parent.resolve(), dict[str, Path]()
    places = [file.parent.resolve() / file.name for file in files]
    for file, place in zip(files, places, strict=True):
        if not place.is_relative_to(folder):
            above = os.path.commonpath([one.parent for one in places])
            raise BadInput(f"{file} does not lie in or below {out.parent}; accepted: a table in {above} or above it")
        other = named.setdefault(place.relative_to(folder).as_posix(), file)
        if other is not file:
            raise BadInput(f"{file} and {other} are one picture: name it once")
    return list(named)


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text

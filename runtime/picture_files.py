"""Pictures that the rows of a list name: found and checked before anything is drawn, read when their turn comes.

It knows no backend, and nothing about where a list lies. Shapes: `H W` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from models.labels import Input
from models.task import Task
from runtime import images
from runtime.generator import Request
from runtime.prompts import Row
from runtime.provenance import told

Find = Callable[[str], Path | None]
"""A picture's name as a list has it → its file; None: there is none, or the name fits several."""


@dataclass(frozen=True)
class PictureFile:
    """One picture of a list, as it was when the list was read."""

    name: str
    """As the list has it."""
    path: Path
    digest: str
    """The first 16 digits of its SHA-256, as provenance tells them."""

    def pixels(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """`(H, W, 3)` of `size` (W, H). BadInput: it cannot be read any more, or is another picture by now."""
        pixels = images.read(self.path, size)
        if _digest(self.path) != self.digest:
            raise BadInput(f"{self.path} was changed while it was drawn from")
        return pixels


def wishes(rows: Sequence[Row], task: Task, size: tuple[int, int], find: Find) -> list[Row]:
    """Rows with what they say besides a prompt as part of their inputs: pictures as `PictureFile`s, and numbers.

    Every picture is read once, as the model sees it, `size` (W, H). BadInput, by the row: a picture that is not there or
    cannot be read, a number that is none, or what the task refuses.
    """
    known: dict[str, PictureFile] = {}
    return [_wish(row, task, size, find, known) if row.pictures or row.numbers else row for row in rows]


def opened(requests: Sequence[Request], size: tuple[int, int]) -> list[Request]:
    """The same requests with pixels in the place of picture files; a file that several name is read once.

    BadInput: as `PictureFile.pixels`.
    """
    pixels: dict[PictureFile, NDArray[np.uint8]] = {}
    for file in (file for request in requests for file in named(request.input).values()):
        if file not in pixels:
            pixels[file] = file.pixels(size)
    return [
        replace(one, input=replace(one.input, **{key: pixels[file] for key, file in files.items()})) if files else one  # type: ignore[type-var]
        for one, files in ((request, named(request.input)) for request in requests)
    ]


def named(input: Input) -> dict[str, PictureFile]:
    """The picture files that an input holds, by their keys."""
    if isinstance(input, str) or not is_dataclass(input):
        return {}
    held: dict[str, Any] = {field.name: getattr(input, field.name) for field in fields(input)}
    return {key: value for key, value in held.items() if isinstance(value, PictureFile)}


def _wish(row: Row, task: Task, size: tuple[int, int], find: Find, known: dict[str, PictureFile]) -> Row:
    try:
        for key, name in row.pictures.items():
            known[name] = known[name] if name in known else _checked(key, name, size, find)
        files = {key: known[name] for key, name in row.pictures.items()}
        numbers = {key: _number(key, text) for key, text in row.numbers.items()}
        input = task.joined(task.parse(row.input), {**files, **numbers})
    except BadInput as error:
        raise BadInput(f"{row.where}: {error}") from None
    further: dict[str, str | float] = {**{key: file.digest for key, file in files.items()}, **numbers}
    return replace(row, input=input, further=further)


def _checked(key: str, name: str, size: tuple[int, int], find: Find) -> PictureFile:
    """The picture of a name, which can be read. BadInput: it cannot, or there is none."""
    if (path := find(name)) is None:
        raise BadInput(f"{key} {name!r:.80} is not there; accepted: a picture's path from the list's folder")
    images.read(path, size)
    return PictureFile(name, path.resolve(), _digest(path))


def _digest(path: Path) -> str:
    return str(told({"file": path.read_bytes()})["file"])


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{key} {text!r:.40} is no number") from None

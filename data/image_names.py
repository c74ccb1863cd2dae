"""Which image a list means, however it spells the name; it knows nothing of captions or of what lists look like."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

_DRIVE = re.compile(r"^[A-Za-z]:")
"""Of Windows: a path goes on from the drive's root, or from where one was on it: `C:\\x\\y.png`, `C:y.png`."""

_WHOLE = re.compile(r"^(\d+)\.0$")
"""A whole number as a table writes it whose column lacks one somewhere."""


class ImageNames:
    """The images of a folder by their names, whatever case, Unicode form, separators or folders above a list gives them."""

    def __init__(self, images: Iterable[Path], source: Path) -> None:
        self._known = set(images)
        self._by_tail: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        self._by_number: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        self._by_stem: dict[Path, list[Path]] = defaultdict(list)
        for image in sorted(self._known):
            parts = _parts(image.relative_to(source).as_posix())
            for first in range(len(parts)):
                self._by_tail[parts[first:]].append(image)
                if (stem := PurePosixPath(parts[-1]).stem) != parts[-1]:
                    self._by_tail[(*parts[first:-1], stem)].append(image)
                if stem.isdecimal():
                    self._by_number[(*parts[first:-1], _bare(stem))].append(image)
            self._by_stem[image].append(image)
            self._by_stem[image.with_suffix("")].append(image)

    def named(self, name: str, table: Path) -> Path | None:
        """The one image that `name` in `table` can mean; None: no image, or several.

        The name is read from the table's own folder as it stands; else by as much of the path's end as one image alone has:
        a list may lie above or below its images, and name them by paths of another machine. Where no image
        is called `7.0`, it is `7`; where none is called that either, `00007.png`.
        """
        relative = table.parent / name.strip().replace("\\", "/")
        if relative in self._known:
            return relative
        fitting = self.fitting(name)
        return fitting[0] if len(fitting) == 1 else None

    def fitting(self, name: str) -> list[Path]:
        """The images that as much of the end of `name` has as any image has; several: it does not say which."""
        for spelt in (name, _WHOLE.sub(r"\1", name.strip())):
            parts = _parts(spelt)
            for first in range(len(parts)):
                if fitting := self._by_tail.get(parts[first:], []):
                    return fitting
        if parts and parts[-1].isdecimal():
            tails = ((*parts[first:-1], _bare(parts[-1])) for first in range(len(parts)))
            return next((self._by_number[tail] for tail in tails if tail in self._by_number), [])
        return []

    def of_sidecar(self, file: Path) -> list[Path]:
        """The images that a caption file in their folder belongs to: `cat.txt` and `cat.png.txt` to `cat.png`."""
        return self._by_stem.get(file.with_suffix(""), [])

    def of_stem(self, stem: str) -> list[Path]:
        """The one image of this name without its ending, wherever it lies; empty: none, or several."""
        fitting = self._by_tail.get(_parts(stem), [])
        return fitting if len(fitting) == 1 else []


def _bare(number: str) -> str:
    """Digits without zeros in front: a table of numbers has none, and the files of a set often do."""
    return number.lstrip("0") or "0"


def _parts(name: str) -> tuple[str, ...]:
    """A path's names, comparable: NFC, no case, no drive, no `.` and `..`."""
    plain = unicodedata.normalize("NFC", _DRIVE.sub("", name.strip().replace("\\", "/"))).casefold()
    return tuple(part for part in plain.split("/") if part not in ("", ".", "..") and not part.endswith(":"))

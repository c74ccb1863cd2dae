"""Which backends there are: every file of `runtime/` that says `BACKEND = BackendInfo(…)`. It imports none of them.

What a file says of itself is read from its source, as literals, so that a list of backends loads no runtime.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import FileFinder
from importlib.util import find_spec
from pathlib import Path

import runtime

NAME = "BACKEND"


@dataclass(frozen=True)
class BackendInfo:
    """What a backend says of itself, in literals and by keyword; its name is that of its file."""

    package: str
    """What it imports: it is installed where that can be found."""
    extra: str
    """Which extra of ippo installs that package."""
    devices: tuple[str, ...]
    """Where it runs: `cpu`, `cuda`. `auto` leaves the choice to the backend and is always accepted."""
    rank: int | None = None
    """Its place when nobody names a backend, the fastest first; None: it is used by name alone."""
    note: str = ""
    """What a help text adds to its name."""
    others: tuple[str, ...] = ()
    """What it imports besides, of which its extra installs everything too."""
    engines: bool = False
    """Whether `auto` takes it only where the bundle holds an engine for the GPU that is here."""

    @property
    def installed(self) -> bool:
        """Whether its packages can be imported; a folder of type stubs is a package without an origin."""
        return all(_is_there(package) for package in (self.package, *self.others))


def backends() -> dict[str, BackendInfo]:
    """Name → what the backend says of itself: first those that `auto` tries, in its order, then those used by name alone."""
    return _in_folders(tuple(runtime.__path__))


def installed(device: str = "auto") -> list[str]:
    """The backends whose package is there and that run on `device`, in the order of `backends`."""
    return [name for name, info in backends().items() if info.installed and device in ("auto", *info.devices)]


def devices() -> list[str]:
    """`auto`, and every device that some backend knows."""
    return list(dict.fromkeys(["auto", *(device for info in backends().values() for device in info.devices)]))


def described() -> str:
    """Names for a help text: `auto, openvino, ort, …`."""
    notes = {name: f" ({info.note})" if info.note else "" for name, info in backends().items()}
    return ", ".join(["auto", *(name + note for name, note in notes.items())])


def _is_there(package: str) -> bool:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # not even the package that it is a part of
        return False
    return spec is not None and spec.origin is not None


@cache
def _in_folders(folders: Sequence[str]) -> dict[str, BackendInfo]:
    found: dict[str, BackendInfo] = {}
    for module in pkgutil.iter_modules(folders):
        assert isinstance(module.module_finder, FileFinder)
        file = Path(module.module_finder.path) / f"{module.name}.py"
        if file.is_file() and (info := _read(file.read_text(encoding="utf-8"))):
            found[module.name] = info
    return dict(sorted(found.items(), key=lambda item: (item[1].rank is None, item[1].rank or 0, item[0])))


def _read(source: str) -> BackendInfo | None:
    """The literals of `BACKEND = BackendInfo(…)` in a file's source; None: the file is no backend."""
    if f"\n{NAME} = " not in source:
        return None
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(keywords=keywords)) if name == NAME:
                return BackendInfo(**{str(word.arg): ast.literal_eval(word.value) for word in keywords})
    return None

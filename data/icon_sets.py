"""Open icon sets as their npm packages hold them, and the style of each in plain words; it knows nothing of pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.config import nearest
from base.errors import BadInput

PACKAGES = Path(__file__).with_name("icon_packages")
"""Its `package.json` pins the versions; `npm ci` installs them next to it."""
_SCOPE = "@iconify-json"


@dataclass(frozen=True)
class Style:
    """The look of one icon set."""

    icon_set: str
    """Its package is `@iconify-json/…`."""
    name: str
    """What captions call it."""
    name_fr: str
    also: tuple[str, ...]
    """What else a person may type."""
    also_fr: tuple[str, ...]


STYLES = (
    Style("noto", "shaded", "ombré", ("detailed", "soft shading", "noto"), ("détaillé", "nuancé", "noto")),
    Style("noto-v1", "blob", "blob", ("blobby", "rounded", "android"), ("arrondi", "patatoïde", "android")),
    Style("twemoji", "simple", "simple", ("minimal", "plain", "twemoji"), ("épuré", "minimaliste", "twemoji")),
    Style("fluent-emoji-flat", "flat", "plat", ("bold", "flat design"), ("à plat", "aplats")),
    Style("fluent-emoji", "glossy", "brillant", ("shiny", "3d", "fluent"), ("luisant", "3d", "fluent")),
    Style("emojione", "classic", "classique", ("retro", "old school", "emojione"), ("rétro", "ancien", "emojione")),
)
"""The styles that a model is trained on."""
UNSEEN_STYLE = Style(
    "openmoji",
    "outlined",
    "au trait",
    ("outline", "line art", "openmoji"),
    ("contour noir", "dessin au trait", "openmoji"),
)
"""The style that is tested, and never trained on."""


@dataclass(frozen=True)
class Icon:
    """One drawing as SVG markup, and the rectangle of its coordinates that shows."""

    name: str
    body: str
    left: float
    top: float
    width: float
    height: float


def choose_styles(names: Sequence[str] | None) -> tuple[Style, ...]:
    """The trained styles by the names of their sets or their own, in the order of `STYLES`; all of them without names.

    BadInput: a name that is neither, or fewer than two.
    """
    if names is None:
        return STYLES
    known = {name: style for style in STYLES for name in (style.icon_set, style.name)}
    for name in names:
        if name not in known:
            raise BadInput(f"no icon set '{name}'{nearest(name, known)}")
    chosen = {known[name] for name in names}
    if len(chosen) < 2:
        raise BadInput(f"one style is no choice: give two or more of {', '.join(style.icon_set for style in STYLES)}")
    return tuple(style for style in STYLES if style in chosen)


def install_command(packages: Path = PACKAGES) -> str:
    """The command that installs the packages."""
    return f"npm ci --prefix {packages}"


class IconSet:
    """One set: its icons by name and, where the package lists them, by code points."""

    def __init__(self, name: str, modules: Path | None = None) -> None:
        """`modules`: the `node_modules` that holds the package, by default that of `PACKAGES`.

        BadInput: no such package, one of another version than is pinned, or files that are not an icon set.
        """
        folder = (modules or PACKAGES / "node_modules") / _SCOPE / name
        _check_version(name, folder)
        content = _load(folder / "icons.json")
        codes = _load(folder / "chars.json") if (folder / "chars.json").is_file() else {}
        self.name, self._folder = name, folder
        self._icons: Mapping[str, Any] = content.get("icons", {})
        self._aliases: Mapping[str, Any] = content.get("aliases", {})
        self._frame = {"width": content.get("width", 16), "height": content.get("height", 16), "left": 0, "top": 0}
        self._by_code = {_bare(code): icon for code, icon in codes.items()}
        if not self._icons:
            raise BadInput(f"{folder / 'icons.json'} holds no icons: {install_command()}")

    def find(self, char: str, names: Sequence[str]) -> Icon | None:
        """The icon of an emoji: by its code points, else by the first of `names` that the set has.

        BadInput: an icon without a body, or aliases that lead back to themselves.
        """
        by_code = self._by_code.get(_bare("-".join(f"{ord(point):x}" for point in char)))
        for name in (by_code, *names):
            if name is not None and (icon := self._resolve(name)) is not None:
                return icon
        return None

    def digest(self) -> str:
        """Version and SHA-256 of the icons, as the data set's report states them."""
        version = _load(self._folder / "package.json")["version"]
        return f"{version} sha256:{hashlib.sha256((self._folder / 'icons.json').read_bytes()).hexdigest()}"

    def _resolve(self, name: str) -> Icon | None:
        """An icon under its own name or an alias; None: no such name, or one that turns or mirrors another's drawing."""
        passed = [name]
        while name not in self._icons:
            alias = self._aliases.get(name)
            if alias is None or alias.keys() & {"hFlip", "vFlip", "rotate"}:
                return None
            name = alias["parent"]
            if name in passed:
                raise BadInput(f"icon set {self.name}: alias '{name}' leads back to itself; {install_command()}")
            passed.append(name)
        entry = self._icons[name]
        if not entry.get("body"):
            raise BadInput(f"icon set {self.name}: icon '{name}' has no body; {install_command()}")
        frame = {side: float(entry.get(side, default)) for side, default in self._frame.items()}
        return Icon(name, entry["body"], **frame)


def _check_version(name: str, folder: Path) -> None:
    package = f"{_SCOPE}/{name}"
    pinned = _load(PACKAGES / "package.json")["dependencies"][package]
    if not (folder / "package.json").is_file():
        raise BadInput(f"the icon set {package} is not in {folder.parent.parent}: {install_command()}")
    version = _load(folder / "package.json").get("version")
    if version != pinned:
        raise BadInput(f"{folder} is version {version}, and {pinned} is pinned: {install_command()}")


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read ({error}): {install_command()}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{file} is not a JSON object: {install_command()}")
    return content


def _bare(code: str) -> str:
    """Code points without the variation selector, which sets write or leave out as they please."""
    return "-".join(point for point in code.lower().split("-") if point != "fe0f")

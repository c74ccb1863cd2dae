"""Twelve things of four sets and of OpenMoji, cut out of the npm packages, so that tests need none of them.

`python -m tests.data.sample_icons` writes the sample again from installed packages, after a version was raised.
"""

from __future__ import annotations

import json
from pathlib import Path

from data.icon_sets import PACKAGES, STYLES, UNSEEN_STYLE, IconSet
from data.icon_things import things

SAMPLE = Path(__file__).with_name("icon_sample")
"""In the place of a `node_modules`."""
SETS = ("noto", "twemoji", "fluent-emoji-flat", "emojione")
EMOJI = ("😀", "❤️", "💚", "💙", "🐱", "🦊", "🍎", "🍏", "🍕", "📕", "📗", "📘")
_LEGEND = """Icons of npm packages @iconify-json/…, unchanged, twelve of each, for this project's tests.

noto: Google, Apache License 2.0, https://github.com/googlefonts/noto-emoji
twemoji: Twitter and contributors, CC BY 4.0, https://github.com/jdecked/twemoji
fluent-emoji-flat: Microsoft, MIT License, Copyright (c) Microsoft Corporation, https://github.com/microsoft/fluentui-emoji
emojione: Emoji One, CC BY 4.0, https://github.com/EmojiTwo/emojitwo
openmoji: OpenMoji, CC BY-SA 4.0, https://github.com/hfg-gmuend/openmoji
"""


def write(out: Path) -> None:
    """Packages like the installed ones, of the sample's icons alone."""
    chosen = [thing for thing in things() if thing.emoji in EMOJI]
    names = {style.icon_set for style in (*STYLES, UNSEEN_STYLE)} & {*SETS, UNSEEN_STYLE.icon_set}
    for name in sorted(names):
        source = PACKAGES / "node_modules" / "@iconify-json" / name
        icon_set, content = IconSet(name), _read(source / "icons.json")
        found = [icon for thing in chosen if (icon := icon_set.find(thing.emoji, thing.icons)) is not None]
        icons = {icon.name: content["icons"][icon.name] for icon in found}
        codes = {code: icon for code, icon in _read(source / "chars.json").items() if icon in icons}
        package = {key: _read(source / "package.json")[key] for key in ("name", "version", "license")}
        folder = out / "@iconify-json" / name
        folder.mkdir(parents=True, exist_ok=True)
        sides = {key: content[key] for key in ("prefix", "width", "height")}
        _write(folder / "icons.json", {**sides, "icons": icons})
        _write(folder / "chars.json", codes)
        _write(folder / "package.json", package)
    (out / "LICENSES.txt").write_text(_LEGEND, encoding="utf-8")


def _read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def _write(file: Path, content: dict) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(SAMPLE)

"""A set of things in styles on grounds, as `ippo data icons` writes one, of 16 pixels and without a package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from metrics.attribute_accuracy import open_judge
from metrics.judge_network import Judge

THINGS = {"red cat": (220, 40, 40), "green cat": (40, 180, 60), "dog": (50, 70, 220)}
STYLES = ("whole", "hollow")
GROUNDS = {"white": (255, 255, 255), "grey": (128, 128, 128)}
SLOTS = (tuple(THINGS), STYLES, tuple(GROUNDS))
LACKING = ("dog", "hollow")
"""What no training sees together."""


def rows(split: str) -> Iterator[tuple[str, str, str, str]]:
    """Thing, style, ground and kind."""
    for thing in THINGS:
        for style in STYLES:
            for ground in GROUNDS:
                unseen = (thing, style) == LACKING
                if unseen == (split == "test"):
                    yield thing, style, ground, "unseen-combination" if unseen else "seen"


def draw(thing: str, style: str, ground: str) -> np.ndarray:
    pixels = np.full((16, 16, 3), GROUNDS[ground], np.uint8)
    pixels[4:12, 4:12] = THINGS[thing]
    if style == "hollow":
        pixels[6:10, 6:10] = GROUNDS[ground]
    return pixels


def write_styled(folder: Path) -> Path:
    """Train, validation (the same pictures) and test."""
    for split in ("train", "validation", "test"):
        (folder / split).mkdir(parents=True)
        table = []
        for thing, style, ground, kind in rows(split):
            name = f"{len(table):03d}.png"
            Image.fromarray(draw(thing, style, ground)).save(folder / split / name)
            on, sur = ("", "") if ground == "white" else (f" on {ground}", f" sur {ground}")
            captions = {"text": thing + on, "text_fr": f"le {thing}{sur}"}
            said = {"attributes": [thing, style, ground], "label": [*THINGS].index(thing), "kind": kind}
            table.append({"file_name": name, **captions, **said, "emoji": thing, "style": style, "ground": ground})
        (folder / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    return folder


def untrained_judge() -> Judge:
    """A judge of the set's attributes that has seen nothing."""
    return open_judge(SLOTS).eval()

"""Render open icon sets as captioned pictures with a compositional held-out part; it knows nothing of who reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from rich.console import Console

from base.errors import BadInput
from base.files import atomic_folder
from base.progress import progress
from data import emoji_captions, icon_captions, icon_drawing, icon_sets, icon_split, icon_things
from data.attributed import SLOTS, write_slots
from data.cleaning_report import CleaningReport, Dropped, finished, write_metadata
from data.icon_captions import COLOURS, GROUNDS
from data.icon_drawing import Pixels
from data.icon_sets import UNSEEN_STYLE, IconSet, Style, choose_styles
from data.icon_split import IconPlan, IconRow, choose_unseen, digest, plan_rows
from data.icon_things import Thing, things

MADE_BY = "ippo data icons"
SPLITS = ("train", "validation", "test")
STYLES_PER_THING = 4
"""What exists in fewer of the chosen sets, where there are so many, is left out."""
MOST_COLOURS = 6
"""Accepted coloured grounds of each thing in each style, at most."""
_FACE = "😀"
"""The plain face by which the smileys of a set are aligned."""
_STANDING_OUT = 0.7
"""Share of a thing's edge that must differ visibly from a coloured ground."""
_TWINS = 4.0
"""The root mean square difference of two thumbnails, of 255, below which they are one picture."""

Pictures = dict[tuple[str, str], Pixels]
"""Emoji and set → `(S, S, 4)` RGBA."""


@dataclass(frozen=True)
class Drawing:
    """The pictures of every set, and what was left out and why."""

    pictures: Pictures
    dropped: tuple[Dropped, ...]


def icons(
    out: Path, sets: Sequence[str] | None = None, count: int | None = None, modules: Path | None = None,
    size: int = 128, colours: int = 1, seed: int = 0, whole: bool = False,
) -> CleaningReport:  # fmt: skip
    """Write the set as a Hugging Face imagefolder of (size, size) PNGs: train, validation, test, and `slots.json`.

    Thing, style and ground determine a picture: there is no jitter. Of each thing in each style there are `colours`
    coloured grounds besides white. `sets` chooses styles by name, `count` so many of the things that all of them show.
    A `whole` set holds out no combination of seen things, styles and grounds: it is for a judge.
    `modules` is the `node_modules` of the icon packages. A folder made before with the same parameters is left as it is.
    BadInput: missing packages or other versions, unknown sets, numbers out of range, or a folder that this did not make.
    """
    if not 16 <= size <= 256 or not 1 <= colours <= MOST_COLOURS:
        raise BadInput(f"size {size}, colours {colours}: accepted are sizes 16 to 256 and 1 to {MOST_COLOURS} colours")
    if count is not None and count < 2:
        raise BadInput(f"{count} things: accepted are 2 or more")
    styles = choose_styles(sets)
    opened = {style: IconSet(style.icon_set, modules) for style in (*styles, UNSEEN_STYLE)}
    parameters = {"sets": [style.icon_set for style in styles], "count": count, "size": size, "colours": colours}
    parameters |= {"whole": True} if whole else {}
    plan = CleaningReport(MADE_BY, Path(out), {}, (), {**parameters, "seed": seed}, _versions(opened.values()))
    if (existing := finished(plan)) is not None:
        return existing

    drawing = draw_all(choose(opened, styles, count, seed), opened, size)
    chosen, few = _enough(drawing.pictures, styles)
    unseen = choose_unseen(chosen, seed)
    seen = [thing for thing in chosen if thing not in unseen]
    rows = plan_rows(IconPlan(styles, UNSEEN_STYLE, _grounds(drawing.pictures), colours, seed, whole), seen, unseen)
    with atomic_folder(plan.folder) as folder:
        counts = _write(folder, rows, drawing.pictures, seed)
        slots = {"thing": [thing.name for thing in seen], "style": [style.name for style in styles]}
        write_slots(folder / SLOTS, {**slots, "ground": list(GROUNDS)})
        report = replace(plan, rows=counts, dropped=(*drawing.dropped, *few))
        report.save(folder)
    return report


def choose(opened: Mapping[Style, IconSet], styles: Sequence[Style], count: int | None, seed: int) -> list[Thing]:
    """Choose all things, or `count` of those that every chosen set shows, by a hash. BadInput: there are fewer."""
    if count is None:
        return list(things())
    shown = [thing for thing in things() if all(_find(opened[style], thing) for style in styles)]
    if len(shown) < count:
        raise BadInput(f"{count} things: all of these sets show {len(shown)}")
    chosen = sorted(shown, key=lambda thing: digest(seed, "count", thing.emoji))[:count]
    return [thing for thing in shown if thing in chosen]


def draw_all(chosen: Sequence[Thing], opened: Mapping[Style, IconSet], size: int) -> Drawing:
    """Draw every thing in every set at `(size, size)`, alike in extent and position.

    What is blank, or looks like an earlier thing of the set, is dropped.
    """
    pictures: Pictures = {}
    dropped: list[Dropped] = []
    with progress(Console(stderr=True)) as bar:
        for style, icon_set in opened.items():
            earlier: dict[str, NDArray[np.float32]] = {}
            pictures_of_set = bar.track(_draw(chosen, icon_set, size), len(chosen), description=style.icon_set)
            for thing, picture in pictures_of_set:
                if picture is not None and (why := _fault(picture, earlier)) is not None:
                    dropped.append(Dropped(f"{thing.name} in {style.icon_set}", why))
                elif picture is not None:
                    earlier[thing.name] = icon_drawing.thumbnail(picture)
                    pictures[thing.emoji, style.icon_set] = picture
    return Drawing(pictures, tuple(dropped))


def _fault(picture: Pixels, earlier: Mapping[str, NDArray[np.float32]]) -> str | None:
    """Why a picture cannot be used, or None."""
    if not picture[..., 3].any():
        return "blank"
    own = icon_drawing.thumbnail(picture)
    twins = (name for name, other in earlier.items() if np.sqrt(((own - other) ** 2).mean()) < _TWINS)
    return next((f"looks the same as {twin}" for twin in twins), None)


def _draw(chosen: Sequence[Thing], icon_set: IconSet, size: int) -> Iterator[tuple[Thing, Pixels | None]]:
    """Yield each thing and its picture `(size, size, 4)`, None where the set has none."""
    plain = next(thing for thing in things() if thing.emoji == _FACE)
    plain_icon = _find(icon_set, plain)
    face = None if plain_icon is None else icon_drawing.extent(icon_drawing.rasterize(plain_icon))
    for thing in chosen:
        if (icon := _find(icon_set, thing)) is None:
            yield thing, None
            continue
        drawing = icon_drawing.rasterize(icon)
        box = icon_drawing.extent(drawing)
        if box is None:
            yield thing, np.zeros((size, size, 4), np.uint8)
        elif face is not None and thing.category == "smileys":
            yield thing, icon_drawing.fit(drawing, icon_drawing.view_like(face, box), size)
        else:
            yield thing, icon_drawing.fit(drawing, icon_drawing.view(box), size)


def _find(icon_set: IconSet, thing: Thing) -> icon_sets.Icon | None:
    return None if icon_set.name in thing.wrong else icon_set.find(thing.emoji, thing.icons)


def _enough(pictures: Pictures, styles: Sequence[Style]) -> tuple[list[Thing], list[Dropped]]:
    """The things in enough of the trained styles, and the others."""
    needed = min(STYLES_PER_THING, len(styles))
    shown = {thing: sum((thing.emoji, style.icon_set) in pictures for style in styles) for thing in things()}
    few = [Dropped(thing.name, f"in {number} of the sets") for thing, number in shown.items() if 0 < number < needed]
    return [thing for thing, number in shown.items() if number >= needed], few


def _grounds(pictures: Pictures) -> dict[tuple[str, str], list[str]]:
    def good(picture: Pixels, colour: str) -> bool:
        return icon_drawing.standing_out(picture, GROUNDS[colour][0]) >= _STANDING_OUT

    return {pair: [colour for colour in COLOURS if good(picture, colour)] for pair, picture in pictures.items()}


def _write(folder: Path, rows: Sequence[IconRow], pictures: Pictures, seed: int) -> dict[str, int]:
    metadata: dict[str, list[dict[str, object]]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        (folder / split).mkdir()
    with progress(Console(stderr=True)) as bar:
        for row in bar.track(rows, description="writing pictures"):
            picture = pictures[row.thing.emoji, row.style.icon_set]
            name = f"{len(metadata[row.split]):05d}.png"
            icon_drawing.on_ground(picture, GROUNDS[row.ground][0]).save(folder / row.split / name, compress_level=1)
            metadata[row.split].append({"file_name": name, **_columns(row, seed)})
    for split in SPLITS:
        write_metadata(folder / split, metadata[split])
    return {split: len(metadata[split]) for split in SPLITS}


def _columns(row: IconRow, seed: int) -> dict[str, object]:
    thing, style, ground = row.thing, row.style, row.ground
    key = f"{thing.emoji}/{style.icon_set}/{ground}"
    typing, typing_fr = (
        np.random.Generator(np.random.Philox(key=int.from_bytes(digest(seed, language, key)[:16])))
        for language in ("typed", "typed_fr")
    )
    return {
        "text": icon_captions.text(thing, ground),
        "text_fr": icon_captions.text_fr(thing, ground),
        "text_style": icon_captions.text_style(thing, style, ground),
        "text_style_fr": icon_captions.text_style_fr(thing, style, ground),
        "text_typed": icon_captions.typed(thing, style, ground, typing),
        "text_typed_fr": icon_captions.typed_fr(thing, style, ground, typing_fr),
        "attributes": [thing.name, style.name, ground],
        "label": row.label, "emoji": thing.emoji, "category": thing.category,
        "style": style.name, "ground": ground, "kind": row.kind,
    }  # fmt: skip


def _versions(opened: Iterable[IconSet]) -> dict[str, str]:
    """Everything that decides the pictures and captions besides the parameters, this code included."""
    modules = (emoji_captions, icon_captions, icon_drawing, icon_sets, icon_split, icon_things)
    made_with = [Path(__file__), icon_things.TABLE, *(Path(str(module.__file__)) for module in modules)]
    return {
        "code sha256": hashlib.sha256(b"".join(path.read_bytes() for path in made_with)).hexdigest(),
        **{icon_set.name: icon_set.digest() for icon_set in opened},
        "resvg-py": version("resvg-py"),
        "pillow": PIL.__version__,
        "numpy": np.__version__,
    }

"""Render a captioned emoji set with a compositional held-out part; it knows nothing of who reads it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import PIL
from PIL import Image, ImageFont
from rich.console import Console

from base.errors import BadInput
from base.files import atomic_folder
from base.progress import track
from data import emoji_captions, glyphs
from data.cleaning_report import CleaningReport, Dropped, finished, write_metadata

Subset = Literal["emoji", "emoji-mini"]
"""All emoji but skin tones and flags, or the few of `emoji_mini.txt`."""
MADE_BY = "ippo data emoji"
SPLITS = ("train", "validation", "test")
UNSEEN_SHARE = 0.05
"""Share of the full set's emoji that are held out entirely."""
_SCALE, _SHIFT, _TILT = (0.9, 0.98), 1.0, 3.0
"""Bounds of placements: scale in parts of the frame, shift in pixels, tilt in degrees.

So wide that a caption is no look-up, and no wider: three times these made two thirds of the latents' spread, and a model's
pictures were smeared."""
_MINI = Path(__file__).with_name("emoji_mini.txt")


@dataclass(frozen=True)
class EmojiRow:
    """One picture: which emoji, on what, how it stands, and what its caption says."""

    split: str
    kind: str
    """`seen`, `unseen-background` or `unseen-emoji`."""
    char: str
    label: int
    background: str
    named: bool
    """Whether the captions name the background."""
    at: glyphs.Placement

    def metadata(self, file_name: str) -> dict[str, object]:
        """The picture's row of metadata.jsonl: its file, captions, label and how it was made."""
        text, text_fr = emoji_captions.english(self.char), emoji_captions.french(self.char)
        if self.named:
            text, text_fr = emoji_captions.on_background(text, text_fr, self.background)
        typed = emoji_captions.typed(self.char, text, text_fr, _generator(0, f"typed/{self.split}/{file_name}"))
        return {
            "file_name": file_name, "text": text, "text_fr": text_fr, "text_typed": typed, "label": self.label,
            "emoji": self.char, "background": self.background, "kind": self.kind,
        }  # fmt: skip


def render(
    out: Path, subset: Subset = "emoji", font: Path | None = None, size: int = 64, seed: int = 0,
    renderings: int = 16, only: Sequence[str] | None = None,
) -> CleaningReport:  # fmt: skip
    """Write the set as a Hugging Face imagefolder of (size, size) PNGs: train, validation, test.

    Every emoji gets `renderings` pictures, half on white, half on colours; half of the captions name the background.
    `test` is compositional: emoji never trained, and every other emoji once on the colour it never has in training.
    `only` restricts the set to these emoji. A folder made before with the same parameters is left as it is.
    BadInput: no font, sizes or counts out of range, or a folder at `out` that this did not make.
    """
    if not 16 <= size <= 512 or not 2 <= renderings <= 1000:
        raise BadInput(f"size {size}, renderings {renderings}: accepted are sizes 16 to 512 and 2 to 1000 renderings")
    out = Path(out)
    opened = glyphs.open_font(font)
    chars, held_out = choose(subset, only)
    plan = CleaningReport(MADE_BY, out, {}, (), _parameters(subset, size, seed, renderings, only), _versions(font))
    if (existing := finished(plan)) is not None:
        return existing
    images, dropped = _draw_all(opened, chars)
    unseen = choose_unseen(list(images), seed) if held_out is None else [char for char in held_out if char in images]
    rows = plan_rows([char for char in images if char not in unseen], unseen, renderings, seed)
    with atomic_folder(out) as folder:
        counts = _write(folder, rows, images, size)
        report = replace(plan, rows=counts, dropped=tuple(dropped))
        report.save(folder)
    return report


def choose(subset: Subset, only: Sequence[str] | None = None) -> tuple[list[str], list[str] | None]:
    """The emoji of a set in label order, and those held out entirely (None: to be chosen by their words).

    BadInput: an unknown set, or emoji in `only` that are not in it.
    """
    if subset == "emoji":
        chars, held_out = emoji_captions.fully_qualified(), None
    elif subset == "emoji-mini":
        lines = [line for line in _MINI.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        chars = [line.removeprefix("unseen ") for line in lines]
        held_out = [line.removeprefix("unseen ") for line in lines if line.startswith("unseen ")]
    else:
        raise BadInput(f"no emoji set {subset!r}: accepted are emoji and emoji-mini")
    if only is not None:
        if unknown := [char for char in only if char not in chars]:
            raise BadInput(f"not in the set {subset}: {' '.join(unknown)}")
        chars = [char for char in chars if char in only]
    return chars, held_out


def choose_unseen(chars: Sequence[str], seed: int) -> list[str]:
    """About one emoji in twenty whose every word, English and French, still occurs in two other emoji's captions."""
    vocabulary = {char: [("en", word) for word in emoji_captions.words(emoji_captions.english(char))]
                  + [("fr", word) for word in emoji_captions.words(emoji_captions.french(char))] for char in chars}  # fmt: skip
    counts = Counter(word for used in vocabulary.values() for word in used)
    unseen: list[str] = []
    for char in sorted(chars, key=lambda char: _digest(seed, "unseen", char)):
        if len(unseen) < UNSEEN_SHARE * len(chars) - 0.5 and all(counts[word] >= 3 for word in vocabulary[char]):
            unseen.append(char)
            counts.subtract(vocabulary[char])
    return [char for char in chars if char in unseen]


def held_out_colour(char: str, seed: int) -> str:
    """The one colour that an emoji never has in training."""
    return emoji_captions.COLOURS[int.from_bytes(_digest(seed, "colour", char)[:8]) % len(emoji_captions.COLOURS)]


def plan_rows(seen: Sequence[str], unseen: Sequence[str], renderings: int, seed: int) -> list[EmojiRow]:
    """Every picture of the set, one of each emoji in turn. Labels: the seen emoji in order, then the unseen."""
    planned = [list(_rows_of_seen(char, label, renderings, seed)) for label, char in enumerate(seen)]
    planned += [list(_rows_of_unseen(char, len(seen) + index, renderings, seed)) for index, char in enumerate(unseen)]
    longest = max((len(rows) for rows in planned), default=0)
    return [rows[turn] for turn in range(longest) for rows in planned if turn < len(rows)]


def _rows_of_seen(char: str, label: int, renderings: int, seed: int) -> Iterator[EmojiRow]:
    rng, missing = _generator(seed, char), held_out_colour(char, seed)
    colours = [colour for colour in emoji_captions.COLOURS if colour != missing]
    for background, named in _backgrounds(rng, colours, renderings):
        yield EmojiRow("train", "seen", char, label, background, named, _placement(rng))
    background = emoji_captions.WHITE if rng.random() < 0.5 else colours[rng.integers(len(colours))]
    yield EmojiRow("validation", "seen", char, label, background, bool(rng.random() < 0.5), _placement(rng))
    yield EmojiRow("test", "unseen-background", char, label, missing, True, _placement(rng))


def _rows_of_unseen(char: str, label: int, renderings: int, seed: int) -> Iterator[EmojiRow]:
    rng = _generator(seed, char)
    for background, named in _backgrounds(rng, emoji_captions.COLOURS, renderings):
        yield EmojiRow("test", "unseen-emoji", char, label, background, named, _placement(rng))


def _backgrounds(rng: np.random.Generator, colours: Sequence[str], count: int) -> list[tuple[str, bool]]:
    """Half white, half colours in turn from a random start, each kind named every second time, in a random order."""
    whites = (count + 1) // 2
    turns = [colours[index] for index in rng.permutation(len(colours))] * (count // len(colours) + 1)
    first = int(rng.integers(2))
    pairs = [(emoji_captions.WHITE, (turn + first) % 2 == 0) for turn in range(whites)]
    pairs += [(turns[turn], (turn + first) % 2 == 1) for turn in range(count - whites)]
    return [pairs[index] for index in rng.permutation(count)]


def _placement(rng: np.random.Generator) -> glyphs.Placement:
    shift, tilt = _SHIFT, _TILT
    scale, x, y, turned = rng.uniform((_SCALE[0], -shift, -shift, -tilt), (_SCALE[1], shift, shift, tilt)).tolist()
    return glyphs.Placement(scale, (x, y), turned)


def _draw_all(font: ImageFont.FreeTypeFont, chars: Sequence[str]) -> tuple[dict[str, Image.Image], list[Dropped]]:
    images: dict[str, Image.Image] = {}
    dropped: list[Dropped] = []
    looks: dict[bytes, str] = {}
    for char in chars:
        glyph = glyphs.draw(font, char)
        why = glyphs.fault(font, char, glyph)
        twin = looks.setdefault(glyph.tobytes(), char)
        if why is None and twin != char:
            why = f"looks the same as {twin}"
        if why is None:
            images[char] = glyph
        else:
            dropped.append(Dropped(f"{char} {emoji_captions.english(char)}", why))
    if not images:
        raise BadInput("the font draws none of these emoji: accepted is NotoColorEmoji.ttf")
    return images, dropped


def _write(folder: Path, rows: Sequence[EmojiRow], images: dict[str, Image.Image], size: int) -> dict[str, int]:
    outlines = {char: glyphs.outline(glyph) for char, glyph in images.items()}
    metadata: dict[str, list[dict[str, object]]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        (folder / split).mkdir()
    for row in track(rows, "rendering emoji", console=Console(stderr=True)):
        colour, _ = emoji_captions.BACKGROUNDS[row.background]
        picture = glyphs.composite(images[row.char], outlines[row.char], colour, row.at, size)
        name = f"{len(metadata[row.split]):05d}.png"
        picture.save(folder / row.split / name, compress_level=1)
        metadata[row.split].append(row.metadata(name))
    for split in SPLITS:
        write_metadata(folder / split, metadata[split])
    return {split: len(metadata[split]) for split in SPLITS}


def _parameters(subset: str, size: int, seed: int, renderings: int, only: Sequence[str] | None) -> dict[str, object]:
    chosen = None if only is None else sorted(only)
    return {"subset": subset, "size": size, "seed": seed, "renderings": renderings, "only": chosen}


def _versions(font: Path | None) -> dict[str, str]:
    """Everything that decides the pictures and captions besides the parameters, this code included."""
    made_with = [Path(__file__), _MINI, *(Path(str(module.__file__)) for module in (emoji_captions, glyphs))]
    return {
        "font sha256": hashlib.sha256((font or glyphs.DEFAULT_FONT).read_bytes()).hexdigest(),
        "code sha256": hashlib.sha256(b"".join(path.read_bytes() for path in made_with)).hexdigest(),
        "emoji": version("emoji"),
        "pillow": PIL.__version__,
        "numpy": np.__version__,
    }


def _digest(seed: int, purpose: str, char: str) -> bytes:
    return hashlib.sha256(f"{seed}/{purpose}/{char}".encode()).digest()


def _generator(seed: int, char: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(seed, "placement", char)[:16])))

"""Whether prompts as people type them are drawn as they are meant, by the judge; it knows callables, no generators.

Shapes: `N` images, `H W` pixels.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from base.config import nearest
from base.errors import BadInput
from evaluation.attributes.slot_judge import SlotJudge
from evaluation.attributes.slots_by_kind import REALS
from evaluation.draw import Draw, drawn
from evaluation.line import share
from evaluation.pages.sheet import Sheet
from metrics.features import Images
from metrics.labelled_images import LabelledImages

PROMPT, LANGUAGE = "prompt", "language"
"""Columns of a file of prompts, besides one for each slot of the judge."""
SEEDS = 4
"""Pictures drawn of each prompt."""


@dataclass(frozen=True)
class TypedPrompt:
    """A prompt as typed, and what it means."""

    prompt: str
    language: str
    attributes: tuple[str, ...]
    """What it says of each slot, the content first; nothing of slots that it leaves free."""


@dataclass(frozen=True)
class TypedLine:
    """What one source draws for the prompts."""

    source: str
    n: int
    slots: dict[str, float]
    """Share right by slot, of the prompts that say something of it."""
    languages: dict[str, float]
    """Share in which the content is right, by language."""
    missed: tuple[str, ...]
    """Prompts whose content is wrong in half of their pictures or more."""


def read(file: Path, judge: SlotJudge) -> list[TypedPrompt]:
    """Prompts of a table with tabs: `prompt`, `language`, and a column a slot. BadInput: a missing column, or unknown names."""
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            table = csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE)
            lacking = {PROMPT, LANGUAGE, *judge.slots} - set(table.fieldnames or ())
            rows = list(table)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if lacking:
        raise BadInput(f"{file} has no column {', '.join(sorted(lacking))}; columns are separated by tabs")
    if not rows:
        raise BadInput(f"{file} holds no prompts")
    return [_typed(file, number, row, judge) for number, row in enumerate(rows, start=2)]


def measure(
    prompts: Sequence[TypedPrompt],
    judge: SlotJudge,
    reals: LabelledImages,
    draws: Mapping[str, Draw],
    batch: int = 50,
) -> tuple[TypedLine, ...]:
    """The reals of what is meant, which are the ceiling, and then every source, under the same seeds."""
    lines = [_of_reals(prompts, judge, reals)]
    repeated = [prompt for prompt in prompts for _ in range(SEEDS)]
    for name, draw in draws.items():
        batches = drawn(draw, [one.prompt for one in repeated], range(len(repeated)), batch, f"typed prompts: {name}")
        lines.append(_line(name, judge, repeated, np.concatenate(batches)))
    return tuple(lines)


def sheet(lines: Sequence[TypedLine]) -> Sheet:
    """A row for each source; the content by language, then every slot."""
    languages = sorted({language for line in lines for language in line.languages})
    slots = list(lines[0].slots) if lines else []
    content = slots[0] if slots else ""
    heads = ["", *(f"{content}, {language} ↑" for language in languages), *(f"{slot} ↑" for slot in slots), "N"]
    rows = [
        [
            line.source,
            *(share(line.languages.get(language)) for language in languages),
            *(share(line.slots[slot]) for slot in slots),
            str(line.n),
        ]
        for line in lines
    ]
    return Sheet("Prompts as typed, seen by the judge", heads, rows)


def _typed(file: Path, number: int, row: Mapping[str, str | None], judge: SlotJudge) -> TypedPrompt:
    said = [(row.get(slot) or "", names) for slot, names in zip(judge.slots, judge.judge.config.slots, strict=True)]
    if strange := [(name, names) for name, names in said if name and name not in names]:
        name, names = strange[0]
        raise BadInput(f"{file}, line {number}: the judge knows no '{name}'{nearest(name, names)}")
    if not row[PROMPT] or not said[0][0]:
        raise BadInput(f"{file}, line {number}: a prompt and its {judge.slots[0]} are needed")
    return TypedPrompt(row[PROMPT] or "", row[LANGUAGE] or "", tuple(name for name, _ in said if name))


def _of_reals(prompts: Sequence[TypedPrompt], judge: SlotJudge, reals: LabelledImages) -> TypedLine:
    """Of each prompt the real pictures that show all that it says, as many as are drawn."""
    repeated, rows = [], []
    shown = [frozenset(row) for row in reals.attributes]
    for prompt in prompts:
        own = [row for row, names in enumerate(shown) if names.issuperset(prompt.attributes)][:SEEDS]
        repeated += [prompt] * len(own)
        rows += own
    return _line(REALS, judge, repeated, reals.images[rows])


def _line(source: str, judge: SlotJudge, prompts: Sequence[TypedPrompt], images: Images) -> TypedLine:
    if not prompts:
        return TypedLine(source, 0, dict.fromkeys(judge.slots, float("nan")), {}, ())
    slots, _ = judge.shares(images, [prompt.attributes for prompt in prompts])
    _, right = judge.shares(images, [prompt.attributes[:1] for prompt in prompts])  # (N,): the content alone
    languages = np.array([prompt.language for prompt in prompts])
    by_language = {str(name): float(right[languages == name].mean()) for name in np.unique(languages)}
    texts = np.array([prompt.prompt for prompt in prompts])
    missed = tuple(str(text) for text in dict.fromkeys(texts.tolist()) if right[texts == text].mean() <= 0.5)
    return TypedLine(source, len(prompts), slots, by_language, missed)

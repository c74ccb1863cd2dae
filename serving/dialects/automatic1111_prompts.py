"""Automatic1111's marks in a prompt, (word:1.2), [word], <lora:name:1>: taken out, or read as weights; it knows no model.

A part of the dialect in `automatic1111.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NETWORK = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>", re.IGNORECASE)
EDITED = re.compile(r"\[([^\[\]:|]*):(?:([^\[\]:|]*):)?\s*[\d.]+\s*\]")
"""`[from:to:when]` and `[to:when]`."""
TURNS = re.compile(r"\[([^\[\]|]*)\|[^\[\]]*\]")
"""`[one|other]`, in turns."""
BREAK = re.compile(r"\bBREAK\b")
PIECE = re.compile(r"\\[\\()\[\]]|:\s*[+-]?(?:\d+(?:\.\d+)?|\.\d+)\s*\)|[()\[\]]|[^\\()\[\]:]+|.", re.DOTALL)
WEIGHTED = re.compile(r"\(\s*([^()<>:,=]*[^()<>:,=\s])\s*:\s*(\d{1,9}(?:\.\d{1,9})?)\s*\)")
"""`(name:1.2)`"""
LONGEST = 10_000
"""Characters; a longer prompt is left to whoever refuses it."""
DEEPEST = 16
"""Marks within each other that are read: each depth costs one more look at the whole prompt, while others wait."""
OPENED = {")": "(", "]": "["}


@dataclass(frozen=True)
class PlainPrompt:
    """A prompt without marks."""

    text: str
    ignored: tuple[str, ...]
    """What was taken out, as a note may list it."""


def plain(prompt: str) -> PlainPrompt:
    """The words of a prompt; one without marks stays as it is, to the letter. A bracket without its other half is no mark."""
    if len(prompt) > LONGEST:
        return PlainPrompt(prompt, ())
    ignored = [match[0] for match in NETWORK.finditer(prompt)]
    text = NETWORK.sub(" ", prompt)
    for mark, first in ((EDITED, _edited), (TURNS, lambda match: match[1])):
        for _ in range(DEEPEST):
            if not mark.search(text):
                break
            ignored += [match[0] for match in mark.finditer(text)]
            text = mark.sub(first, text)
    if BREAK.search(text):
        ignored.append("BREAK")
        text = BREAK.sub(" ", text)
    text, weighted = _without_brackets(text)
    if weighted:
        ignored.append("weights of words")
    if text == prompt:
        return PlainPrompt(prompt, ())
    return PlainPrompt(re.sub(r"\s+(?=,)|(?<=\s)\s+|,\s*(?=,)", "", text).strip(" ,"), tuple(ignored))


def by_weight(prompt: str) -> str:
    """Attributes with their weights as a model of attributes reads them: `(Cap:1.2)` is `Cap=1.2`."""
    return WEIGHTED.sub(r"\1=\2", NETWORK.sub(" ", prompt)) if len(prompt) <= LONGEST else prompt


def _edited(match: re.Match[str]) -> str:
    """What the picture begins with: `from`, or where that is nothing, `to`."""
    return match[1].strip() or (match[2] or "").strip()


def _without_brackets(text: str) -> tuple[str, bool]:
    """`text` without brackets that close and their weights, and whether there were any; `\\(` is a bracket that is meant."""
    pieces: list[str] = []
    opened: list[tuple[int, str]] = []
    weighted = False
    for piece in PIECE.findall(text):
        bracket = OPENED.get(piece[-1])
        if piece[0] == "\\" and len(piece) == 2:
            pieces.append(piece[1])
            continue
        if piece in OPENED.values():
            opened.append((len(pieces), piece))
        if bracket and opened and opened[-1][1] == bracket:
            pieces[opened.pop()[0]] = ""
            weighted = True
            continue
        pieces.append(piece)
    return "".join(pieces), weighted

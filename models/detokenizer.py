"""Words and marks of CLIP's tokens → text as people write it; it knows neither tokenizers nor networks.

`export/site/tokenizer.js` has the same rules.
"""

from __future__ import annotations

import re

WORD_END = "</w>"
"""What CLIP's tokens of a word end with."""
_JOINED = (
    (re.compile(r" +([,.;!?)\]}%…])"), r"\1"),
    (re.compile(r"([(\[{]) +"), r"\1"),
    (re.compile(r"(?<=\w) ?(['’]) ?(?=\w)"), r"\1"),
    (re.compile(r"(?<=\w) - (?=\w)"), "-"),
)
"""A mark with the blanks that nobody writes there → without them."""


def joined_words(spelt: str) -> str:
    """`l</w>'</w>œil</w>,</w>semi</w>-</w>plat</w>` → `l'œil, semi-plat`, single blanks elsewhere."""
    text = " ".join(spelt.replace(WORD_END, " ").split())
    for marks, joined in _JOINED:
        text = marks.sub(joined, text)
    return text

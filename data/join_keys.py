"""Numbers and names of one thing to one key, however a file or a table spells them; it knows nothing of images."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_SIGNS = str.maketrans({"♀": " f", "♂": " m", "'": None, "’": None, ".": None})
_NUMBER = re.compile(r"\s*#?0*(\d+)(?:\.0+)?(?!\d)")


class JoinKeys:
    """Spellings → keys: the number where one is known, else the plain name."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names`: number → name, as often as one likes; the first name of a number is the one shown."""
        numbers = {number(value): name for value, name in names.items()}
        self.names = {key: name for key, name in numbers.items() if key is not None}
        self._keys = {"".join(plain(name)): key for key, name in reversed(self.names.items())}

    def __call__(self, spelled: str) -> str | None:
        """The key of a spelling: `025`, `25-pikachu`, `Pikachu (2)` and `mega_pikachu` are all `25`; None: it is unknown."""
        words = plain(spelled)
        if (whole := self._keys.get("".join(words))) is not None:
            return whole
        if (counted := number(spelled)) is not None:
            return counted if not self._keys or counted in self.names else None
        if not self._keys:
            return "".join(words) or None
        runs = [words[first:last] for first in range(len(words)) for last in range(first + 1, len(words) + 1)]
        known = ("".join(run) for run in sorted(runs, key=len, reverse=True))
        return next((self._keys[run] for run in known if run in self._keys), None)


def number(spelled: str) -> str | None:
    """The number that a spelling begins with, without zeros in front: `#007.png` is 7."""
    match = _NUMBER.match(spelled)
    return match[1] if match else None


def plain(spelled: str) -> list[str]:
    """The words of a name in small letters, without accents and signs: `Flabébé`, `Farfetch'd`, `Nidoran♀`."""
    letters = unicodedata.normalize("NFKD", spelled.translate(_SIGNS)).casefold()
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", bare)

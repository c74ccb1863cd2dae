"""One key for everything that means the same creature, and none for what nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.join_keys import JoinKeys

NAMES = {"1": "Bulbasaur", "6": "Charizard", "025": "Pikachu", "29": "Nidoran♀", "32": "Nidoran♂", "83": "Farfetch'd",
         "122": "Mr. Mime", "137": "Porygon", "233": "Porygon2", "669": "Flabébé", "772": "Type: Null"}  # fmt: skip


@pytest.mark.parametrize(
    ("spelled", "key"),
    [
        ("001", "1"), ("1.0", "1"), ("#0025", "25"), ("25-pikachu", "25"), ("025_Pikachu (2)", "25"), ("PIKACHU", "25"),
        ("pikachu-gmax", "25"), ("Mega Charizard X", "6"), ("nidoran-f", "29"), ("Nidoran♂", "32"), ("Farfetch’d", "83"),
        ("mr-mime", "122"), ("MrMime", "122"), ("porygon2", "233"), ("porygon_3", "137"), ("Flabe\u0301be\u0301", "669"),
        ("flabebe", "669"), ("type-null", "772"), ("missingno", None), ("999", None), ("", None), ("---", None),
    ],
)  # fmt: skip
def test_spellings(spelled: str, key: str | None) -> None:
    assert JoinKeys(NAMES)(spelled) == key


def test_without_names_a_number_or_the_plain_name_is_the_key() -> None:
    keys = JoinKeys({})
    assert [keys(spelled) for spelled in ("007.png", "Mr. Mime", "?!")] == ["7", "mrmime", None]


@given(st.dictionaries(st.integers(1, 999), st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=1))
def test_numbers_and_names_meet(found: dict[int, str]) -> None:
    unique = {name: number for number, name in found.items()}
    keys = JoinKeys({str(number): name for name, number in unique.items()})
    for name, number in unique.items():
        assert keys(name.upper()) == keys(f"{number:04d}") == keys(f"{number}-anything") == str(number)

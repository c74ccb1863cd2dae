"""Names in one cell: every way a list is written gives the same, and what is none is refused with its row."""

from __future__ import annotations

import pytest

from base.errors import BadInput
from base.listed_names import names_in, names_of
from base.table_reader import TableRow


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["Ape", " Fez ", 3.0, None], ["Ape", "Fez", "3"]),
        ("Ape, Fez,", ["Ape", "Fez"]),
        ("Ape; Fez, red", ["Ape", "Fez, red"]),
        ("Ape | Fez|", ["Ape", "Fez"]),
        ('["Ape", "Fez, red"]', ["Ape", "Fez, red"]),
        ("['Ape', \"l'eau\"]", ["Ape", "l'eau"]),
        ("['Ape' 'Fez']", ["Ape", "Fez"]),
        ("[Ape, Fez]", ["Ape", "Fez"]),
        ("[rare] Ape, Fez", ["[rare] Ape", "Fez"]),
        ([{"trait_type": "Hat", "value": "Fez"}, {"trait_type": "Level", "value": 5}], ["Hat: Fez", "Level: 5"]),
        ("[]", []),
        (None, []),
    ],
)
def test_names_in_a_cell_however_a_list_is_written(value: object, expected: list[str]) -> None:
    assert names_in(value) == expected


@pytest.mark.parametrize(
    "value", ['[["Ape"]]', "['Ape', Fez]", "['Ape', 'Fez'", '["Ape", "Fe', "['Ape]", '[{"name": "Ape"}]']
)
def test_brackets_around_no_list_of_names_are_refused_with_their_row(value: object) -> None:
    with pytest.raises(BadInput, match=r"t.csv line 2: attributes .* is no list of names; accepted: ") as refused:
        names_of(TableRow("t.csv line 2", {"attributes": value}), "attributes")
    assert "\n" not in str(refused.value)

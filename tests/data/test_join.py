"""Rows of tables and the images they belong to: a row counts whole, and no caption mixes two creatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import BadInput
from data.recipe import RecipeConfig, make
from tests.data.pictures import built, picture

DEX = """pokedex_number,name,species,type_1,type_2,generation
25,Pikachu,Mouse Pokémon,Electric,,1
26,Raichu,Mouse Pokémon,Electric,,1
26,Alolan Raichu,Mouse Pokémon,Electric,Psychic,7
386,Deoxys Normal Forme,DNA Pokémon,Psychic,,3
"""
NAMES = """Name,Type1,Type2
pikachu,Electric,Fairy
raichu,Electric,Psychic
raichu-alola,Electric,Psychic
deoxys-normal,Psychic,
"""
STEMS = ("025", "raichu", "raichu-alola", "deoxys-normal")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in" / "images").mkdir(parents=True)
    for seed, stem in enumerate(STEMS):
        picture(seed).save(tmp_path / "in" / "images" / f"{stem}.png")
    (tmp_path / "in" / "pokedex_(Update_05.20).csv").write_text(DEX, encoding="utf-8")
    (tmp_path / "in" / "pokemon.csv").write_text(NAMES, encoding="utf-8")
    return tmp_path / "in"


def texts(root: Path, *overrides: str) -> dict[str, object]:
    values = [f"root={root}", f"out={root.parent / 'out'}", "size=16", *overrides]
    rows = built(make(RecipeConfig.load("configs/data/pokemon.yaml", values)))
    return {name.removeprefix("images/").removesuffix(".png"): row["text"] for name, (row, _) in rows.items()}


def test_blanks_count_and_forms_join_by_their_own_names(root: Path) -> None:
    """The other table has a second type for Pikachu and Raichu; the first says that they have none."""
    assert texts(root) == {
        "025": "Pikachu, a Mouse Pokémon of type Electric",
        "raichu": "Raichu, a Mouse Pokémon of type Electric",
        "raichu-alola": "raichu-alola, a Mouse Pokémon of type Electric and Psychic",
        "deoxys-normal": "deoxys-normal, a Pokémon of type Psychic",
    }


def test_the_set_comes_without_the_table_of_numbers(root: Path) -> None:
    (root / "pokedex_(Update_05.20).csv").unlink()
    assert texts(root) == {
        "raichu": "raichu, a Pokémon of type Electric and Psychic",
        "raichu-alola": "raichu-alola, a Pokémon of type Electric and Psychic",
        "deoxys-normal": "deoxys-normal, a Pokémon of type Psychic",
    }
    (root / "pokemon.csv").unlink()
    with pytest.raises(BadInput, match=r"no table .*pokemon\.csv"):
        texts(root)


def test_several_columns_of_captions_from_several_templates(root: Path) -> None:
    further = (
        "caption.further={text_name: ['{name}'], text_types: ['{type_1} and {type_2}', '{type_1}'], text_more: ['{x}']}"
    )
    with pytest.raises(BadInput, match="caption: no column 'x'"):
        texts(root, further)
    values = [f"root={root}", f"out={root.parent / 'out'}", "size=16", further.replace("{x}", "{generation}")]
    rows = built(make(RecipeConfig.load("configs/data/pokemon.yaml", values)))
    found = {name: (row["text_name"], row["text_types"], row["text_more"]) for name, (row, _) in rows.items()}
    assert found["images/025.png"] == ("Pikachu", "Electric", "1")
    assert found["images/raichu-alola.png"] == ("raichu-alola", "Electric and Psychic", "1")
    own = "deoxys-normal, a Pokémon of type Psychic"
    assert found["images/deoxys-normal.png"] == (
        "deoxys-normal",
        "Psychic",
        own,
    )  # no generation: its caption stands in

"""The avatars: a grammar that keeps its word, art that shows what it says, the same characters on every machine."""

import hashlib
import json
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import BadInput
from data.attributed import held_out_pairs
from data.avatars import SHOWN, avatars, characters
from data.avatars_art import ART, SIDE, Character, art, draw, shown, slots
from data.cleaning_report import CleaningReport
from data.imagefolder import ImageFolder

COUNT = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return avatars(tmp_path_factory.mktemp("data") / "avatars", COUNT).folder


def some(seed: int, count: int = 20) -> list[Character]:
    return list(islice(characters(np.random.Generator(np.random.Philox(key=seed))), count))


def attributes(folder: Path, split: str) -> list[list[str]]:
    return ImageFolder(folder, split).column("attributes")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**63))
def test_every_character_keeps_the_grammar(seed: int) -> None:
    known = art()
    for character in some(seed):
        parts = [known.parts[name] for name in character.parts]
        worn = [part.slot for part in parts]
        assert len(set(worn)) == len(worn), "two parts of one slot"
        assert set(worn) <= set(known.slots_of[character.type])
        assert all(not part.types or character.type in part.types for part in parts)
        assert not any(slot in worn for part in parts for slot in part.without)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63))
def test_every_attribute_shows(seed: int) -> None:
    """Without any one of its parts a character looks different, and no part is hidden by the others."""
    for character in some(seed, 5):
        whole = draw(character)
        assert min(shown(character).values()) >= SHOWN
        for name in character.parts:
            rest = tuple(other for other in character.parts if other != name)
            without = draw(Character(character.type, rest, character.colours))
            assert (whole != without).any(axis=2).sum() >= 2, f"{name} hides in {character}"


def test_what_has_the_colour_of_its_ground_does_not_show() -> None:
    colours = {"skin": "umber", "clothes": "navy", "background": "8fb4c8"}
    apart, alike = (shown(Character("Male", ("Mustache",), {**colours, "hair": hair})) for hair in ("silver", "brown"))
    assert apart["Mustache"] > 0.9 and alike["Mustache"] < SHOWN
    assert apart["Male"] == alike["Male"] > SHOWN


def test_the_art_is_well_formed() -> None:
    known = art()
    assert len(known.types) == 5 and len(known.parts) >= 30
    assert {part.slot for part in known.parts.values()} == set(known.slots)
    colours = set(known.colours) | {"skin", "hair", "dyed"}
    for part in (*known.types.values(), *known.parts.values()):
        assert set(part.colours) <= colours and set(part.types) <= set(known.types)
        assert set(part.without) <= set(known.slots)
        letters = {chr(code) for code in np.unique(part.letters)} - {"."}
        unknown = {letter for letter in letters - set("#k1234abc") if not known.inks[ord(letter)].any()}
        assert not unknown, f"{part.name}: no ink {unknown}"
        assert part.colours or not letters & set("1234"), f"{part.name} has tones and no colour"
    assert all(tones.shape == (4, 3) for tones in known.colours.values())


def test_light_comes_from_the_upper_left() -> None:
    """Tones fall from light to deep, and every head is lighter on its left."""
    for tones in art().colours.values():
        grey = tones.astype(int).sum(axis=1)
        assert (np.diff(grey) < 0).all()
    for name, kind in art().types.items():
        colours = {"skin": kind.colours[0], "clothes": "navy", "background": "000000"}
        picture = draw(Character(name, (), colours)).astype(int).sum(axis=2)
        assert picture[5:9, :12].sum() > picture[5:9, 12:].sum(), name


def test_a_set_has_its_splits_columns_and_size(folder: Path) -> None:
    report = CleaningReport.load(folder)
    assert report is not None and sum(report.rows.values()) == COUNT
    assert report.rows["validation"] == COUNT // 20 and report.rows["test"] >= 2 * (COUNT // 20)
    assert ImageFolder(folder, "train").images([0, 1]).shape == (2, SIDE, SIDE, 3)
    rows = [json.loads(line) for line in (folder / "train" / "metadata.jsonl").read_text().splitlines()]
    assert list(rows[0]) == ["file_name", "text", "attributes", "label", "kind", "unseen"]
    types = list(slots()["type"])
    assert all(row["text"] == ", ".join(row["attributes"]) for row in rows)
    assert all(types[row["label"]] == row["attributes"][0] for row in rows)
    assert json.loads((folder / "slots.json").read_text()) == {slot: list(names) for slot, names in slots().items()}


def test_no_picture_is_there_twice(folder: Path) -> None:
    digests = [
        image.tobytes() for split in ("train", "validation", "test") for image in ImageFolder(folder, split).images()
    ]
    assert len(set(digests)) == COUNT


def test_unseen_combinations_are_in_no_other_split_and_their_attributes_are_known(folder: Path) -> None:
    test = ImageFolder(folder, "test")
    pairs = {tuple(pair.split(" + ")) for pair in test.column("unseen") if pair}
    assert len(pairs) >= 3 and test.column("kind").count("unseen-combination") >= COUNT // 20
    for split in ("train", "validation"):
        assert not any(set(pair) <= set(names) for names in attributes(folder, split) for pair in pairs)
    known = Counter(name for names in attributes(folder, "train") for name in names)
    assert all(known[name] > 0 for pair in pairs for name in pair)


def test_types_are_as_rare_as_they_should_be(folder: Path) -> None:
    counts = Counter(names[0] for names in attributes(folder, "train"))
    order = [name for name, _ in counts.most_common()]
    assert order[:2] == ["Male", "Female"] and set(order) == set(slots()["type"])
    assert counts["Alien"] < counts["Male"] / 5


def test_the_same_on_every_machine() -> None:
    """The art's own digest beside: whoever changes it changes the characters, and this line."""
    drawn = b"".join(draw(character).tobytes() for character in some(0, 100))
    found = (hashlib.sha256(ART.read_bytes()).hexdigest()[:12], hashlib.sha256(drawn).hexdigest()[:12])
    assert found == ("bbe70dc99901", "5a6988e2f3d6")


def test_a_finished_set_is_left_alone_and_another_seed_replaces_it(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert avatars(folder, COUNT) == CleaningReport.load(folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    first = ImageFolder(avatars(tmp_path / "out", 100).folder, "train").images()
    other = ImageFolder(avatars(tmp_path / "out", 100, seed=1).folder, "train").images()
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("count", [0, 99, 50_001])
def test_a_count_out_of_range_is_one_line(tmp_path: Path, count: int) -> None:
    with pytest.raises(BadInput, match="accepted are 100 to 50000"):
        avatars(tmp_path / "out", count)
    assert not list(tmp_path.iterdir())


def test_held_out_pairs_spare_every_attribute() -> None:
    rows = [character.attributes for character in some(3, 2000)]
    pairs = held_out_pairs(rows, 100, np.random.default_rng(0))
    named = [name for pair in pairs for name in pair]
    assert len(set(named)) == len(named)
    alone = Counter(name for names in rows for name in names)
    lost = {pair: sum(set(pair) <= set(names) for names in rows) for pair in pairs}
    assert sum(lost.values()) >= 100
    assert all(count <= min(alone[name] for name in pair) / 5 for pair, count in lost.items())

"""The published layout of the CryptoPunks, with its irregularities, on made-up punks."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from data.avatars import characters
from data.avatars_art import art, draw
from data.class_names import read_classes
from data.cleaning_report import CleaningReport
from data.cryptopunks import BACKGROUND, SLOTS, cryptopunks, exclusive
from data.imagefolder import ImageFolder

ROWS = [
    "Female 2, 3, Green Eye Shadow / Earring / Blonde Bob",
    "Male, 2, Smile / Mohawk",
    "Zombie, 1,Pipe",
    "Ape, 0,",
    "Alien, 2, Cap Forward / knitted cap",
]
COUNT = 40


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Forty punks: RGBA images, names with and without zeros, two tables with spaces after the commas."""
    folder = tmp_path / "punks"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = [f"{number}, {ROWS[number % len(ROWS)]}\n" for number in range(COUNT)]
    for number in range(COUNT):
        pixels = rng.integers(0, 256, (24, 24, 4), dtype=np.uint8)
        pixels[..., 3] = 255
        pixels[0, 0] = 0
        name = f"punk{number:04d}.png" if number % 2 else f"{number}.png"
        Image.fromarray(pixels, "RGBA").save(folder / "images" / name)
    head = "id, type, count, accessories\n"
    (folder / "0-19.csv").write_text("\ufeff" + head + "".join(lines[:20]), encoding="utf-8")
    (folder / "20-39.csv").write_text(head + "".join(lines[20:]))
    (folder / "readme.txt").write_text("not a table")
    return folder


def test_the_published_layout_becomes_an_imagefolder(source: Path, tmp_path: Path) -> None:
    report = cryptopunks(source, tmp_path / "out")
    assert sum(report.rows.values()) == COUNT and not report.dropped
    rows = [
        json.loads(line)
        for split in report.rows
        for line in (tmp_path / "out" / split / "metadata.jsonl").read_text().splitlines()
    ]
    found = {row["punk"]: row["attributes"] for row in rows}
    assert found[0] == ["Female", "Green Eye Shadow", "Earring", "Blonde Bob"] and found[3] == ["Ape"]
    assert found[4] == ["Alien", "Cap Forward", "Knitted Cap"]
    image = ImageFolder(tmp_path / "out", "train").images([0])[0]
    assert image.shape == (24, 24, 3) and tuple(image[0, 0]) == BACKGROUND
    slots = json.loads((tmp_path / "out" / "slots.json").read_text())
    assert slots["Cap Forward"] == ["Cap Forward"] and "Mohawk" in slots["head"]


def _drawn(count: int) -> list[tuple[np.ndarray, str]]:
    """Pictures of drawn avatars, and what they show in the words of the punks' tables: a name of its own for each."""
    names = [name for slot, names in SLOTS.items() if slot != "type" for name in names]
    spare = [name for name in names if name not in art().parts]
    words = {name: name if name in names else spare.pop(0) for name in art().parts}
    rng = np.random.Generator(np.random.Philox(key=0))
    drawn = (next(characters(rng)) for _ in range(count))
    return [(draw(one), f"{one.type}|{' / '.join(words[name] for name in one.attributes[1:])}") for one in drawn]


def test_one_picture_of_all_and_both_tables(tmp_path: Path) -> None:
    """`punks.png`, row by row; the classic table, and today's, whose `Human` has a gender; rows that agree are one."""
    drawn = _drawn(40)
    sheet = np.concatenate(
        [np.concatenate([picture for picture, _ in drawn[row : row + 10]], 1) for row in range(0, 40, 10)]
    )
    (tmp_path / "in").mkdir()
    Image.fromarray(sheet).save(tmp_path / "in" / "punks.png")
    rows = [text.split("|") for _, text in drawn]
    classic = [f"{n}, {kind} {n % 3 or ''}, 2, {worn}\n" for n, (kind, worn) in enumerate(rows)]
    today = [
        f"{n},{'Human' if kind in ('Male', 'Female') else kind},{kind if kind == 'Female' else 'Male'},Mid,2,{worn}\n"
        for n, (kind, worn) in enumerate(rows)
    ]
    (tmp_path / "in" / "0-999.csv").write_text("id, type, count, accessories\n" + "".join(classic))
    (tmp_path / "in" / "punks.csv").write_text("id,type,gender,skin tone,count,accessories\n" + "".join(today))
    report = cryptopunks(tmp_path / "in", tmp_path / "out")
    assert sum(report.rows.values()) == 40
    for split in report.rows:
        images = ImageFolder(tmp_path / "out", split)
        for row, punk in enumerate(images.column("punk")):
            assert np.array_equal(images.images([row])[0], drawn[punk][0])
            kind, worn = rows[punk]
            assert images.column("attributes")[row] == [kind, *filter(None, worn.split(" / "))]
            assert images.column("skin_tone")[row] == "Mid"
    assert read_classes(tmp_path / "out") == json.loads((tmp_path / "out" / "slots.json").read_text())["type"]
    (tmp_path / "in" / "punks.csv").write_text("id,type,gender,accessories\n3,Human,,\n")
    with pytest.raises(BadInput, match=r"punks\.csv line 2: no type ''; accepted: Alien, Ape"):
        cryptopunks(tmp_path / "in", tmp_path / "other")
    Image.fromarray(sheet[:-1]).save(tmp_path / "in" / "punks.png")
    with pytest.raises(BadInput, match=r"punks\.png is 240x95; accepted: 24x24 pixels a punk"):
        cryptopunks(tmp_path / "in", tmp_path / "other")


def test_a_finished_set_is_left_alone(source: Path, tmp_path: Path) -> None:
    cryptopunks(source, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert cryptopunks(source, tmp_path / "out") == CleaningReport.load(tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_damaged_and_larger_images_are_dropped_and_listed(source: Path, tmp_path: Path) -> None:
    cut = source / "images" / "punk0007.png"
    cut.write_bytes(cut.read_bytes()[:200])
    (source / "images" / "8.png").write_bytes(b"")
    Image.new("RGB", (336, 336)).save(source / "images" / "punk0009.png")
    report = cryptopunks(source, tmp_path / "out")
    assert sum(report.rows.values()) == COUNT - 3
    assert {entry.what: entry.why for entry in report.dropped} == {
        "images/punk0007.png": "damaged or truncated image",
        "images/8.png": "not an image",
        "images/punk0009.png": "not 24x24 pixels",
    }


def _append(line: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "20-39.csv").open("a").write(line)


def _lose(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / name).unlink() for name in names]


def _shorten(folder: Path) -> None:
    table = folder / "20-39.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-5]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_lose("images/0.png", "images/punk0001.png"), r"no image of punk 0 \(0-19.csv line 2\), no image of punk 1"),
        (_shorten, "no row for punk0035.png, no row for 36.png, no row for punk0037.png; 5 in all"),
        (_lose("0-19.csv", "20-39.csv"), "no table in"),
        (_append("39, Male, 1, Pipe\n"), "20-39.csv line 22: punk 39 stands in 20-39.csv line 21 already"),
        (_append("40, Robot, 0,\n"), "line 22: no type 'Robot'; accepted: Alien, Ape"),
        (_append("40, Male, 1, Mohwak\n"), "no accessory 'Mohwak'; did you mean 'Mohawk'"),
        (_append("40, Male, 2, Pipe / Pipe\n"), "an accessory stands there twice: Pipe, Pipe"),
        (_append("4x"), "line 22: id '4x' is not a number; is the file cut short?"),
        (lambda folder: (folder / "more.csv").write_text("id,kind\n1,Male\n"), "has no column 'type'"),
        (lambda folder: (folder / "40.csv").write_bytes(b"\xff\xfe\x00"), "40.csv line 1 is not UTF-8"),
        (lambda folder: Image.new("RGB", (24, 24)).save(folder / "0001.png"), "are both punk 1"),
    ],
)
def test_whatever_is_wrong_is_one_line(
    source: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(source)
    with pytest.raises(BadInput, match=message) as caught:
        cryptopunks(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["punks"]


def test_no_folder_and_an_empty_one_say_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        cryptopunks(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no images in"):
        cryptopunks(tmp_path / "empty", tmp_path / "out")


def test_a_set_of_damaged_images_says_so(source: Path, tmp_path: Path) -> None:
    for path in source.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadInput, match="none of the 40 images can be used: images/0"):
        cryptopunks(source, tmp_path / "out")


def test_the_schema_is_complete_and_the_table_refines_it() -> None:
    names = [name for slot in SLOTS.values() for name in slot]
    assert len(names) == len(set(names)) == 5 + 87
    refined = exclusive([("Male", "Mole", "Spots"), ("Ape",)])
    assert refined["cheeks"] == ("Rosy Cheeks",) and refined["Mole"] == ("Mole",) and refined["Spots"] == ("Spots",)
    assert next(iter(refined)) == "type" and sum(map(len, refined.values())) == 92

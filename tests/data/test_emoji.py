"""The emoji sets: what captions say, what is held out, and that every glyph is whole and drawn the same every time."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from base.errors import BadInput
from data import emoji_captions, glyphs
from data.cleaning_report import CleaningReport
from data.emoji import choose, choose_unseen, held_out_colour, plan_rows, render

needs_font = pytest.mark.skipif(
    not (glyphs.DEFAULT_FONT.is_file() and features.check("raqm") and features.check("fribidi")),
    reason="needs Debian's fonts-noto-color-emoji and libfribidi0",
)
FEW = ["😀", "😺", "❤️", "🧡", "🐱", "☀️", "💙", "😿"]
PICTURES = 6


def _rows(folder: Path, split: str) -> list[dict[str, object]]:
    lines = (folder / split / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("emoji") / "few"
    render(out, "emoji-mini", renderings=PICTURES, only=FEW)
    return out


def test_mini_is_two_hundred_trained_emoji_and_ten_unseen_ones() -> None:
    wanted, unseen = choose("emoji-mini")
    assert unseen is not None
    assert len(wanted) == len(set(wanted)) == 210 and len(unseen) == 10
    assert wanted[-10:] == unseen
    assert set(wanted) <= set(emoji_captions.fully_qualified())


@pytest.mark.parametrize("subset", ["emoji", "emoji-mini"])
def test_held_out_captions_use_only_words_of_training_captions(subset: str) -> None:
    wanted, unseen = choose(subset)  # type: ignore[arg-type]
    unseen = choose_unseen(wanted, seed=0) if unseen is None else unseen
    rows = plan_rows([char for char in wanted if char not in unseen], unseen, renderings=16, seed=0)
    counts = Counter(row.split for row in rows)
    assert 0.07 < counts["test"] / len(rows) < 0.13
    assert 0.04 < counts["validation"] / len(rows) < 0.07
    trained = {row.char for row in rows if row.split == "train"}
    assert not trained & set(unseen)
    for column in ("text", "text_fr"):
        said = {(row.split, str(row.metadata("")[column])) for row in rows}
        known = set().union(*(emoji_captions.words(text) for split, text in said if split == "train"))
        for _, text in said:
            assert emoji_captions.words(text) <= known, text


def test_unseen_emoji_of_the_full_set_are_one_in_twenty() -> None:
    chars = emoji_captions.fully_qualified()
    unseen = choose_unseen(chars, seed=0)
    assert 0.03 * len(chars) < len(unseen) <= 0.05 * len(chars)
    assert unseen == choose_unseen(chars, seed=0) != choose_unseen(chars, seed=1)


@settings(max_examples=20, deadline=None)
@given(renderings=st.integers(2, 40), seed=st.integers(0, 2**32))
def test_plan_keeps_one_colour_of_each_emoji_out_of_training(renderings: int, seed: int) -> None:
    rows = plan_rows(FEW[:-2], FEW[-2:], renderings, seed)
    assert rows == plan_rows(FEW[:-2], FEW[-2:], renderings, seed)
    for label, char in enumerate(FEW):
        mine = [row for row in rows if row.char == char]
        assert {row.label for row in mine} == {label}
        main = [row for row in mine if row.kind in (("seen",) if label < 6 else ("unseen-emoji",))]
        main = [row for row in main if row.split != "validation"]
        assert len(main) == renderings
        whites = [row for row in main if row.background == "white"]
        assert len(whites) == (renderings + 1) // 2
        assert abs(sum(row.named for row in main) - renderings / 2) <= 1
        if label < 6:
            missing = held_out_colour(char, seed)
            (held_out,) = [row for row in mine if row.split == "test"]
            assert (held_out.background, held_out.named, held_out.kind) == (missing, True, "unseen-background")
            assert missing not in {row.background for row in mine if row.split != "test"}


def test_split_is_the_same_on_every_machine() -> None:
    rows = plan_rows(["😀"], ["💙"], 4, seed=0)
    pinned = [(row.split, row.char, row.background, row.named, round(row.at.tilt, 6)) for row in rows[:3]]
    assert pinned == [
        ("train", "😀", "purple", True, 2.306798),
        ("test", "💙", "white", False, -2.680986),
        ("train", "😀", "white", True, -0.142245),
    ]


@needs_font
def test_render_writes_an_imagefolder(few: Path) -> None:
    counts = {split: len(_rows(few, split)) for split in ("train", "validation", "test")}
    assert counts == {"train": 6 * PICTURES, "validation": 6, "test": 6 + 2 * PICTURES}
    for split, count in counts.items():
        names = [str(row["file_name"]) for row in _rows(few, split)]
        assert names == sorted(path.name for path in (few / split).glob("*.png")) and len(names) == count
    first = _rows(few, "test")[0]
    assert list(first) == ["file_name", "text", "text_fr", "text_typed", "label", "emoji", "background", "kind"]
    assert {row["emoji"] for row in _rows(few, "test") if row["kind"] == "unseen-emoji"} == {"💙", "😿"}
    assert [path.name for path in few.parent.iterdir()] == ["few"]


@needs_font
def test_both_captions_name_the_background_that_is_there(few: Path) -> None:
    for row in _rows(few, "train") + _rows(few, "test"):
        background = str(row["background"])
        with Image.open(few / ("train" if row["kind"] == "seen" else "test") / str(row["file_name"])) as image:
            assert image.getpixel((0, 0)) == emoji_captions.BACKGROUNDS[background][0]
        text, french = str(row["text"]), str(row["text_fr"])
        assert (" on " in text) == (" sur fond " in french)
        if " on " in text:
            assert text.endswith(f" on {background}") and french.endswith(emoji_captions.BACKGROUNDS[background][1])


@needs_font
def test_rendering_again_gives_the_same_files_and_leaves_a_finished_set_alone(few: Path, tmp_path: Path) -> None:
    again = render(tmp_path / "again", "emoji-mini", renderings=PICTURES, only=FEW)
    for path in sorted(few.rglob("*.*")):
        assert path.read_bytes() == (again.folder / path.relative_to(few)).read_bytes(), path
    before = {path: path.stat().st_mtime_ns for path in few.rglob("*")}
    report = render(few, "emoji-mini", renderings=PICTURES, only=FEW)
    assert report == CleaningReport.load(few)
    assert before == {path: path.stat().st_mtime_ns for path in few.rglob("*")}


@needs_font
def test_other_parameters_replace_our_own_set_but_nobody_elses(tmp_path: Path) -> None:
    out = tmp_path / "set"
    render(out, "emoji-mini", renderings=2, only=["😀"])
    assert render(out, "emoji-mini", renderings=3, only=["😀"]).rows["train"] == 3
    assert len(_rows(out, "train")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="was not made by `ippo data emoji`"):
        render(other, "emoji-mini", only=["😀"])
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


@needs_font
def test_blank_unjoined_and_twin_emoji_are_dropped_and_listed(tmp_path: Path) -> None:
    report = render(tmp_path / "set", "emoji", renderings=2, only=["😀", "👨‍👨‍👦", "👪", "\U0001fa89", "🧑‍🩰"])
    kept = {row["emoji"] for split in ("train", "test") for row in _rows(report.folder, split)}
    why = {entry.what.split()[0]: entry.why for entry in report.dropped}
    assert "😀" in kept and not kept & set(why)
    assert kept | set(why) == {"😀", "👨‍👨‍👦", "👪", "\U0001fa89", "🧑‍🩰"}
    assert all(reason.startswith(("blank", "looks the same", "drawn as several")) for reason in why.values())
    assert why["👪"] == "looks the same as 👨‍👨‍👦"
    assert CleaningReport.load(report.folder) == report


def test_bad_input_is_one_clear_line(tmp_path: Path) -> None:
    plain = tmp_path / "plain.ttf"
    plain.write_bytes(b"not a font")
    cases = [
        ({"font": tmp_path / "none.ttf"}, "apt-get install fonts-noto-color-emoji"),
        ({"size": 8}, "sizes 16 to 512"),
        ({"renderings": 1}, "2 to 1000 renderings"),
    ]
    if features.check("fribidi"):
        cases.append(({"font": plain}, "accepted is NotoColorEmoji.ttf"))
    for arguments, message in cases:
        with pytest.raises(BadInput, match=message) as caught:
            render(tmp_path / "out", "emoji-mini", **arguments)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="accepted are emoji and emoji-mini"):
        choose("emojis")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="not in the set emoji-mini: 🗿"):
        choose("emoji-mini", only=["😀", "🗿"])
    assert [path.name for path in tmp_path.iterdir()] == ["plain.ttf"]

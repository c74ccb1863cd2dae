"""Captions are found in every kind of table, and what names no image is listed."""

import unicodedata
from pathlib import Path

import pytest

from base.errors import BadInput
from data.build import build
from data.image_names import ImageNames
from data.sources import find
from tests.data.pictures import built, captioned, picture, why


@pytest.mark.parametrize(
    ("table", "content"),
    [
        (
            "metadata.jsonl",
            '{"file_name": "00.png", "text": "zero\u2028!"}\n\n{"file_name": "sub/01.png", "caption": "one", "n": 1}\n',
        ),
        ("captions.csv", 'file_name,text,n\n00.png,"zero, !",0\nsub/01.png,one,1\n'),
        ("list.csv", '\ufeffImage;Prompt;n\n00.png;"zero, !";0\nsub\\01.png;one;1\n'),
        ("list.tsv", "filename\tdescription\n00.png\tzero, !\nsub/01.png\tone\n"),
        ("train.csv", 'id,caption,n\n00,"zero, !",0\n01,one,1\n'),
    ],
)  # fmt: skip
def test_caption_tables(tmp_path: Path, table: str, content: str) -> None:
    source = tmp_path / "in"
    captioned(source, "00.png", picture(0), caption="the table counts before this")
    captioned(source, "sub/01.png", picture(1), caption=None)
    (source / table).write_text(content, encoding="utf-8")
    found = built(build(source, tmp_path / "out", 16))
    assert str(found["00.png"][0]["text"]).startswith("zero") and found["sub/01.png"][0]["text"] == "one"
    if table != "list.tsv":
        assert str(found["sub/01.png"][0]["n"]) == "1"


def test_a_table_that_names_what_is_not_there_or_names_it_twice(tmp_path: Path) -> None:
    source = tmp_path / "in"
    captioned(source, "a.png", picture(0), caption=None)
    outside = captioned(tmp_path, "outside.png", picture(1), caption=None)
    rows = [("a.png", "first"), ("a.png", "second"), ("gone.png", "gone"), (f"../{outside.name}", "outside")]
    (source / "c.csv").write_text("file_name,text\n" + "".join(f"{name},{text}\n" for name, text in rows))
    report = build(source, tmp_path / "out", 16)
    assert [built(report)["a.png"][0][name] for name in ("text", "text_2")] == ["first", "second"]
    assert why(report) == {
        "c.csv: gone.png": "caption without an image",
        "c.csv: outside.png": "caption without an image",
    }


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (
            {"list.csv": "file_name,text\nC:\\\\set\\\\ART\\\\A.PNG,a\nart\\\\b.png,b\n"},
            "absolute paths of another machine",
        ),
        ({"art/captions.txt": "image,caption\na.png,a\nb.png,b\n"}, "a table that is called .txt"),
        ({"texts/a.txt": "a", "texts/b.txt": "b"}, "captions in a folder of their own"),
        ({"art/a.caption": "a", "art/b.png.caption": "b"}, "kohya's .caption"),
        ({"art/a.json": '{"caption": "a"}', "art/b.json": '{"text": "b"}'}, "one JSON a picture"),
        ({"meta.json": '{"art/a": {"caption": "a"}, "b.png": {"caption": "b"}}'}, "kohya's metadata"),
        (
            {"data/list.jsonl": '{"image": "../art/a.png", "caption": "a"}\n{"path": "b.png", "text": "b"}\n'},
            "elsewhere",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_captions_as_people_keep_them(tmp_path: Path, files: dict[str, str], names: str) -> None:
    for letter in "ab":
        (tmp_path / "art").mkdir(exist_ok=True)
        picture(ord(letter)).save(tmp_path / "art" / f"{letter}.png")
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content.replace("\\\\", "\\"), encoding="utf-8")
    assert {row.path.name: row.text for row in find(tmp_path).captioned} == {"a.png": "a", "b.png": "b"}


def test_names_in_both_unicode_forms(tmp_path: Path) -> None:
    picture(1).save(tmp_path / unicodedata.normalize("NFD", "Flabébé.png"))
    (tmp_path / "list.csv").write_text("file_name,text\nFlabébé.PNG,a flower\n", encoding="utf-8")
    assert [row.text for row in find(tmp_path).captioned] == ["a flower"]


def test_numbers_that_name_images_may_be_written_as_fractions(tmp_path: Path) -> None:
    for name in ("1", "2", "v3", "4.0"):
        picture(1).save(tmp_path / f"{name}.png")
    (tmp_path / "train.csv").write_text("id,caption\n1.0,one\n2.0,two\nv3.0,three\n4.0,four\n")
    found = find(tmp_path)
    assert [(row.path.name, row.text) for row in found.captioned] == [
        ("1.png", "one"),
        ("2.png", "two"),
        ("4.0.png", "four"),
    ]
    assert {entry.what for entry in found.dropped} == {"train.csv: v3.0", "v3.png"}


def test_a_name_that_fits_two_images_fits_none(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        picture(1).save(tmp_path / folder / "a.png")
    (tmp_path / "list.csv").write_text("file_name,text\na.png,which?\n")
    with pytest.raises(
        BadInput, match=r"list\.csv names no image that is in .*'a\.png', which several are called: x/a\.png, y/a\.png$"
    ):
        find(tmp_path)


def test_a_folder_a_class(tmp_path: Path) -> None:
    for name in ("red_panda", "cat"):
        (tmp_path / name).mkdir()
        picture(len(name)).save(tmp_path / name / "0.png")
    rows = find(tmp_path).captioned
    assert [(row.text, row.columns) for row in rows] == [
        ("cat", {"label": "cat"}),
        ("red panda", {"label": "red panda"}),
    ]


def test_lists_stay_and_not_a_number_goes(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "text": "a", "attributes": ["Ape", "Fez"], "n": NaN}\n'
    )
    assert find(tmp_path).captioned[0].columns == {"attributes": ["Ape", "Fez"]}


def test_attributes_that_a_table_writes_as_a_list_are_one(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,attributes\na.png,\"['Ape', 'Fez']\"\n", encoding="utf-8")
    (found,) = find(tmp_path).captioned
    assert (found.text, found.columns) == ("Ape, Fez", {"attributes": ["Ape", "Fez"]})
    (tmp_path / "metadata.csv").write_text("file_name,attributes\na.png,\"['Ape', Fez]\"\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"metadata.csv line 2: attributes .* is no list of names"):
        find(tmp_path)


def test_every_list_has_one_rule(tmp_path: Path) -> None:
    """A row that names an image says what it says of it, from whatever list; any other row is listed with its place."""
    for letter in "ab":
        picture(ord(letter)).save(tmp_path / f"{letter}.png")
        (tmp_path / f"{letter}.txt").write_text(f"text of {letter}")
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "text": null, "caption": "A"}\n{"text": "whose?"}\n'
    )
    (tmp_path / "labels.csv").write_text("image;Label;n\nb.png;bird;1\na.png;ape;2\n;none;3\n")
    (tmp_path / "notes.csv").write_text("when,what\n1,2\n")
    found = find(tmp_path)
    assert [(row.text, row.columns) for row in found.captioned] == [
        ("A", {"label": "ape", "n": "2"}),
        ("text of b", {"label": "bird", "n": "1"}),
    ]
    assert {(entry.what, entry.why) for entry in found.dropped} == {
        ("metadata.jsonl line 2", "row that names no image"),
        ("labels.csv line 4", "row that names no image"),
        ("notes.csv", "table without columns file_name and text"),
        ("a.txt: a.png", "second caption of the same image"),
    }


def test_images_whose_content_is_elsewhere_say_how_to_get_it(tmp_path: Path) -> None:
    source = tmp_path / "in"
    captioned(source, "a.png", picture(0))
    captioned(source, "pointer.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (source / "annexed.png").symlink_to(tmp_path / "nowhere")
    (source / "annexed.txt").write_text("a link")
    reasons = why(build(source, tmp_path / "out", 16))
    assert "git lfs pull" in reasons["pointer.png"] and "git annex get" in reasons["annexed.png"]
    (source / "a.png").unlink()
    with pytest.raises(BadInput, match=r"none of the 2 captioned images can be used: .*git annex get"):
        build(source, tmp_path / "other", 16)


def test_what_a_list_says_beside_class_folders_stays(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        picture(len(name)).save(tmp_path / name / f"{name}1.png")
    (tmp_path / "notes.csv").write_text("id,note\ncat1,asleep\n")
    assert [(row.text, row.columns) for row in find(tmp_path).captioned] == [
        ("cat", {"note": "asleep", "label": "cat"}),
        ("dog", {"label": "dog"}),
    ]


def test_class_folders_below_splits(tmp_path: Path) -> None:
    for number, name in enumerate(("train/cat", "train/dog", "val/cat")):
        (tmp_path / name).mkdir(parents=True)
        picture(number).save(tmp_path / name / "0.png")
    assert [row.columns["label"] for row in find(tmp_path).captioned] == ["cat", "dog", "cat"]


def test_a_number_without_zeros_is_the_file_that_has_them(tmp_path: Path) -> None:
    """COCO's tables say 139 of 000000000139.jpg; a file of the very name comes first."""
    for name in ("00007.png", "00008.png", "7.png"):
        (tmp_path / name).touch()
    images = ImageNames(sorted(tmp_path.glob("*.png")), tmp_path)
    table = tmp_path / "t.csv"
    assert images.named("8", table) == images.named("8.0", table) == tmp_path / "00008.png"
    assert images.named("7", table) == tmp_path / "7.png"
    assert images.named("9", table) is None


def test_a_row_of_a_name_that_two_images_have_is_told_as_such(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.png"):
        (tmp_path / name).touch()
    (tmp_path / "t.csv").write_text("id,text\na,x\nb,y\n")
    assert ("t.csv: a", "row of a name that several images have: a.jpg, a.png") in [
        (drop.what, drop.why) for drop in find(tmp_path).dropped
    ]

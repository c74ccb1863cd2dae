"""Classes and slots of any set: numbers that a judge can learn, names that a teacher's configuration lists."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from data.build import build
from data.class_names import class_names, read_classes, slots_of
from data.imagefolder import ImageFolder
from tests.data.pictures import built, captioned, picture, plain


def test_labels_become_numbers_and_names(tmp_path: Path) -> None:
    for number in range(12):
        captioned(tmp_path / "in", f"{'cat' if number % 3 else 'red_panda'}/{number}.png", picture(number), None)
    report = build(tmp_path / "in", tmp_path / "out", 16)
    assert read_classes(report.folder) == ["cat", "red panda"]
    assert all(row["label"] == ("red" in str(row["text"])) for row, _ in built(report).values())
    assert report.notes == ("columns: text, label (2 classes)",)


def test_a_table_of_labels_alone_captions_its_images(tmp_path: Path) -> None:
    for number in range(4):
        captioned(tmp_path / "in", f"{number}.png", picture(number), None)
    (tmp_path / "in" / "labels.csv").write_text("file_name,Label\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(4)))
    rows = built(build(tmp_path / "in", tmp_path / "out", 16))
    assert {name: (row["text"], row["label"]) for name, (row, _) in rows.items()} == {
        f"{n}.png": (str(n % 2), n % 2) for n in range(4)
    }


def test_a_set_without_labels_has_a_class_a_caption_those_of_training_first(tmp_path: Path) -> None:
    report = build(plain(tmp_path / "in", 20), tmp_path / "out", 16)
    names = read_classes(report.folder)
    assert sorted(names) == sorted(f"picture {n}" for n in range(20))
    for row, _ in built(report).values():
        assert names[int(str(row["label"]))] == row["text"]
    assert sorted(ImageFolder(report.folder, "train").column("label")) == list(range(16))


@given(st.lists(st.sampled_from(["0", "1", "2", "10", "b", "a"]), min_size=1), st.data())
def test_every_label_has_one_number(labels: list[str], data: st.DataObject) -> None:
    trained = data.draw(st.lists(st.sampled_from(labels)))
    names = class_names(labels, trained)
    assert sorted(names) == sorted(set(labels))
    if set(names) == {str(number) for number in range(len(names))}:
        assert names == sorted(names, key=int)
    else:
        assert set(names[: len(set(trained))]) == set(trained)


def test_slots_are_found_in_what_pictures_show(tmp_path: Path) -> None:
    """A slot holds what chance would have shown together: of 40 pictures, 10 of a hat and 20 of another one."""
    rows = [("Ape" if n % 2 else "Male", *(["Cap"] if n % 4 == 0 else ["Fez"] if n % 4 < 3 else [])) for n in range(40)]
    rows = [(*row, "Pipe") if n % 3 == 0 else row for n, row in enumerate(rows)]
    assert slots_of(rows) == {"type": ["Ape", "Male"], "Fez": ["Fez", "Cap"], "Pipe": ["Pipe"]}
    assert slots_of([("Fez", "Ape"), ("Ape",)]) == {"Ape": ["Ape"], "Fez": ["Fez"]}  # what is first is no type
    lines = [{"file_name": f"{n:02d}.png", "attributes": list(row)} for n, row in enumerate(rows)]
    source = plain(tmp_path / "in", 40)
    (source / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = build(source, tmp_path / "out", 16)
    assert json.loads((report.folder / "slots.json").read_text()) == slots_of(rows)
    assert {row["label"] for row, _ in built(report).values()} == {0, 1}
    assert report.notes == ("columns: text, label (2 classes), attributes (in 3 slots)",)


def test_attributes_that_not_every_picture_has_make_no_slots_and_it_says_so(tmp_path: Path) -> None:
    for number in range(4):
        captioned(tmp_path / "in", f"{number}.png", picture(number), None)
        row = {"text": f"picture {number}", "attributes": [] if number == 2 else ["Ape", "Fez"]}
        (tmp_path / "in" / f"{number}.json").write_text(json.dumps(row), encoding="utf-8")
    report = build(tmp_path / "in", tmp_path / "out", 16)
    assert report.notes[0] == "columns: text, label (4 classes), attributes (no slots; pictures without any: 1, 2.png)"

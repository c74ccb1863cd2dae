"""Lists that lack something, are cut or empty: the rest is read, and what says nothing of an image is listed with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from base.errors import BadInput
from data.sources import NO_CAPTION, find
from tests.data.pictures import picture

COCO: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "a.png"},
        {"id": 2, "file_name": "b.png"},
        {"id": 3, "file_name": "gone.png"},
        {"id": 4},
    ],
    "annotations": [
        {"image_id": 1, "caption": "a cat"},
        {"image_id": 1, "caption": None},
        {"image_id": 2, "caption": 7},
        {"image_id": 9, "caption": "nobody's"},
        {"image_id": 4, "caption": "nameless"},
    ],
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.png", "b.png")):
        picture(number).save(tmp_path / name)
    return tmp_path


def listed(source: Path) -> dict[str, str]:
    return {entry.what: entry.why for entry in find(source).dropped}


def test_what_coco_says_of_no_image_is_listed(source: Path) -> None:
    (source / "captions.json").write_text(json.dumps(COCO))
    assert [(row.path.name, row.text, row.columns) for row in find(source).captioned] == [("a.png", "a cat", {})]
    assert listed(source) == {
        "captions.json annotation 2 (image_id 1)": "caption that is no text",
        "captions.json annotation 3 (image_id 2)": "caption that is no text",
        "captions.json annotation 4 (image_id 9)": "caption of an image that its file does not list",
        "captions.json annotation 5 (image_id 4)": "image without a file name",
        "captions.json: gone.png": "listed image that is not there",
        "b.png": NO_CAPTION,
    }


@pytest.mark.parametrize("nothing", ["", "NaN", "null", "None", "N/A"])
def test_a_row_without_a_caption_makes_no_column(source: Path, nothing: str) -> None:
    (source / "captions.txt").write_text(f"image,caption\na.png,a cat\na.png,\nb.png,{nothing}\n")
    assert [(row.path.name, row.text, row.columns) for row in find(source).captioned] == [("a.png", "a cat", {})]
    assert listed(source) == {"captions.txt: a.png": "empty caption", "b.png": NO_CAPTION}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("captions.json", json.dumps(COCO)[:-20], "captions.json is not JSON"),
        ("captions.json", "", "captions.json is not JSON: it is empty"),
        ("captions.json", '{"images": [], "annotations": []}', "captions.json is no table"),
        ("captions.txt", "", "captions.txt is empty; accepted are"),
        ("captions.txt", "a.png,a cat\nb.png,a dog\n", "captions.txt has no header: its first line must name"),
        ("captions.txt", "a.png\ta cat\n", "captions.txt has no header"),
        ("captions.txt", "whose?\n", "captions.txt lies beside no image of its name; accepted are"),
        ("captions.csv", "", "captions.csv is empty and has no header: its first line must name the columns"),
    ],
)
def test_a_list_that_says_nothing_is_named(source: Path, name: str, content: str, said: str) -> None:
    (source / name).write_text(content)
    with pytest.raises(BadInput, match=said) as error:
        find(source)
    assert "\n" not in str(error.value)
    (source / "a.txt").write_text(
        "a cat"
    )  # with captions elsewhere it is listed, unless it is a table that cannot be read
    if "has no header" not in said and not name.endswith(".csv"):
        assert [row.text for row in find(source).captioned] == ["a cat"] and name in listed(source)


def test_a_form_to_fill_in_labels_nothing(source: Path) -> None:
    (source / "train.csv").write_text("id,caption\na,a cat\n")
    (source / "sample_submission.csv").write_text("id,label\nb,0\n")
    assert [(row.path.name, row.text, row.columns) for row in find(source).captioned] == [("a.png", "a cat", {})]
    assert listed(source) == {"sample_submission.csv": "a competition's form to fill in", "b.png": NO_CAPTION}

"""Sets with several captions an image, as Flickr8k's and COCO's are: all of them are caption columns that training takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.build import build
from data.imagefolder import ImageFolder
from data.several_captions import MOST, in_columns
from data.sources import find
from tests.data.pictures import picture
from training.captions import Captions

SAID = {"a.png": ["a cat", "one cat, black", "le chat"], "b.png": ["a dog"], "c.png": ["a cow", "two cows"]}
EACH = [(name, text) for name, texts in SAID.items() for text in texts]
COCO = {
    "info": {"year": 2017},
    "images": [{"id": number, "file_name": name} for number, name in enumerate(SAID)],
    "annotations": [{"image_id": [*SAID].index(name), "id": 7, "caption": f"{text}\n"} for name, text in EACH]
    + [{"image_id": 99, "caption": "of nothing"}],
}
KARPATHY = {
    "dataset": "flickr8k",
    "images": [
        {"filename": name, "sentences": [{"raw": text, "tokens": []} for text in texts]} for name, texts in SAID.items()
    ],
}
LISTS = {
    "captions.txt": "image,caption\n" + "".join(f'{name},"{text}"\n' for name, text in EACH),
    "results.csv": "image_name| comment_number| comment\n" + "".join(f"{name}| 0| {text}\n" for name, text in EACH),
    "Flickr8k.token.txt": "".join(f"{name}#{number}\t{text}\n" for number, (name, text) in enumerate(EACH)),
    "metadata.jsonl": "".join(json.dumps({"file_name": name, "text": text}) + "\n" for name, text in EACH),
    "lists.jsonl": "".join(json.dumps({"image": name, "captions": texts}) + "\n" for name, texts in SAID.items()),
    "captions_train2017.json": json.dumps(COCO),
    "dataset_flickr8k.json": json.dumps(KARPATHY),
}
WANTED = [
    ["a cat", "one cat, black", "le chat"],
    ["a dog", "a dog", "a dog"],
    ["a cow", "two cows", "a cow"],
]


def pictures(folder: Path) -> None:
    for number, name in enumerate(SAID):
        picture(number).save(folder / name)


@pytest.mark.parametrize("name", LISTS)
def test_every_list_of_several_captions_is_read_alike(tmp_path: Path, name: str) -> None:
    pictures(tmp_path)
    (tmp_path / name).write_text(LISTS[name], encoding="utf-8")
    found = find(tmp_path)
    assert [[row.text, row.columns["text_2"], row.columns["text_3"]] for row in found.captioned] == WANTED
    assert not [entry for entry in found.dropped if not entry.why.startswith("caption ")]  # of other images


def test_rows_of_parquet_hold_them_as_lists(tmp_path: Path) -> None:
    pictures(tmp_path)
    contents = [(tmp_path / name).read_bytes() for name in SAID]
    for name in SAID:
        (tmp_path / name).unlink()
    table = pa.table({"image": [{"bytes": content, "path": None} for content in contents], "caption": [*SAID.values()]})
    pq.write_table(table, tmp_path / "train.parquet")
    report = build(tmp_path, tmp_path.parent / "set", 16)
    rows = [json.loads(line) for line in (report.folder / "train" / "metadata.jsonl").read_text().splitlines()]
    assert all([row["text"], row["text_2"], row["text_3"]] in WANTED for row in rows)


def test_training_draws_from_all_of_them(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    pictures(source)
    (source / "captions.txt").write_text(LISTS["captions.txt"])
    images = ImageFolder(build(source, tmp_path / "set", 16, keep="text").folder)
    words: dict[str, int] = {}

    def ids(texts: Sequence[Any]) -> torch.Tensor:
        return torch.tensor([[words.setdefault(text, len(words))] for text in texts])

    captions = Captions(images, ["text", "text_2", "text_3"], ids)
    assert captions.ids.shape == (3, 3, 1) and set(words) == {text for _, text in EACH}


def test_another_list_does_not_add_to_the_first(tmp_path: Path) -> None:
    pictures(tmp_path)
    (tmp_path / "metadata.jsonl").write_text(LISTS["metadata.jsonl"])
    (tmp_path / "b.txt").write_text("a hound")
    found = find(tmp_path)
    assert [(entry.what, entry.why) for entry in found.dropped] == [
        ("b.txt: b.png", "second caption of the same image")
    ]
    assert found.captioned[1].columns["text_3"] == "a dog"


def test_a_picture_that_a_table_names_too_often_is_told(tmp_path: Path) -> None:
    pictures(tmp_path)
    (tmp_path / "list.csv").write_text("file,text\n" + "".join(f"a.png,{number}\n" for number in range(MOST + 2)))
    found = find(tmp_path)
    assert len(found.captioned[0].columns) == MOST - 1
    assert [entry.why for entry in found.dropped].count(f"more than {MOST} captions of the same image") == 2


@given(
    st.lists(st.lists(st.text(min_size=1), max_size=MOST, unique=True), max_size=9),
    st.sets(st.sampled_from(["text_2", "n"])),
)
def test_columns_hold_every_caption_and_are_as_long_as_the_most(captions: list[list[str]], taken: set[str]) -> None:
    columns = in_columns(captions, taken)
    most = max(map(len, captions), default=0)
    for texts, further in zip(captions, columns, strict=True):
        assert not taken & further.keys() and {*texts[:1], *further.values()} == set(texts)
        assert len(further) == (max(most - 1, 0) if texts else 0)
        counts = [[*texts[:1], *further.values()].count(text) for text in texts]
        assert not counts or max(counts) - min(counts) <= 1

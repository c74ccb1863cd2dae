"""Images inside parquet files, as the Hub's library and everybody else write them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from base.errors import BadInput
from data.build import build
from data.parquet_images import unpacked
from tests.data.pictures import built, picture, why

COUNT = 12


def _png(seed: int) -> bytes:
    written = io.BytesIO()
    picture(seed, 16, 16).save(written, "PNG")
    return written.getvalue()


def _write(file: Path, columns: dict[str, list[Any]], head: dict[str, Any] | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table(columns)
    if head:
        table = table.replace_schema_metadata({"huggingface": json.dumps(head)})
    parquet.write_table(table, file)
    return file


@pytest.mark.parametrize("kind", ["struct", "binary"])
def test_a_folder_of_them_is_a_source_like_any_other(tmp_path: Path, kind: str) -> None:
    """Neither needs the Hub's entry in the file's head; numbers, texts and lists of them are kept, NaN is nothing."""
    contents = [_png(seed) for seed in range(COUNT)]
    images = [{"bytes": content, "path": f"{seed}.png"} for seed, content in enumerate(contents)]
    columns = {
        "jpg": images if kind == "struct" else contents,
        "caption": [f"picture {seed}" for seed in range(COUNT)],
        "attributes": [["Ape", f"hat {seed % 2}"] for seed in range(COUNT)],
        "score": [float("nan") if seed else 1.5 for seed in range(COUNT)],
    }
    _write(tmp_path / "in" / "data" / "train-00000-of-00001.parquet", columns)
    rows = built(build(tmp_path / "in", tmp_path / "out", 16))
    assert len(rows) == COUNT
    for row, pixels in rows.values():
        seed = int(str(row["text"]).removeprefix("picture "))
        assert row["attributes"] == ["Ape", f"hat {seed % 2}"] and row["score"] == (None if seed else 1.5)
        assert np.array_equal(pixels, np.asarray(picture(seed, 16, 16)))


def test_numbers_of_classes_become_their_names_and_captions(tmp_path: Path) -> None:
    head = {
        "info": {"features": {"kind": {"_type": "Value"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}
    }
    _write(tmp_path / "a.parquet", {"image": [_png(0), _png(1)], "label": [1, 0], "kind": [0, 1]}, head)
    (tmp_path / "scratch").mkdir()
    found = unpacked([tmp_path / "a.parquet"], tmp_path / "scratch").captioned
    assert [(row.text, row.columns) for row in found] == [
        ("dog", {"label": "dog", "kind": 0}),
        ("cat", {"label": "cat", "kind": 1}),
    ]


def test_a_row_without_an_image_is_listed(tmp_path: Path) -> None:
    _write(tmp_path / "in" / "a.parquet", {"image": [_png(0), None, b"no image"], "text": ["a", "b", "c"]})
    report = build(tmp_path / "in", tmp_path / "out", 16)
    assert why(report) == dict.fromkeys(("a.parquet row 2", "a.parquet row 3"), "row without an image")


def _cut(folder: Path) -> None:
    file = _write(folder / "a.parquet", {"image": [_png(0)]})
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_cut, r"a\.parquet cannot be read, is it cut\? Fetch it again"),
        (
            lambda folder: _write(folder / "a.parquet", {"text": ["a"], "n": [1]}),
            r"holds no images: .* it has: text, n",
        ),
        (lambda folder: _write(folder / "x-00000-of-00002.parquet", {"image": [_png(0)]}), "lacks x-00001-of-00002"),
        (
            lambda folder: (folder / "a.parquet").write_text(
                "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
            ),
            r"a\.parquet is a git-lfs pointer, .*`git lfs pull`",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, spoil: Any, says: str) -> None:
    (tmp_path / "in").mkdir()
    spoil(tmp_path / "in")
    with pytest.raises(BadInput, match=says) as refused:
        build(tmp_path / "in", tmp_path / "out", 16)
    assert "\n" not in str(refused.value) and not (tmp_path / "out").exists()

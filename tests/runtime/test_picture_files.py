"""Lists that draw from pictures: what `ippo bulk` makes of them, and one line, with the row's, for what cannot be drawn."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from base.shipped import SHIPPED_BUNDLE
from commands.bulk import _rows
from runtime import picture_files, shards
from runtime.bundle import Bundle, open_bundle
from runtime.prompts import Row
from tests.versatile_bundle import encoded, write_versatile

WISHES = "prompt,content,style,mix,seed\ncat,a.png,sub/b.png,0.3,5\n,a.png,,,6\ndog,,,,7\n"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_versatile(tmp_path_factory.mktemp("versatile") / "bundle"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, and a list of what is to be drawn from them."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(encoded(0))
    (tmp_path / "sub" / "b.png").write_bytes(encoded(1))
    (tmp_path / "broken.png").write_bytes(encoded(2)[:99])
    (tmp_path / "wishes.csv").write_text(WISHES)
    return tmp_path


def rows_of(folder: Path, both: Bundle, text: str, name: str = "list.csv") -> list[Row]:
    (folder / name).write_text(text)
    return _rows(folder / name, both.manifest)


def test_a_list_draws_from_pictures_as_ippo_generate_does(both: Bundle, folder: Path) -> None:
    own = ["--bundle", str(both.folder), "--backend", "eager", "--device", "cpu"]
    bulk, runner = ["bulk", str(folder / "wishes.csv"), *own, "--shard", "2", "--out", str(folder / "out")], CliRunner()
    assert runner.invoke(ippo.app, bulk, catch_exceptions=False).exit_code == 0
    lines = [json.loads(line) for file in sorted((folder / "out").glob("*/metadata.jsonl")) for line in file.open()]
    asked = [{key: value for key, value in line.items() if key not in ("file_name", "sha256")} for line in lines]
    assert asked == [
        {"prompt": "cat", "content": "a.png", "style": "sub/b.png", "mix": 0.3, "seed": 5},
        {"prompt": "", "content": "a.png", "seed": 6},
        {"prompt": "dog", "seed": 7},
    ]
    pictures = ["--content", str(folder / "a.png"), "--style", str(folder / "sub" / "b.png"), "--mix", "0.3"]
    alone = runner.invoke(
        ippo.app, ["generate", "cat", *pictures, *own, "--seed", "5", "--out", str(folder / "one.png")]
    )
    assert alone.exit_code == 0, alone.output
    drawn = {file.name: file.read_bytes() for file in sorted((folder / "out").glob("*/*.png"))}
    first, one = Image.open(io.BytesIO(drawn["00000000.png"])), Image.open(folder / "one.png")
    assert first.info == one.info and first.info["content"] == hashlib.sha256(encoded(0)).hexdigest()[:16]
    assert np.abs(np.asarray(first).astype(int) - np.asarray(one)).max() <= 3 and len(set(drawn.values())) == 3

    manifest = json.loads((folder / "out" / "manifest.json").read_text())  # as a run that was killed leaves it
    manifest["shards"].pop("shard-00001")
    (folder / "out" / "manifest.json").write_text(json.dumps({**manifest, "complete": False}))
    Path(folder / "out" / "shard-00001" / "00000002.png").unlink()
    assert runner.invoke(ippo.app, bulk, catch_exceptions=False).exit_code == 0
    assert {file.name: file.read_bytes() for file in sorted((folder / "out").glob("*/*.png"))} == drawn
    (folder / "a.png").write_bytes(encoded(3))
    another = runner.invoke(ippo.app, bulk)
    assert "holds another job: prompts, pictures or seeds differ" in str(another.exception)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("cat,gone.png,,,", "content 'gone.png' is not there; accepted: a picture's path from the list's folder"),
        ("cat,wrong/b.png,,,", "content 'wrong/b.png' is not there"),
        ("cat,blob,,,", "content 'blob' is not there"),
        ("cat,broken.png,,,", "is no image that can be read"),
        ("cat,sub,,,", "content 'sub' is not there"),
        (",,a.png,,", "a style alone says nothing to draw; accepted with it: prompt, content"),
        (",a.png,,0.5,", "mix is between a prompt and pictures; one of them is missing"),
        ("cat,a.png,,half,", "mix 'half' is no number"),
        ("cat,a.png,,1.5,", "mix 1.5 is out of range; accepted: 0 to 1"),
        ("cat,a.png,,nan,", "mix nan is out of range"),
        ("cat,a.png,,0.5,x", "seed 'x' is no whole number from 0"),
        (",,,0.5,", " has no prompt or content or style"),
    ],
)
def test_a_row_that_cannot_be_drawn_is_told_with_its_line(both: Bundle, folder: Path, row: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        rows_of(folder, both, f"prompt,content,style,mix,seed\ncat,a.png,sub/b.png,0.5,1\n{row}\n")
    line = str(refused.value)
    assert line.startswith(f"{folder / 'list.csv'} line 3") and says in line and "\n" not in line


@pytest.mark.parametrize(
    "name",
    ["sub/b.png", "sub\\b.png", "SUB\\B.PNG", "C:\\x\\b.png", "D:b.png", "\\\\server\\b.png", "/x/y/b.png", "sub/b"],
)
def test_a_picture_is_found_by_its_path_and_one_of_another_machine_by_its_name(
    both: Bundle, folder: Path, name: str
) -> None:
    text = "\n".join(json.dumps({"prompt": "cat", "content": content}) for content in (name, "a.png"))
    row, _ = rows_of(folder, both, text, "list.jsonl")
    found = picture_files.named(row.input)["content"]
    assert (found.path, found.name) == ((folder / "sub" / "b.png").resolve(), name)
    (folder / "other").mkdir()
    (folder / "other" / "b.png").write_bytes(encoded(4))
    if "sub" not in name.lower():
        with pytest.raises(BadInput, match=r"list\.jsonl line 1: content .* is not there"):
            rows_of(folder, both, text, "list.jsonl")


def test_labels_of_a_set_are_no_pictures(both: Bundle, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows_of(folder, both, '{"file_name": "a.png", "text": "cat", "style": "blob"}', "metadata.jsonl")
    assert row.input == "cat" and not row.further
    assert (
        f"the column style of {folder / 'metadata.jsonl'} names no pictures and is not read" in capsys.readouterr().err
    )


def test_pictures_for_a_model_of_words_are_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"names pictures in content and style, which the model .* accepted: prompt$"):
        _rows(folder / "wishes.csv", open_bundle(SHIPPED_BUNDLE).manifest)


def test_a_picture_that_changes_while_it_is_drawn_from_is_refused(both: Bundle, folder: Path) -> None:
    requests = shards.requests_of(_rows(folder / "wishes.csv", both.manifest), 0)
    size = both.manifest.picture_size or both.manifest.sizes[0]
    ready = picture_files.opened(requests, size)
    assert ready[0].input.content is ready[1].input.content and ready[0].input.content.shape == (*size[::-1], 3)  # type: ignore[attr-defined]
    assert ready[2] is requests[2]
    (folder / "a.png").write_bytes(encoded(3))
    with pytest.raises(BadInput, match=r"a\.png was changed while it was drawn from"):
        picture_files.opened(requests, size)

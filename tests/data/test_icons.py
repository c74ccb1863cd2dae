"""The rendered icon set: an imagefolder whose captions and attributes are true, the same every time."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from base.errors import BadInput
from commands.data import app
from data.cleaning_report import CleaningReport
from data.icon_captions import COLUMNS, GROUNDS
from data.icons import icons
from data.imagefolder import ImageFolder
from tests.data.sample_icons import EMOJI, SAMPLE, SETS

STYLES = {"shaded", "simple", "flat", "classic"}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, rendered once for all tests."""
    return icons(tmp_path_factory.mktemp("icons") / "few", SETS, modules=SAMPLE).folder


def rows(folder: Path, split: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / split / "metadata.jsonl").read_text().splitlines()]


def everything(folder: Path) -> list[tuple[Path, dict[str, object]]]:
    return [
        (folder / split / str(row["file_name"]), row)
        for split in ("train", "validation", "test")
        for row in rows(folder, split)
    ]


def test_the_set_is_an_imagefolder_of_every_kind(few: Path) -> None:
    report = CleaningReport.load(few)
    assert report is not None and not report.dropped
    images = ImageFolder(few)
    assert images.shape == (128, 128) and len(images) == report.rows["train"]
    assert images.columns == [*COLUMNS, "attributes", "label", "emoji", "category", "style", "ground", "kind"]
    kinds = Counter(row["kind"] for row in rows(few, "test"))
    assert kinds == {"unseen-combination": 12, "unseen-ground": 11, "unseen-thing": 8, "unseen-style": 11}
    assert {row["emoji"] for _, row in everything(few)} == set(EMOJI)
    assert {row["style"] for row in rows(few, "train")} == STYLES


def test_half_of_the_pictures_are_white_and_every_ground_is_what_the_captions_say(few: Path) -> None:
    grounds = []
    for file, row in everything(few):
        with Image.open(file) as image:
            assert image.mode == "RGB"
            corners = {image.getpixel((x, y)) for x in (0, 127) for y in (0, 127)}
        ground = str(row["ground"])
        grounds.append(ground)
        assert corners == {GROUNDS[ground][0]}
        named = (f"on {ground}" in str(row["text"]), f"sur fond {GROUNDS[ground][1]}" in str(row["text_fr"]))
        assert set(named) == {ground != "white"}
    assert 0.35 <= np.mean([ground == "white" for ground in grounds]) <= 0.6


def test_attributes_are_slots_that_a_judge_can_read(few: Path) -> None:
    slots = json.loads((few / "slots.json").read_text())
    assert list(slots) == ["thing", "style", "ground"]
    assert set(slots["style"]) == STYLES and slots["ground"] == list(GROUNDS)
    assert len(slots["thing"]) == 11
    for _, row in everything(few):
        thing, style, ground = row["attributes"]  # type: ignore[misc]
        assert (thing in slots["thing"]) == (row["kind"] != "unseen-thing")
        assert (style in slots["style"]) == (row["kind"] != "unseen-style")
        assert ground in slots["ground"]
        assert thing not in slots["thing"] or slots["thing"].index(thing) == row["label"]


def test_pictures_differ_wherever_thing_style_or_ground_do(few: Path) -> None:
    pictures = {file.read_bytes(): (row["emoji"], row["style"], row["ground"]) for file, row in everything(few)}
    assert len(pictures) == len(everything(few)) == len(set(pictures.values()))


def test_rendering_again_gives_the_same_files_and_leaves_a_finished_set_alone(few: Path, tmp_path: Path) -> None:
    again = icons(tmp_path / "again", list(reversed(SETS)), modules=SAMPLE)
    files = sorted(path for path in few.rglob("*.*") if path.is_file())
    assert len(files) > 100
    for path in files:
        assert path.read_bytes() == (again.folder / path.relative_to(few)).read_bytes(), path
    before = {path: path.stat().st_mtime_ns for path in few.rglob("*")}
    assert icons(few, SETS, modules=SAMPLE) == CleaningReport.load(few)
    assert before == {path: path.stat().st_mtime_ns for path in few.rglob("*")}


def test_other_parameters_replace_our_own_set_but_nobody_elses(tmp_path: Path) -> None:
    out = tmp_path / "set"
    first = icons(out, ["noto", "flat"], count=4, modules=SAMPLE, size=32)
    second = icons(out, ["noto", "flat"], count=4, modules=SAMPLE, size=32, colours=3)
    assert len(rows(out, "train")) == second.rows["train"] > first.rows["train"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="was not made by `ippo data icons`"):
        icons(other, SETS, modules=SAMPLE)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_twins_blanks_and_what_few_sets_show_are_dropped_and_listed(tmp_path: Path) -> None:
    modules = Path(shutil.copytree(SAMPLE, tmp_path / "node_modules"))
    file = modules / "@iconify-json" / "emojione" / "icons.json"
    content = json.loads(file.read_text())
    content["icons"]["green-apple"] = content["icons"]["red-apple"]
    content["icons"]["fox"] = {"body": "<g/>"}
    del content["icons"]["pizza"]
    file.write_text(json.dumps(content))
    report = icons(tmp_path / "set", SETS, modules=modules, size=32)
    assert {entry.what: entry.why for entry in report.dropped} == {
        "fox in emojione": "blank",
        "green apple in emojione": "looks the same as red apple",
        "fox": "in 3 of the sets",
        "green apple": "in 3 of the sets",
        "pizza": "in 3 of the sets",
    }
    shown = {str(row["emoji"]) for _, row in everything(report.folder)}
    assert shown == set(EMOJI) - {"🦊", "🍏", "🍕"}


def test_bad_input_is_one_clear_line(tmp_path: Path) -> None:
    for arguments, message in (
        ({"size": 8}, "accepted are sizes 16 to 256"),
        ({"size": 512}, "accepted are sizes 16 to 256"),
        ({"colours": 0}, "1 to 6 colours"),
        ({"colours": 7}, "1 to 6 colours"),
        ({"count": 1}, "accepted are 2 or more"),
        ({"count": 13}, "13 things: all of these sets show 12"),
        ({"sets": ["notto", "flat"]}, "no icon set 'notto'; did you mean 'noto'?"),
        ({"modules": tmp_path / "nowhere"}, "npm ci --prefix"),
    ):
        with pytest.raises(BadInput) as caught:
            icons(tmp_path / "out", **{"sets": SETS, "modules": SAMPLE, **arguments})  # type: ignore[arg-type]
        assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_command_renders_what_is_asked(tmp_path: Path) -> None:
    chosen = ["--set", "twemoji", "--set", "flat", "--count", "3", "--size", "32", "--modules", str(SAMPLE)]
    result = CliRunner().invoke(app, ["icons", "--out", str(tmp_path / "set"), *chosen])
    assert result.exit_code == 0, result.output
    assert {row["style"] for row in rows(tmp_path / "set", "train")} <= {"simple", "flat"}
    assert ImageFolder(tmp_path / "set").shape == (32, 32)

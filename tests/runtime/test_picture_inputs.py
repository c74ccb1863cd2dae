"""Pictures and their tokens as inputs of a bundle's flows: what is taken, and one line for what is not."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from commands.caption import caption
from data.imagefolder import ImageFolder
from models.labels import Seen, Wish
from models.task import Vocabulary
from models.tasks.image_text_to_image import ImageTextToImage
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.captioner import CaptionGenerator
from runtime.generator import Generator, Request
from runtime.manifest import MANIFEST
from tests import tiny
from tests.versatile_bundle import write_versatile

PICTURE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_versatile(tmp_path_factory.mktemp("versatile") / "bundle"))


@pytest.fixture(scope="module")
def generator(both: Bundle) -> Generator:
    return Generator(both, backend.load("eager", both, BackendOptions(threads=1, device="cpu")))


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((2, tiny.WIDTH + 1), np.float32), np.zeros((3, tiny.WIDTH), np.float32), PICTURE[:8], PICTURE[..., :1],
        np.full((2, tiny.WIDTH), np.nan, np.float32), np.full((2, tiny.WIDTH), np.inf, np.float32),
        PICTURE.astype(np.float32), "cat.png",
    ],
    ids=["width", "count", "size", "grey", "nan", "infinite", "float pixels", "name"],
)  # fmt: skip
@pytest.mark.parametrize("zone", ["content", "style"])
def test_what_is_neither_a_picture_nor_its_tokens_is_one_line(generator: Generator, zone: str, picture: object) -> None:
    accepted = r"a picture must be uint8 \(16, 16, 3\) or 2x32 finite numbers, got "
    with pytest.raises(BadInput, match=accepted) as raised:
        generator.generate([Request(Wish("cat", **{zone: picture}), 0)])
    assert "\n" not in str(raised.value)


def test_tokens_draw_as_the_picture_does_and_a_mix_of_1_as_the_prompt_alone(generator: Generator) -> None:
    tokens = generator.embed(PICTURE[None])[0]
    wishes = [
        Wish("cat", PICTURE, PICTURE, 0.5),
        Wish("cat", tokens[:2], tokens[2:], 0.5),
        Wish("cat", PICTURE, mix=1.0),
        "cat",
    ]
    images = generator.generate([Request(wish, 1) for wish in wishes])
    assert np.array_equal(images[0], images[1]) and np.abs(images[2].astype(int) - images[3]).max() <= 1
    assert not np.array_equal(images[0], images[3])


def test_captions_are_asked_for_by_pictures_of_one_size(both: Bundle) -> None:
    captioner = CaptionGenerator(both, "eager", BackendOptions(threads=1, device="cpu"))
    for picture in (PICTURE[:8], np.zeros((2, tiny.WIDTH), np.float32), np.full((4, tiny.WIDTH), np.nan)):
        with pytest.raises(BadInput, match=r"must be uint8 \(16, 16, 3\) or 4x32 finite numbers"):
            captioner.caption([picture], [0])
    with pytest.raises(BadInput, match="steps 5 is not offered; accepted: 1, 2, 3, 4"):
        captioner.caption([PICTURE], [0], steps=5)
    with pytest.raises(BadInput, match="seed -1 is out of range"):
        captioner.caption([PICTURE], [-1])
    tokens = captioner.generator.embed(PICTURE[None])[0]
    assert captioner.caption([tokens], [3]) == captioner.caption([PICTURE], [3])
    with pytest.raises(BadInput, match="as 'fr' is unknown; accepted: text, text_fr"):
        captioner.generator.generate([Request(Seen(PICTURE, "fr"), 0)])


@pytest.mark.parametrize(
    ("local", "further", "says"),
    [
        (False, {"content": b"", "focus": 0.2}, "focus is not offered: this model sees a picture as a few tokens"),
        (True, {"focus": 0.2}, "focus is of a picture, and there is none"),
        (True, {"content": b"", "focus": 1.5}, "focus 1.5 is out of range"),
        (True, {"content": b"", "focus": float("nan")}, "focus nan is out of range"),
        (True, {"style": b"", "content": b"", "focus": 1.0}, ""),
    ],
)
def test_focus_is_of_pictures_that_are_seen_whole(local: bool, further: dict[str, object], says: str) -> None:
    task = ImageTextToImage(Vocabulary(local_tokens=local))
    if not says:
        assert task.joined("cat", further).focuses == (1.0, 0.0)  # type: ignore[attr-defined]
        return
    with pytest.raises(BadInput, match=says):
        task.joined("cat", further)


def test_a_focus_past_the_tasks_eyes_is_refused_by_the_bundle(generator: Generator) -> None:
    with pytest.raises(BadInput, match="focus is not offered"):
        generator.generate([Request(Wish("cat", PICTURE, focus=0.2), 0)])


def test_a_bundle_without_the_flow_names_its_tasks(tiny_bundle: Path) -> None:
    with pytest.raises(BadInput, match="does not do image-to-text; it does: text-to-image"):
        CaptionGenerator(open_bundle(tiny_bundle))


@pytest.mark.parametrize("place", ["task", "flows"])
def test_a_task_of_a_newer_version_is_one_line(both: Bundle, tmp_path: Path, place: str) -> None:
    manifest = json.loads((both.folder / MANIFEST).read_text())
    if place == "task":
        manifest["task"] = "image-to-texts"
    else:
        manifest["flows"]["image-to-texts"] = manifest["flows"].pop("image-to-text")
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "files": {}}))
    with pytest.raises(BadInput, match=re.escape("unknown task 'image-to-texts'; did you mean 'image-to-text'")):
        open_bundle(tmp_path)


def test_a_table_of_captions_holds_no_formulas(both: Bundle, tmp_path: Path) -> None:
    from commands.caption import _plain

    assert [_plain(text) for text in ("=1+1", "+1", "-1", "@a", "a=1")] == ["'=1+1", "'+1", "'-1", "'@a", "a=1"]
    Image.fromarray(PICTURE).save(tmp_path / "=a.png")
    caption([tmp_path / "=a.png"], both.folder, "text", tmp_path / "captions.csv", 3, 1, "eager", "cpu")
    with (tmp_path / "captions.csv").open(newline="") as opened:
        rows = list(csv.reader(opened))
    assert (
        rows[0] == ["file_name", "text"] and rows[1][0] == "=a.png" and not rows[1][1].startswith(("=", "+", "-", "@"))
    )
    with pytest.raises(BadInput, match=r"unknown kind of file '.txt'; accepted: .csv"):
        caption([tmp_path / "=a.png"], both.folder, "text", tmp_path / "captions.txt", 3, 1, "eager", "cpu")


def test_a_table_that_is_there_is_kept(both: Bundle, tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    (table := tmp_path / "prices.csv").write_text("thing,price\ncat,3\n")
    command = [
        "caption",
        str(tmp_path / "a.png"),
        "--bundle",
        str(both.folder),
        "--backend",
        "eager",
        "--device",
        "cpu",
    ]
    refused = CliRunner().invoke(ippo.app, [*command, "--out", str(table)])
    assert str(refused.exception) == f"{table} exists already: name another file, or --overwrite"
    assert table.read_text() == "thing,price\ncat,3\n"
    assert CliRunner().invoke(ippo.app, [*command, "--out", str(table), "--overwrite"]).exit_code == 0
    assert table.read_text().startswith("file_name,text\na.png,")


def test_a_table_names_pictures_by_their_place(both: Bundle, tmp_path: Path) -> None:
    pictures = [(two := tmp_path / "two") / folder / "0.png" for folder in "ab"]
    for file in pictures:
        file.parent.mkdir(parents=True)
        Image.fromarray(PICTURE).save(file)
    caption(pictures, both.folder, "text", table := tmp_path / "two" / "captions.csv", 3, 1, "eager", "cpu")
    assert [line.partition(",")[0] for line in table.read_text().splitlines()] == ["file_name", "a/0.png", "b/0.png"]
    (tmp_path / "other").mkdir()
    (two / "a" / "sub").mkdir()
    (tmp_path / "folder.csv").mkdir()
    for files, place, line in (
        (
            pictures,
            "other/captions.csv",
            f"a/0.png does not lie in or below .*other; accepted: a table in {two} or above",
        ),
        (pictures, "two/a/captions.csv", f"b/0.png does not lie in or below .*a; accepted: a table in {two} or above"),
        (pictures[:1], "two/a/sub/captions.csv", f"a/0.png does not lie in or below .*sub; .* in {two / 'a'} or above"),
        ([pictures[0], two / "b" / ".." / "a" / "0.png"], "two/c.csv", "a/0.png are one picture: name it once"),
        (pictures, "nope/captions.csv", "nope is no folder"),
        (pictures, "folder.csv", "folder.csv is a folder; accepted: a .csv file"),
    ):
        with pytest.raises(BadInput, match=line):
            caption(files, tmp_path / "no bundle", "text", tmp_path / place, 3, 1, "eager", "cpu")


def test_what_cannot_be_read_is_left_out_and_told_of_files_and_of_folders(both: Bundle, tmp_path: Path) -> None:
    broken = [tmp_path / f"[b]{number:02}.png" for number in range(12)]
    for file in broken:
        file.write_bytes(b"no picture")
    Image.fromarray(PICTURE).save(whole := tmp_path / "whole.png")
    how = ["--bundle", str(both.folder), "--backend", "eager", "--device", "cpu"]
    told = [f"left out: {file} is no image that can be read" for file in broken]
    for named in ([tmp_path], [*broken, whole]):
        said = CliRunner().invoke(ippo.app, ["caption", *map(str, named), *how], catch_exceptions=False)
        assert said.exit_code == 0 and said.stdout.startswith(f"{whole}: ") and len(said.stdout.splitlines()) == 1
        assert said.stderr.splitlines() == [*told[:10], "12 of 13 left out"]
    none = CliRunner().invoke(ippo.app, ["caption", *map(str, broken[:2]), *how, "--out", str(tmp_path / "t.csv")])
    assert str(none.exception) == "none of the 2 pictures can be read" and none.stderr.splitlines() == told[:2]
    alone = CliRunner().invoke(ippo.app, ["caption", str(broken[0]), *how])
    assert isinstance(alone.exception, BadInput) and str(alone.exception) == told[0].removeprefix("left out: ")
    assert not (tmp_path / "t.csv").exists()


def test_a_folder_without_captions_becomes_a_set(both: Bundle, tmp_path: Path) -> None:
    """`ippo caption FOLDER --out FOLDER/captions.csv`, then `ippo data build FOLDER SET`."""
    folder, runner = tmp_path / "mine", CliRunner()
    (folder / "sub").mkdir(parents=True)
    files = [folder / "0.png", folder / "1.webp", folder / "2 b.jpg", folder / "sub" / "3.png"]
    (folder / "broken.png").write_bytes(b"no picture")
    for seed, file in enumerate(files):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)).save(file)
    how = ["--bundle", str(both.folder), "--as", "text", "--backend", "eager", "--device", "cpu"]
    table = ["--out", str(folder / "captions.csv")]
    shipped = runner.invoke(ippo.app, ["caption", str(folder)])
    assert str(shipped.exception).startswith("the bundle that ships writes no captions; accepted: --bundle")
    without = runner.invoke(ippo.app, ["data", "build", str(folder), str(tmp_path / "set")])
    assert "accepted are a .txt" in str(without.exception) and "(ippo caption writes" in str(without.exception)
    said = runner.invoke(ippo.app, ["caption", str(folder), *how, *table], catch_exceptions=False)
    assert said.exit_code == 0 and said.stdout == f"{folder / 'captions.csv'}\n", said.output
    assert f"left out: {folder / 'broken.png'} is no image" in said.stderr and "1 of 5 left out" in said.stderr
    assert f"ippo data build {folder} NAME" in said.stderr
    alone = runner.invoke(ippo.app, ["caption", *map(str, files), *how], catch_exceptions=False)
    with (folder / "captions.csv").open(newline="", encoding="utf-8") as opened:
        written = {row["file_name"]: row["text"] for row in csv.DictReader(opened)}
    assert list(written) == [file.relative_to(folder).as_posix() for file in files] and all(written.values())
    assert [line.rpartition(": ")[0] for line in alone.stdout.splitlines()] == [str(file) for file in files]
    made = runner.invoke(
        ippo.app, ["data", "build", str(folder), str(tmp_path / "set"), "--size", "16"], catch_exceptions=False
    )
    assert made.exit_code == 0, made.output
    splits = [folder.name for folder in (tmp_path / "set").iterdir() if folder.is_dir()]
    captions = [text for split in splits for text in ImageFolder(tmp_path / "set", split).captions()]
    assert sorted(captions) == sorted(" ".join(text.split()) for text in written.values())


def test_a_caption_of_any_kind_is_of_one_kind_by_its_seed(both: Bundle) -> None:
    captioner, seeds = CaptionGenerator(both, "eager", BackendOptions(threads=1, device="cpu")), range(24)
    kinds = [request.input.column for request in captioner.about([PICTURE] * 24, seeds, "any")]  # type: ignore[attr-defined]
    assert set(kinds) == set(tiny.COLUMNS) and kinds != sorted(kinds)
    said = captioner.caption([PICTURE] * 4, seeds[:4], "any")
    assert said == [captioner.caption([PICTURE], [seed], kind)[0] for seed, kind in zip(seeds, kinds[:4], strict=False)]

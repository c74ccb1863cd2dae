"""Any folder of captioned images: every kind of bad file, every kind of caption table, and what comes out."""

import io
import json
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from base.errors import BadInput
from data.build import build
from data.cleaning_report import CleaningReport
from data.imagefolder import ImageFolder
from data.splits import split
from tests.data.pictures import built, captioned, metadata, picture, plain, why


def _bomb() -> bytes:
    """A PNG of 20,000 by 20,000 pixels in 80 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_every_bad_file_is_dropped_and_listed(tmp_path: Path) -> None:
    source = plain(tmp_path / "in", 3)
    whole = captioned(source, "whole.jpg", picture(90, 200, 200), "\ufeffwhole,  with\na BOM").read_bytes()
    captioned(source, "truncated.jpg", whole[: len(whole) // 2])
    captioned(source, "page.png", b"<html>not found</html>")
    captioned(source, "empty.png", b"")
    captioned(source, "bomb.png", _bomb())
    captioned(source, "tiny[1].png", picture(91, 15, 40))
    captioned(source, "twin.bmp", picture(0), "the pixels of 00.png in another file format")
    captioned(source, "alone.png", picture(92), caption=None)
    captioned(source, "blank.png", picture(93), caption=" \n ")
    captioned(source, "drawing.svg", b"<svg/>", caption=None)
    (source / "nothing.txt").write_text("a caption of nothing")
    captioned(source, "latin.png", picture(94)).with_suffix(".txt").write_bytes("caf\xe9".encode("latin-1"))
    (source / ".hidden.png").write_bytes(b"left alone")
    report = build(source, tmp_path / "out", size=16)
    texts = {name: row["text"] for name, (row, _) in built(report).items()}
    assert texts == {
        "00.png": "picture 0",
        "01.png": "picture 1",
        "02.png": "picture 2",
        "whole.jpg": "whole, with a BOM",
    }
    assert why(report) == {
        "truncated.jpg": "damaged or truncated image",
        "page.png": "not an image",
        "empty.png": "not an image",
        "bomb.png": f"more than {Image.MAX_IMAGE_PIXELS} pixels: too large",
        "tiny[1].png": "smaller than 16 pixels",
        "twin.bmp (same as 00.png)": "same pixels as another image",
        "alone.png": "image without a caption",
        "blank.png": "image without a caption",
        "latin.png": "image without a caption",
        "latin.txt": "caption that is not UTF-8 text",
        "nothing.txt": "caption without an image",
        "drawing.svg": ".svg files are not read",
    }
    assert CleaningReport.load(report.folder) == report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    shown = io.StringIO()
    Console(file=shown, width=120).print(*report.tables())
    assert "damaged or truncated image" in shown.getvalue() and "tiny[1].png" in shown.getvalue()


@pytest.mark.parametrize(
    "caption",
    [
        "うずまきナルト、螺旋丸",
        "نينجا يرتدي عصابة",
        "Наруто в оранжевой куртке",
        "नारुतो",
        "🍥🦊 ninja",
        "é e\u0301",
        "word " * 500,
    ],
)
def test_captions_in_any_script_and_length_are_kept(tmp_path: Path, caption: str) -> None:
    """What a text encoder cannot read is its tokenizer's to cut, not the set's."""
    captioned(tmp_path / "in", "a.png", picture(0), caption)
    report = build(tmp_path / "in", tmp_path / "out", size=16)
    assert ImageFolder(report.folder).captions() == [" ".join(caption.split())]


def test_crop_fills_and_pad_keeps_everything(tmp_path: Path) -> None:
    wide = Image.new("RGB", (90, 30), (0, 200, 0))
    wide.paste((200, 0, 0), (0, 0, 15, 30))
    captioned(tmp_path / "in", "wide.png", wide)
    (_, cropped), *_ = built(build(tmp_path / "in", tmp_path / "crop", 60)).values()
    (_, padded), *_ = built(build(tmp_path / "in", tmp_path / "pad", 60, "black", "pad")).values()
    assert cropped.shape == padded.shape == (60, 60, 3)
    assert (cropped == (0, 200, 0)).all()
    assert (padded[:18] == 0).all() and (padded[-18:] == 0).all()
    assert (padded[30, 2] == (200, 0, 0)).all() and (padded[30, 57] == (0, 200, 0)).all()


def test_columns_of_mixed_types_become_text_and_the_set_opens_in_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    source = plain(tmp_path / "in", 10)
    rows = [{"file_name": f"{n:02d}.png", "text": f"row {n}", "kind": n if n % 2 else str(n)} for n in range(9)]
    (source / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = build(source, tmp_path / "out", 16)
    assert {row["kind"] for row, _ in built(report).values()} == {*map(str, range(9)), None}
    import datasets

    opened = datasets.load_dataset("imagefolder", data_dir=str(report.folder), cache_dir=str(tmp_path / "cache"))
    ours = ImageFolder(report.folder, "train")
    assert {name: len(rows) for name, rows in opened.items()} == report.rows == {"train": 8, "validation": 1, "test": 1}
    assert opened["train"]["text"][:] == ours.captions("text")
    assert opened["train"]["kind"][:] == ours.column("kind")
    assert (np.asarray(opened["train"][3]["image"]) == ours.images([3])[0]).all()


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 45), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_split_is_80_10_10_in_every_stratum(sizes: list[int], seed: int) -> None:
    strata = [f"stratum {number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = [f"image {row}" for row in range(len(strata))]
    found = split(strata, names, seed)
    parts = [found] + [[at for at, mine in zip(found, strata, strict=True) if mine == one] for one in set(strata)]
    for part in parts:
        counts = Counter(part)
        assert set(counts) <= {"train", "validation", "test"}
        for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
            assert abs(counts[name] - share * len(part)) < 2
    turned = split(strata[::-1], names[::-1], seed)
    assert turned[::-1] == found  # it hangs on the names, not on their order


def test_split_by_the_column_that_is_asked_for(tmp_path: Path) -> None:
    source = plain(tmp_path / "in", 40)
    rows = [f"{n:02d}.png,text {n},{'rare' if n % 4 == 0 else 'common'}" for n in range(40)]
    (source / "c.csv").write_text("file_name,text,style\n" + "\n".join(rows))
    report = build(source, tmp_path / "out", 16, stratify="style")
    counts = Counter((name, row["style"]) for name in report.rows for row in metadata(report, name))
    assert counts == {
        ("train", "common"): 24, ("train", "rare"): 8, ("validation", "common"): 3,
        ("validation", "rare"): 1, ("test", "common"): 3, ("test", "rare"): 1,
    }  # fmt: skip
    with pytest.raises(BadInput, match="no column 'stile' to stratify by; did you mean 'style'"):
        build(source, tmp_path / "other", 16, stratify="stile")


def test_building_again_gives_the_same_files(tmp_path: Path) -> None:
    source = plain(tmp_path / "in", 12)
    first, second = (build(source, tmp_path / name, 16).folder for name in ("a", "b"))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 12 + 3 + 2
    for path in files:
        assert (first / path).read_bytes() == (second / path).read_bytes(), path


def test_bad_input_is_one_clear_line_and_writes_nothing(tmp_path: Path) -> None:
    good = plain(tmp_path / "good", 2)
    (tmp_path / "empty").mkdir()
    captioned(tmp_path / "ruined", "a.png", b"ruined")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "set.zip").write_bytes(b"PK")
    for name in ("breeds", "silent", "broken", "nameless", "latin", "full"):
        captioned(tmp_path / name, "a.png", picture(0), caption=None)
    (tmp_path / "broken" / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "a"}\n{"file_name": \n')
    (tmp_path / "breeds" / "labels.csv").write_text("id,breed\na,pug\n")
    (tmp_path / "nameless" / "metadata.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "latin" / "c.csv").write_bytes("file_name,text\na.png,caf\xe9".encode("latin-1"))
    before = sorted(tmp_path.rglob("*"))
    new = tmp_path / "new"
    for source, out, more, message in [
        (tmp_path / "none", new, {}, "no folder"),
        (good / "00.txt", new, {}, r"00\.txt is a file: give a folder of images"),
        (tmp_path / "empty", new, {}, "no images in"),
        (tmp_path / "packed", new, {}, r"no images in .* \(set\.zip must be unpacked\)"),
        (tmp_path / "silent", new, {}, "no captions for the images .* metadata.jsonl"),
        (tmp_path / "breeds", new, {}, r"labels\.csv has neither captions nor labels, only breed; accepted are"),
        (tmp_path / "ruined", new, {}, "none of the 1 captioned images can be used: a.png: not an image"),
        (tmp_path / "broken", new, {}, "metadata.jsonl line 2 is not JSON"),
        (
            tmp_path / "nameless",
            new,
            {},
            "metadata.jsonl line 1 has no file_name among its columns text: accepted are file_name",
        ),
        (tmp_path / "latin", new, {}, "c.csv line 2 is not UTF-8"),
        (good, tmp_path / "full", {}, "not an empty folder"),
        (good, good / "out", {}, "lies inside"),
        (good, new, {"size": 8}, "accepted are 16 to 4096"),
        (good, new, {"fit": "squash"}, "accepted are crop and pad"),
        (good, new, {"background": "octarine"}, "background 'octarine'"),
        (good, new, {"stratify": "style"}, "no column 'style'"),
    ]:
        with pytest.raises(BadInput, match=message) as caught:
            build(source, out, **more)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before

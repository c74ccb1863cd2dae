"""Any folder of captioned images: every kind of bad file, every kind of caption table, and what comes out."""

import io
import json
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from models.errors import BadInput
from training.data.build import build, split
from training.data.folder import ImageFolder
from training.data.report import Report


def _picture(seed: int, width: int = 24, height: int = 20) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _captioned(folder: Path, name: str, image: Image.Image | bytes, caption: str | None = "a picture") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return path


def _plain(folder: Path, count: int) -> Path:
    for seed in range(count):
        _captioned(folder, f"{seed:02d}.png", _picture(seed), f"picture {seed}")
    return folder


def _metadata(report: Report, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (report.folder / name / "metadata.jsonl").read_text().splitlines()]


def _built(report: Report) -> dict[str, tuple[dict[str, object], np.ndarray]]:
    """What was built, by the file it was made of: its row and its pixels."""
    found = {}
    for name, count in report.rows.items():
        if count:
            for row in _metadata(report, name):
                with Image.open(report.folder / name / str(row["file_name"])) as image:
                    assert image.mode == "RGB"
                    found[str(row["original"])] = (row, np.asarray(image))
    return found


def _why(report: Report) -> dict[str, str]:
    return {entry.what: entry.why for entry in report.dropped}


def _bomb() -> bytes:
    """A PNG of 20,000 by 20,000 pixels in 80 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_every_bad_file_is_dropped_and_listed(tmp_path: Path) -> None:
    source = _plain(tmp_path / "in", 3)
    whole = _captioned(source, "whole.jpg", _picture(90, 200, 200)).read_bytes()
    _captioned(source, "truncated.jpg", whole[: len(whole) // 2])
    _captioned(source, "page.png", b"<html>not found</html>")
    _captioned(source, "empty.png", b"")
    _captioned(source, "bomb.png", _bomb())
    _captioned(source, "tiny[1].png", _picture(91, 15, 40))
    _captioned(source, "twin.bmp", _picture(0), "the pixels of 00.png in another file format")
    _captioned(source, "alone.png", _picture(92), caption=None)
    _captioned(source, "blank.png", _picture(93), caption=" \n ")
    _captioned(source, "drawing.svg", b"<svg/>", caption=None)
    (source / "nothing.txt").write_text("a caption of nothing")
    _captioned(source, "latin.png", _picture(94)).with_suffix(".txt").write_bytes("caf\xe9".encode("latin-1"))
    (source / ".hidden.png").write_bytes(b"left alone")
    report = build(source, tmp_path / "out", size=16)
    assert set(_built(report)) == {"00.png", "01.png", "02.png", "whole.jpg"}
    assert _why(report) == {
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
    assert Report.load(report.folder) == report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    shown = io.StringIO()
    Console(file=shown, width=120).print(*report.tables())
    assert "damaged or truncated image" in shown.getvalue() and "tiny[1].png" in shown.getvalue()


def test_crop_fills_and_pad_keeps_everything(tmp_path: Path) -> None:
    wide = Image.new("RGB", (90, 30), (0, 200, 0))
    wide.paste((200, 0, 0), (0, 0, 15, 30))
    _captioned(tmp_path / "in", "wide.png", wide)
    (_, cropped), *_ = _built(build(tmp_path / "in", tmp_path / "crop", 60)).values()
    (_, padded), *_ = _built(build(tmp_path / "in", tmp_path / "pad", 60, "black", "pad")).values()
    assert cropped.shape == padded.shape == (60, 60, 3)
    assert (cropped == (0, 200, 0)).all()
    assert (padded[:18] == 0).all() and (padded[-18:] == 0).all()
    assert (padded[30, 2] == (200, 0, 0)).all() and (padded[30, 57] == (0, 200, 0)).all()


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
    ],
)  # fmt: skip
def test_caption_tables(tmp_path: Path, table: str, content: str) -> None:
    source = tmp_path / "in"
    _captioned(source, "00.png", _picture(0), caption="the table counts before this")
    _captioned(source, "sub/01.png", _picture(1), caption=None)
    (source / table).write_text(content, encoding="utf-8")
    built = _built(build(source, tmp_path / "out", 16))
    assert str(built["00.png"][0]["text"]).startswith("zero") and built["sub/01.png"][0]["text"] == "one"
    if table != "list.tsv":
        assert str(built["sub/01.png"][0]["n"]) == "1"


def test_a_table_that_names_what_is_not_there_or_names_it_twice(tmp_path: Path) -> None:
    source = tmp_path / "in"
    _captioned(source, "a.png", _picture(0), caption=None)
    outside = _captioned(tmp_path, "outside.png", _picture(1), caption=None)
    rows = [("a.png", "first"), ("a.png", "second"), ("gone.png", "gone"), (f"../{outside.name}", "outside")]
    (source / "c.csv").write_text("file_name,text\n" + "".join(f"{name},{text}\n" for name, text in rows))
    report = build(source, tmp_path / "out", 16)
    assert _built(report)["a.png"][0]["text"] == "first"
    assert _why(report) == {
        "c.csv: a.png": "second caption of the same image",
        "c.csv: gone.png": "caption without an image",
        "c.csv: outside.png": "caption without an image",
    }


def test_columns_of_mixed_types_become_text_and_the_set_opens_in_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    source = _plain(tmp_path / "in", 10)
    rows = [{"file_name": f"{n:02d}.png", "text": f"row {n}", "kind": n if n % 2 else str(n)} for n in range(9)]
    (source / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = build(source, tmp_path / "out", 16)
    assert {row["kind"] for row, _ in _built(report).values()} == {*map(str, range(9)), None}
    import datasets

    opened = datasets.load_dataset("imagefolder", data_dir=str(report.folder), cache_dir=str(tmp_path / "cache"))
    ours = ImageFolder(report.folder, "train")
    assert {name: len(rows) for name, rows in opened.items()} == report.rows == {"train": 8, "validation": 1, "test": 1}
    assert opened["train"]["text"][:] == ours.captions("text")
    assert opened["train"]["kind"][:] == ours.column("kind")
    assert (np.asarray(opened["train"][3]["image"]) == ours.images([3])[0]).all()


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
    source = _plain(tmp_path / "in", 40)
    rows = [f"{n:02d}.png,text {n},{'rare' if n % 4 == 0 else 'common'}" for n in range(40)]
    (source / "c.csv").write_text("file_name,text,style\n" + "\n".join(rows))
    report = build(source, tmp_path / "out", 16, stratify="style")
    counts = Counter((name, row["style"]) for name in report.rows for row in _metadata(report, name))
    assert counts == {
        ("train", "common"): 24, ("train", "rare"): 8, ("validation", "common"): 3,
        ("validation", "rare"): 1, ("test", "common"): 3, ("test", "rare"): 1,
    }  # fmt: skip
    with pytest.raises(BadInput, match="no column 'stile' to stratify by; did you mean 'style'"):
        build(source, tmp_path / "other", 16, stratify="stile")


def test_building_again_gives_the_same_files(tmp_path: Path) -> None:
    source = _plain(tmp_path / "in", 12)
    first, second = (build(source, tmp_path / name, 16).folder for name in ("a", "b"))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 12 + 3 + 1
    for path in files:
        assert (first / path).read_bytes() == (second / path).read_bytes(), path


def test_bad_input_is_one_clear_line_and_writes_nothing(tmp_path: Path) -> None:
    good = _plain(tmp_path / "good", 2)
    (tmp_path / "empty").mkdir()
    _captioned(tmp_path / "ruined", "a.png", b"ruined")
    for name in ("silent", "broken", "nameless", "latin", "full"):
        _captioned(tmp_path / name, "a.png", _picture(0), caption=None)
    (tmp_path / "broken" / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "a"}\n{"file_name": \n')
    (tmp_path / "nameless" / "metadata.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "latin" / "c.csv").write_bytes("file_name,text\na.png,caf\xe9".encode("latin-1"))
    before = sorted(tmp_path.rglob("*"))
    new = tmp_path / "new"
    for source, out, more, message in [
        (tmp_path / "none", new, {}, "no folder"),
        (tmp_path / "empty", new, {}, "no images in"),
        (tmp_path / "silent", new, {}, "no captions for the images .* metadata.jsonl"),
        (tmp_path / "ruined", new, {}, "none of the 1 captioned images can be used: a.png: not an image"),
        (tmp_path / "broken", new, {}, "metadata.jsonl line 2 is not JSON"),
        (tmp_path / "nameless", new, {}, "metadata.jsonl line 1 has no file_name"),
        (tmp_path / "latin", new, {}, "c.csv is not UTF-8"),
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

"""Pictures of any shape: each lands in the one bucket whose shape is nearest, and none is larger than the area."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from base.errors import BadInput
from data import recipe
from data.aspect_buckets import TOGETHER, AspectBuckets, BucketsConfig, in_training, sizes_of, written
from data.build import build
from data.imagefolder import ImageFolder
from ippo import app
from tests.data.pictures import built, captioned, picture

KOHYA = AspectBuckets.of(BucketsConfig(divisor=64, least=256, greatest=1024), 512)
SHAPES = ((64, 64), (96, 48), (40, 90))


def shapes(folder: Path, counts: tuple[int, ...] = (12, 8, 6)) -> Path:
    """Pictures that are square, that lie and that stand."""
    for kind, (size, count) in enumerate(zip(SHAPES, counts, strict=True)):
        for index in range(count):
            captioned(folder, f"{kind}-{index:02d}.png", picture(100 * kind + index, *size), f"shape {kind}")
    return folder


def test_the_sizes_are_those_that_kohyas_users_know() -> None:
    assert {(512, 512), (448, 576), (576, 448), (256, 1024), (640, 384)} <= set(KOHYA.sizes)
    assert KOHYA.nearest((1000, 1000)) == (512, 512)
    assert KOHYA.nearest((300, 400)) == (448, 576)
    assert KOHYA.nearest((5000, 100)) == (1024, 256)


@given(
    st.tuples(st.integers(16, 5000), st.integers(16, 5000)),
    st.sampled_from([8, 32, 64]),
    st.integers(64, 1024),
    st.floats(1, 4),
)
@settings(max_examples=150)
def test_every_shape_has_one_nearest_bucket_within_area_and_bounds(
    size: tuple[int, int], divisor: int, side: int, room: float
) -> None:
    least = max(divisor, int(side / room) // divisor * divisor)
    greatest = max(divisor, int(side * room) // divisor * divisor)
    try:
        buckets = AspectBuckets.of(BucketsConfig(divisor=divisor, least=least, greatest=greatest), side)
    except BadInput as error:
        assert "no size of at most" in str(error)
        return
    chosen = buckets.nearest(size)
    assert [bucket == chosen for bucket in buckets.sizes].count(True) == 1

    def off(bucket: tuple[int, int]) -> float:
        return abs(math.log(bucket[0] / bucket[1]) - math.log(size[0] / size[1]))

    assert off(chosen) <= min(map(off, buckets.sizes)) + 1e-8
    for width, height in buckets.sizes:
        assert width * height <= side * side
        assert width % divisor == height % divisor == 0
        assert least <= min(width, height) <= max(width, height) <= greatest
        assert (height, width) in buckets.sizes
    assert buckets.nearest(size[::-1]) == chosen[::-1]  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["train", "validation", "test"])), max_size=40))
def test_training_has_some_of_every_bucket_or_the_lone_ones_are_named(rows: list[tuple[str, str]]) -> None:
    buckets, splits = [bucket for bucket, _ in rows], [(split,) for _, split in rows]
    names = [f"{index}.png" for index in range(len(rows))]
    counts = Counter(buckets)
    if lone := {bucket for bucket, count in counts.items() if count == 1}:
        with pytest.raises(BadInput, match="buckets with one picture") as error:
            in_training(splits, buckets, names)
        assert all(f"{bucket} ({names[buckets.index(bucket)]})" in str(error.value) for bucket in lone)
        return
    found = in_training(splits, buckets, names)
    trained = Counter(bucket for bucket, own in zip(buckets, found, strict=True) if "train" in own)
    assert all(trained[bucket] >= TOGETHER for bucket in counts)
    assert all(new in (old, ("train",)) for new, old in zip(found, splits, strict=True))


def test_a_set_is_built_in_buckets_and_read_by_them(tmp_path: Path) -> None:
    config = BucketsConfig(divisor=8, least=16, greatest=64)
    report = build(shapes(tmp_path / "in"), tmp_path / "out", size=32, buckets=config)
    assert report.parameters["buckets"] == config.model_dump()
    pictures = built(report)
    assert len(pictures) == 26
    sizes = {name: row["bucket"] for name, (row, _) in pictures.items()}
    assert Counter(sizes.values()) == {"32x32": 12, "40x24": 8, "16x48": 6}
    for name, (row, pixels) in pictures.items():
        kind = int(name[0])
        assert row["bucket"] == written(AspectBuckets.of(config, 32).nearest(SHAPES[kind]))
        assert written((np.asarray(pixels).shape[1], np.asarray(pixels).shape[0])) == row["bucket"]

    train = ImageFolder(report.folder, "train")
    assert sorted(row for rows in train.buckets.values() for row in rows) == list(range(len(train)))
    for (width, height), rows in train.buckets.items():
        assert train.images(rows).shape == (len(rows), height, width, 3)
        assert (train.only(rows).images([1])[0] == train.images(rows[1:2])[0]).all()
        assert train.only(rows).digest != train.digest
    held_out = ImageFolder(report.folder, "validation")
    assert held_out.buckets.keys() == train.buckets.keys()  # every bucket of five pictures or more
    with pytest.raises(BadInput, match="has pictures of 3 sizes"):
        train.images()


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_what_is_cut_or_enlarged_much_is_told_with_the_worst(tmp_path: Path, fit: str) -> None:
    for number, size in enumerate([(32, 32), (32, 32), (96, 32), (128, 32), (20, 20), (20, 20)]):
        captioned(tmp_path / "in", f"{number}.png", picture(number).resize(size))
    config = BucketsConfig(divisor=16, least=32, greatest=48, area=48 * 48)
    report = build(tmp_path / "in", tmp_path / "out", size=48, buckets=config, fit=fit)
    cut, *larger = [note for note in report.notes if "pictures" in note][-2:]
    if fit == "pad":
        assert not any("to the cut" in note for note in report.notes)
        cut, larger = "", [cut, *larger]
    else:
        assert cut.startswith("2 of 6 pictures lose more than 30% to the cut, the most 3.png: 62% of 128x32 for 48x32;")
    assert larger[-1].startswith("2 of 6 pictures are enlarged more than 2 times, the most 4.png: from 20x20 to 48x48")


def test_squares_have_no_buckets(tmp_path: Path) -> None:
    report = build(shapes(tmp_path / "in"), tmp_path / "out", size=32)
    row = json.loads((report.folder / "train" / "metadata.jsonl").read_text().splitlines()[0])
    assert "bucket" not in row and "buckets" not in report.parameters
    assert ImageFolder(report.folder).buckets == {}
    assert sizes_of(["large", "small"]) == [] == sizes_of(["32x32", None])


def test_a_recipe_and_the_command_line_say_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes(tmp_path / "in")
    values = {
        "name": "x",
        "root": str(tmp_path / "in"),
        "out": str(tmp_path / "out"),
        "size": 32,
        "buckets": {"divisor": 16},
    }
    report = recipe.make(recipe.RecipeConfig.parse(values, "x.yaml"))
    expected = {name: row["bucket"] for name, (row, _) in built(report).items()}
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path / "runs"))
    done = CliRunner().invoke(app, ["data", "build", str(tmp_path / "in"), "mine", "--size", "32", "--buckets", "16"])
    assert done.exit_code == 0, done.output
    mine = ImageFolder(tmp_path / "runs" / "data" / "mine")
    assert {written(size) for size in mine.buckets} == set(expected.values())


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (BucketsConfig(least=100), "buckets.least 100: accepted are multiples of 64"),
        (BucketsConfig(greatest=8192), "buckets.greatest 8192"),
        (BucketsConfig(least=512, greatest=512, area=1000), "no size of at most 1000 pixels"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(config: BucketsConfig, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        AspectBuckets.of(config, 512)


def test_words_that_are_no_buckets_and_lone_pictures_are_refused(tmp_path: Path) -> None:
    for text in ("", "64,256", "wide", "0"):
        with pytest.raises(BadInput, match="buckets"):
            BucketsConfig.parsed(text)
    source = shapes(tmp_path / "in", (6, 1, 3))
    with pytest.raises(BadInput, match=r"buckets with one picture, .*: 40x24 \(1-00.png\)"):
        build(source, tmp_path / "out", size=32, buckets=BucketsConfig(divisor=8, least=16, greatest=64))
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadInput, match="trim keeps a square"):
        build(source, tmp_path / "out", size=32, buckets=BucketsConfig(divisor=8), trim=True)


def test_two_pictures_of_a_shape_are_both_trained_on(tmp_path: Path) -> None:
    source = shapes(tmp_path / "in", (9, 2, 2))
    report = build(source, tmp_path / "out", size=32, buckets=BucketsConfig(divisor=8, least=16, greatest=64))
    assert [len(rows) for rows in ImageFolder(report.folder).buckets.values()][1:] == [2, 2]
    assert Image.open(report.folder / "train" / "00000.png").mode == "RGB"

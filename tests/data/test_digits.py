"""The digits: real, stratified, doubled, and the same on every machine."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from data.cleaning_report import CleaningReport
from data.digits import digits
from data.imagefolder import ImageFolder

COUNTS = {"train": 1297, "validation": 140, "test": 360}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits(tmp_path_factory.mktemp("data") / "digits").folder


def test_every_split_holds_every_digit_alike(folder: Path) -> None:
    labels = {split: ImageFolder(folder, split).column("label") for split in COUNTS}
    assert {split: len(column) for split, column in labels.items()} == COUNTS
    assert set(Counter(labels["test"]).values()) == {36} and set(Counter(labels["validation"]).values()) == {14}
    assert set(labels["train"]) == set(range(10))


def test_pictures_are_eight_by_eight_in_seventeen_greys_doubled(folder: Path) -> None:
    images = ImageFolder(folder, "train").images()
    assert images.shape == (1297, 16, 16, 3)
    assert (images[..., :1] == images).all()
    small = images[:, ::2, ::2, 0]
    assert np.array_equal(small.repeat(2, axis=1).repeat(2, axis=2), images[..., 0])
    assert set(np.unique(small)) == {round(level * 255 / 16) for level in range(17)}


def test_every_picture_is_in_one_split(folder: Path) -> None:
    from sklearn.datasets import load_digits

    written = Counter(
        image.tobytes() for split in COUNTS for image in ImageFolder(folder, split).images()[:, ::2, ::2, 0]
    )
    grey = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    assert written == Counter(image.tobytes() for image in grey)


def test_text_is_the_labels_name(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "test" / "metadata.jsonl").read_text().splitlines()]
    assert list(rows[0]) == ["file_name", "text", "label"]
    assert all(row["text"] == str(row["label"]) for row in rows)


def test_split_is_the_same_on_every_machine(folder: Path) -> None:
    digests = {
        split: hashlib.sha256(ImageFolder(folder, split).images().tobytes()).hexdigest()[:12] for split in COUNTS
    }
    assert digests == {"train": "7af97250f795", "validation": "903232c1c3bc", "test": "29d3be995c19"}


def test_a_finished_set_is_left_alone_and_another_seed_replaces_it(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert digits(folder) == CleaningReport.load(folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    out = tmp_path / "digits"
    first = digits(out).parameters
    other = digits(out, seed=1)
    assert other.parameters != first
    images = ImageFolder(out, "test").images()
    assert not np.array_equal(images, ImageFolder(folder, "test").images())
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_another_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="was not made by `ippo data digits`"):
        digits(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_image_opens_as_rgb(folder: Path) -> None:
    with Image.open(folder / "train" / "00000.png") as image:
        assert (image.mode, image.size) == ("RGB", (16, 16))


def test_fewer_images_are_even_over_digits_and_leave_what_is_held_out(folder: Path, tmp_path: Path) -> None:
    few = digits(tmp_path / "few", images=100).folder
    ours, whole = (ImageFolder(str(source), "train") for source in (few, folder))
    assert sorted(Counter(ours.column("label")).values()) == [10] * 10
    known = {picture.tobytes() for picture in whole.images(list(range(len(whole))))}
    assert all(picture.tobytes() in known for picture in ours.images(list(range(100))))
    for name in ("validation", "test"):
        assert (few / name / "metadata.jsonl").read_bytes() == (folder / name / "metadata.jsonl").read_bytes()

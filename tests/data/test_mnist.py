"""Sets in MNIST's format: read exactly, padded, split; whatever is wrong with a file is one line."""

import gzip
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from data.class_names import read_classes
from data.cleaning_report import CleaningReport
from data.imagefolder import ImageFolder
from data.labelled import stratify
from data.mnist import mnist
from data.mnist_layouts import read_idx

LABELS = {"train": 3, "t10k": 2}
"""Pictures of each of four labels."""


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_source(folder: Path, packed: bool = False, side: int = 28, sign: str = "-") -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in LABELS.items():
        labels = np.arange(4 * count, dtype=np.uint8) % 4
        pictures = rng.integers(0, 256, (len(labels), side, side), dtype=np.uint8)
        for kind, array in (("images", pictures), ("labels", labels)):
            file = folder / f"{name}-{kind}{sign}idx{array.ndim}-ubyte"
            content = idx(array)
            file.with_name(file.name + ".gz" * packed).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize(("packed", "sign"), [(False, "-"), (True, "-"), (False, ".")])
def test_idx_files_become_a_padded_imagefolder(tmp_path: Path, packed: bool, sign: str) -> None:
    source = write_source(tmp_path / "source", packed, sign=sign)
    report = mnist(str(source), tmp_path / "out", held_out=1)
    assert report.rows == {"train": 8, "validation": 4, "test": 8}
    validation = ImageFolder(tmp_path / "out", "validation")
    assert Counter(validation.column("label")) == dict.fromkeys(range(4), 1)
    assert validation.captions() == [str(label) for label in validation.column("label")]
    test = ImageFolder(tmp_path / "out", "test").images()
    assert test.shape == (8, 32, 32, 3)
    original = np.random.default_rng(0)
    original.integers(0, 256, (12, 28, 28), dtype=np.uint8)
    assert np.array_equal(test[:, 2:-2, 2:-2, 0], original.integers(0, 256, (8, 28, 28), dtype=np.uint8))
    assert test[:, :2].max() == test[:, :, -2:].max() == 0


def test_a_finished_set_is_left_alone(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    report = mnist(str(source), tmp_path / "out", held_out=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert mnist(str(source), tmp_path / "out", held_out=1) == report == CleaningReport.load(tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert mnist(str(source), tmp_path / "out", held_out=2).rows["validation"] == 8


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1-ubyte", None, "holds no train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte", b"", "is no IDX file of uint8 in 3 dimensions"),
        ("train-images-idx3-ubyte", idx(np.zeros((2, 2), np.uint8)), "is no IDX file of uint8 in 3"),
        ("train-images-idx3-ubyte", idx(np.zeros((2, 28, 28), np.uint8))[:-1], "is damaged: 1567 bytes"),
        ("t10k-labels-idx1-ubyte", idx(np.zeros(3, np.uint8)), "8 test pictures but 3 labels"),
        ("train-images-idx3-ubyte", idx(np.zeros((12, 40, 8), np.uint8)), "pictures of 8x40; accepted: up to 32x32"),
    ],
)
def test_a_missing_or_damaged_file_is_one_line(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    source = write_source(tmp_path / "source")
    (source / name).unlink()
    if content is not None:
        (source / name).write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        mnist(str(source), tmp_path / "out", held_out=1)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", packed=True)
    file = source / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BadInput, match="is damaged"):
        mnist(str(source), tmp_path / "out")


def test_where_500_a_label_are_too_many_a_tenth_is_held_out(tmp_path: Path) -> None:
    assert mnist(str(write_source(tmp_path / "source")), tmp_path / "out").rows == {
        "train": 8,
        "validation": 4,
        "test": 8,
    }
    labels = np.repeat(np.arange(2), (6000, 300))
    rows = stratify(labels, {"validation": 500}, 0, most=0.1)
    assert Counter(labels[rows["validation"]].tolist()) == {0: 500, 1: 30}


def test_torchvisions_folders(tmp_path: Path) -> None:
    """`root/MNIST/raw`, unpacked beside packed; Kaggle's, where each file lies in a folder of its own name."""
    (tmp_path / "root" / "MNIST").mkdir(parents=True)
    write_source(tmp_path / "root" / "MNIST" / "raw")
    for file in [*(tmp_path / "root" / "MNIST" / "raw").iterdir()]:
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
    write_source(tmp_path / "kaggle")
    for file in [*(tmp_path / "kaggle").iterdir()]:
        content = file.read_bytes()
        file.unlink()
        file.mkdir()
        (file / file.name).write_bytes(content)
    for name in ("root", "kaggle"):
        assert mnist(str(tmp_path / name), tmp_path / f"{name}-out").rows["test"] == 8


def test_emnists_layout(tmp_path: Path) -> None:
    """Several sets in one folder, pictures column by column, labels from 1, and a mapping to characters."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12, 28, 28), dtype=np.uint8)
    (tmp_path / "in" / "gzip").mkdir(parents=True)
    for name in ("emnist-letters", "emnist-digits"):
        for part in ("train", "test"):
            stem = f"{name}-{part}"
            labels = np.arange(12, dtype=np.uint8) % 3 + 1
            (tmp_path / "in" / "gzip" / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pictures)))
            (tmp_path / "in" / "gzip" / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
        (tmp_path / "in" / "gzip" / f"{name}-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    with pytest.raises(BadInput, match="holds emnist-digits, emnist-letters: choose one with --set"):
        mnist(str(tmp_path / "in"), tmp_path / "out")
    mnist(str(tmp_path / "in"), tmp_path / "out", chosen="emnist-letters")
    test = ImageFolder(tmp_path / "out", "test")
    assert test.captions() == ["A", "B", "C"] * 4 and test.column("label") == [0, 1, 2] * 4
    assert np.array_equal(test.images()[:, 2:-2, 2:-2, 0], pictures.swapaxes(1, 2))
    assert read_classes(tmp_path / "out") == ["A", "B", "C"]


@pytest.mark.parametrize("header", [True, False])
def test_kaggles_tables(tmp_path: Path, header: bool) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 28 * 28))
    names = ",".join(["label", *(f"pixel{n}" for n in range(784))]) + "\n" if header else ""
    lines = [",".join(map(str, [n % 4, *row])) + "\n" for n, row in enumerate(pictures.tolist())]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.csv").write_text(names + "".join(lines))
    (tmp_path / "in" / "test.csv").write_text(names.removeprefix("label,") + "".join(line[2:] for line in lines))
    if not header:
        (tmp_path / "in" / "test.csv").unlink()  # without names on top nothing tells a label from a pixel
    report = mnist(str(tmp_path / "in"), tmp_path / "out")
    assert report.rows == {"train": 32, "validation": 4, "test": 4}  # the published test split has no labels
    pixels = {
        image.tobytes() for split in report.rows for image in ImageFolder(tmp_path / "out", split).images()[..., 0]
    }
    padded = np.pad(pictures.reshape(-1, 28, 28).astype(np.uint8), [(0, 0), (2, 2), (2, 2)])
    assert pixels == {image.tobytes() for image in padded}
    (tmp_path / "in" / "train.csv").write_text("id,caption\na000x,a cat\n")
    with pytest.raises(BadInput, match=r"train\.csv is no table of whole numbers; accepted: a label and its pixels"):
        mnist(str(tmp_path / "in"), tmp_path / "other")
    (tmp_path / "in" / "train.csv").write_text("label,a,b\n1,2,3\n")
    with pytest.raises(BadInput, match=r"train\.csv has rows of 2 values; accepted: square pictures"):
        mnist(str(tmp_path / "in"), tmp_path / "other")


def test_nothing_left_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="3 held-out pictures a label leave none"):
        mnist(str(write_source(tmp_path / "source")), tmp_path / "out", held_out=3)


def test_what_is_neither_a_folder_nor_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        mnist(str(tmp_path / "nowhere"), tmp_path / "out")


@given(st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple))
def test_an_array_survives_its_file(tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...]) -> None:
    array = np.arange(int(np.prod(shape)), dtype=np.uint8).reshape(shape)
    file = tmp_path_factory.mktemp("idx") / "x-ubyte"
    file.write_bytes(idx(array))
    assert np.array_equal(read_idx(file, len(shape)), array)

"""The reader of imagefolders: pixels and columns as they lie on disk, clear errors, never online."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from data import imagefolder
from data.attributed import SLOTS, read_slots
from data.imagefolder import ImageFolder

COUNT = 40


def _write(path: Path, count: int = COUNT, size: tuple[int, int] = (12, 10), metadata: bool = True) -> np.ndarray:
    """Random (count, H, W, 3) pixels as PNGs with captions; `size` is (W, H)."""
    path.mkdir(parents=True)
    pixels = np.random.default_rng(count).integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)
    for row, image in enumerate(pixels):
        Image.fromarray(image).save(path / f"{row:03d}.png")
    if metadata:
        rows = [{"file_name": f"{row:03d}.png", "text": f"caption {row}\u2028", "label": row} for row in range(count)]
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (path / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")
    return pixels


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a local folder went online")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_images_and_columns_are_those_on_disk(tmp_path: Path) -> None:
    pixels = _write(tmp_path / "set" / "train")
    validation = _write(tmp_path / "set" / "validation", 3)
    read = ImageFolder(tmp_path / "set", "train")
    assert len(read) == COUNT and read.shape == (10, 12)
    chosen = [7, 3, 7, -1]
    assert (read.images(chosen) == pixels[chosen]).all()
    assert (read.images(np.array([2, 3])) == pixels[2:4]).all()
    assert (read.images() == pixels).all() and read.images().dtype == np.uint8
    assert read.images([]).shape == (0, 10, 12, 3)
    assert read.captions("text")[5] == "caption 5\u2028"
    assert read.column("label") == list(range(COUNT))
    assert (ImageFolder(str(tmp_path / "set"), "validation").images() == validation).all()


def test_decoded_images_are_kept_and_cannot_be_spoilt(tmp_path: Path) -> None:
    pixels = _write(tmp_path / "set" / "train")
    read = ImageFolder(tmp_path / "set", "train")
    read.images([4])[:] = 0
    (tmp_path / "set" / "train" / "004.png").unlink()
    assert (read.images([4])[0] == pixels[4]).all()


@pytest.mark.parametrize("size", [(12, 10), (300, 260)])
def test_what_does_not_fit_is_decoded_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    pixels = _write(tmp_path / "set" / "train", 6, size)
    monkeypatch.setattr(imagefolder, "CACHE_BYTES", 1000)
    read = ImageFolder(tmp_path / "set", "train")
    assert (read.images([5, 0, 5]) == pixels[[5, 0, 5]]).all()
    assert read.images([]).shape == (0, size[1], size[0], 3)
    (tmp_path / "set" / "train" / "005.png").unlink()
    with pytest.raises(BadInput, match=r"005\.png: damaged"):
        read.images([5])


def test_a_folder_of_one_split_is_train(tmp_path: Path) -> None:
    pixels = _write(tmp_path / "set")
    assert (ImageFolder(tmp_path / "set").images() == pixels).all()
    with pytest.raises(BadInput, match="no split 'test'; it has: train"):
        ImageFolder(tmp_path / "set", "test")


def test_a_folder_without_metadata_is_read_by_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    pixels = _write(tmp_path / "set" / "train" / "cats", 3, metadata=False)
    _write(tmp_path / "set" / "train" / "dogs", 2, metadata=False)
    read = ImageFolder(tmp_path / "set", "train")
    assert read.column("label") == [0, 0, 0, 1, 1]
    assert (read.images([0, 1, 2]) == pixels).all()
    with pytest.raises(BadInput, match="no split 'test'; it has: train"):
        ImageFolder(tmp_path / "set", "test")


def test_bad_input_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    _write(tmp_path / "set" / "train")
    _write(tmp_path / "set" / "test", 2)
    (tmp_path / "empty").mkdir()
    for name, split, message in [
        (tmp_path / "none", "train", "no folder .*none"),
        (tmp_path / "set", "tests", "no split 'tests'; it has: train, test"),
        (tmp_path / "empty", "train", "empty is not an imagefolder"),
    ]:
        with pytest.raises(BadInput, match=message) as caught:
            ImageFolder(name, split)
        assert "\n" not in str(caught.value)
    read = ImageFolder(tmp_path / "set")
    with pytest.raises(BadInput, match="no column 'txt'; did you mean 'text'"):
        read.captions("txt")
    with pytest.raises(BadInput, match="no column 'zzz'; accepted: label, text"):
        read.column("zzz")
    with pytest.raises(BadInput, match=r"'label' .* is not text"):
        read.captions("label")


def test_images_of_another_size_are_named(tmp_path: Path) -> None:
    _write(tmp_path / "set" / "train")
    Image.new("RGB", (12, 11)).save(tmp_path / "set" / "train" / "017.png")
    read = ImageFolder(tmp_path / "set")
    with pytest.raises(BadInput, match=r"017\.png is 12x11, the first image 12x10"):
        read.images()
    assert read.images([16]).shape == (1, 10, 12, 3)


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "set" / "train", 2)
    table = tmp_path / "set" / "train" / "metadata.jsonl"
    whole = table.read_text(encoding="utf-8")
    for content, message in [
        (whole + '{"file_name": "gone.png"}', "names 1 images that are not there, the first gone.png"),
        (whole + '{"text": "no name"}', "is not one JSON object a line"),
        (whole + "[]", "is not one JSON object a line"),
        (whole[:-4], "is not one JSON object a line"),
        ("\n", "holds no images"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", r"metadata\.jsonl is a git-lfs pointer"),
    ]:
        table.write_text(content, encoding="utf-8")
        with pytest.raises(BadInput, match=message):
            ImageFolder(tmp_path / "set")


@pytest.mark.parametrize("value", [None, -1, 1.0, True, "cat", 10**9, ["cat"]])
def test_labels_are_whole_numbers_and_attributes_lists(tmp_path: Path, value: object) -> None:
    _write(tmp_path / "train", 2)
    rows = [{"file_name": "000.png", "label": 0, "attributes": []}, {"file_name": "001.png", "label": value}]
    (tmp_path / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    images = ImageFolder(tmp_path)
    with pytest.raises(BadInput, match=r"column 'label' of .*: .* of .*001.png is no label; accepted: whole numbers"):
        images.labels()
    with pytest.raises(BadInput, match=r"column 'attributes' of .*: None of .*001.png is no list of names"):
        images.lists("attributes")


@pytest.mark.parametrize("text", ["{", "[1]", '{"hat": "Cap"}', '{"hat": [1]}'])
def test_slots_of_another_kind_are_named(tmp_path: Path, text: str) -> None:
    assert read_slots(tmp_path) == {}
    (tmp_path / SLOTS).write_text(text)
    with pytest.raises(BadInput, match=SLOTS):
        read_slots(tmp_path)


def test_pictures_whose_content_is_elsewhere_say_how_to_get_it(tmp_path: Path) -> None:
    _write(tmp_path / "set" / "train", 2)
    picture = tmp_path / "set" / "train" / "001.png"
    picture.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(BadInput, match=r"001\.png: a git-lfs pointer, .*`git lfs pull`"):
        ImageFolder(tmp_path / "set").images()
    picture.unlink()
    picture.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"001\.png is a link to content that is not here: .*`git annex get`"):
        ImageFolder(tmp_path / "set")


def test_brackets_and_signs_in_a_path_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for metadata in (True, False):
        folder = tmp_path / f"my [set] @home *? {metadata}"
        pixels = _write(folder / "train", 3, metadata=metadata)
        assert (np.sort(ImageFolder(folder).images().ravel()) == np.sort(pixels.ravel())).all()

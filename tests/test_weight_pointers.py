"""Weights that only point at their content: one line that names the file and what to do, wherever they are read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from export import lora_fusion
from metrics import judge_network, weights
from models import ddpm, latent_autoencoder
from models import folder as folders
from tests import tiny

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 3438167534\n"
NETWORK = "diffusion_pytorch_model.safetensors"
LFS = "is a git-lfs pointer, its content is not here: run `git lfs pull`"


def pixels(folder: Path) -> None:
    folders.save(tiny.pixel_student(), folder)


def vae(folder: Path) -> None:
    tiny.vae().save_pretrained(folder)


def empty(folder: Path) -> None:
    folder.mkdir()


READERS: dict[str, tuple[Callable[[Path], None], str, Callable[[Path], object]]] = {
    "a pixel model": (pixels, f"unet/{NETWORK}", lambda folder: ddpm.load(str(folder))),
    "its conditioner": (pixels, f"conditioner/{NETWORK}", lambda folder: ddpm.load(str(folder))),
    "an autoencoder": (vae, NETWORK, latent_autoencoder.load),
    "a converted network": (empty, "model.safetensors", lambda folder: weights.read(folder, "inception")),
    "a foreign file": (empty, "inception.pth", lambda folder: weights.foreign(folder / "inception.pth")),
    "an adapter": (
        empty,
        "lora.safetensors",
        lambda folder: lora_fusion.fuse(tiny.student(), folder / "lora.safetensors"),
    ),
}


@pytest.mark.parametrize("what", [*READERS])
def test_a_pointer_is_named_with_what_to_do(tmp_path: Path, what: str) -> None:
    make, file, read = READERS[what]
    make(tmp_path / "it")
    (tmp_path / "it" / file).write_bytes(POINTER)
    with pytest.raises(ValueError, match=LFS) as caught:
        read(tmp_path / "it")
    assert str(tmp_path / "it" / file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_judge_that_is_a_pointer_is_told(tmp_path: Path) -> None:
    shutil.copytree("models/pretrained/digits/judge", tmp_path / "judge")
    (tmp_path / "judge/judge.safetensors").write_bytes(POINTER)
    with pytest.raises(ValueError, match=LFS):
        judge_network.load(tmp_path / "judge")

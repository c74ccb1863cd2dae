"""Latents are cached by all that they are made of."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderDC
from PIL import Image

from base.errors import BadInput
from benchmarks.size.random_sana import SMALL_AUTOENCODER
from data.imagefolder import ImageFolder
from models.latent_autoencoder import latent_autoencoder
from tests import tiny
from training import latents


def test_another_picture_in_the_middle_gives_other_latents(data: Path, runs: Path, tmp_path: Path) -> None:
    teacher = tiny.teacher()
    before = latents.encode(teacher, ImageFolder(data))
    assert torch.equal(latents.encode(teacher, ImageFolder(data)), before)
    assert len(list((runs / "cache").glob("latents-*"))) == 1

    changed = shutil.copytree(data, tmp_path / "changed")
    middle = sorted((changed / "train").glob("*.png"))[len(before) // 2]
    Image.new("RGB", Image.open(middle).size, (1, 2, 3)).save(middle)
    after = latents.encode(teacher, ImageFolder(changed))
    different = (after != before).flatten(1).any(dim=1)
    assert different.nonzero().flatten().tolist() == [len(before) // 2]


def test_the_same_pictures_in_another_order_are_another_set(data: Path, runs: Path, tmp_path: Path) -> None:
    turned = shutil.copytree(data, tmp_path / "turned")
    table = turned / "train" / "metadata.jsonl"
    first, second, third, *rest = table.read_text().splitlines()
    table.write_text("\n".join([first, third, second, *rest]))
    assert ImageFolder(turned).digest != ImageFolder(data).digest


def test_latents_of_other_channels_than_the_denoiser_takes_are_named(data: Path, runs: Path) -> None:
    teacher = tiny.teacher()
    teacher.latent_shape = (teacher.latent_shape[0] * 2, *teacher.latent_shape[1:])
    with pytest.raises(BadInput, match=r"latents of \d+ channels, the denoiser takes \d+"):
        latents.encode(teacher, ImageFolder(data))


def test_sides_that_sanas_autoencoder_does_not_divide_are_named(data: Path, runs: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(data, tmp_path / "odd")
    for file in (odd / "train").glob("*.png"):
        Image.open(file).resize((16, 18)).save(file)
    teacher = replace(tiny.teacher(), autoencoder=latent_autoencoder(AutoencoderDC(**SMALL_AUTOENCODER).eval()))
    says = r"images of .*odd are 16x18 pixels; both sides must be multiples of 4 for this base"
    with pytest.raises(BadInput, match=says):
        latents.encode(teacher, ImageFolder(odd))

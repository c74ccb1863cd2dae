"""A folder where the pages and notebooks of full-size bases mean small things: the same names, tiny networks, few steps.

`CompVis/stable-diffusion-v1-4` is a tiny base of the real classes there, the Hub's set a folder of parquet, and `configs/`
what ships with fewer steps and pixels. Every command and every cell runs as it stands.
"""

from __future__ import annotations

import io
import os
import string
import sys
from pathlib import Path
from typing import Any

import datasets
import yaml
from PIL import Image

from models import folder as folders
from tests import tiny
from tests.data.pictures import picture

ROOT = Path(__file__).parents[2]
BASE = "CompVis/stable-diffusion-v1-4"
SETS = ("naruto", "pokemon")
FROM_SCRATCH = "emoji"
"""Whose configurations the notebook of small pictures takes."""
KINDS = ("Fire", "Water", "Grass")


def workplace(folder: Path) -> Path:
    """Fill an empty folder; its `bin/ippo` is the command line."""
    for file in [ROOT / "configs" / "data" / f"{name}.yaml" for name in SETS] + [
        file for name in (*SETS, FROM_SCRATCH) for file in sorted((ROOT / "configs" / name).glob("*.yaml"))
    ]:
        copy = folder / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(yaml.safe_dump(_smaller(yaml.safe_load(file.read_text()))))
    folders.save(tiny.teacher(prediction_type="epsilon", rescale_betas_zero_snr=False), folder / BASE)
    _naruto(folder / "lambdalabs" / "naruto-blip-captions")
    _pokemon(folder / "my-pokemon")
    _small(folder / "my-pictures")
    command = folder / "bin" / "ippo"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "ippo.py"} "$@"\n')
    command.chmod(0o755)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Of a shell there: nothing of the tests' own runs, nothing from the Hub."""
    own = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(folder / "cache"),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
    }
    return {**{name: value for name, value in os.environ.items() if name != "IPPO_RUNS"}, **own}


def _smaller(values: dict[str, Any]) -> dict[str, Any]:
    """A shipped configuration with fewer steps and pixels; everything that is not a size stays."""
    alone = values.get("warmup") == values.get("loop", {}).get("steps")  # regression from the first step to the last
    if "loop" in values:
        values["loop"].pop("epochs", None)
        values["loop"] |= {"steps": 4, "batch": 4, "accumulate": 2, "validate_every": 2}
    if "pairs" in values:
        values["pairs"] |= {"count": 8, "steps": 2}
        values["warmup"] = 4 if alone else 2
    if "size" in values:
        values["size"] = 16
    return values


def _naruto(folder: Path) -> None:
    """Captioned pictures as the Hub keeps them, a few of them bad."""
    texts = [f"a man with a headband number {string.ascii_lowercase[place]}" for place in range(26)]
    images = [_file(picture(seed, 40, 30)) for seed in range(26)]
    images += [images[3], images[4][: len(images[4]) // 2], _file(picture(30).convert("CMYK"), "JPEG"), images[5]]
    content = {
        "image": [{"bytes": image, "path": None} for image in images],
        "text": [*texts, "twin", "half", "cmyk", "  "],
    }
    kinds = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    (folder / "data").mkdir(parents=True)
    datasets.Dataset.from_dict(content, kinds).to_parquet(folder / "data" / "train-00000-of-00001.parquet")


def _pokemon(folder: Path) -> None:
    """Images by number, and the two tables that go round, in the columns that the recipe reads."""
    (folder / "images").mkdir(parents=True)
    rows = ["pokedex_number,name,species,type_1,type_2,generation"]
    for number, letter in enumerate(string.ascii_lowercase, 1):
        picture(number, 24, 24).save(folder / "images" / f"{number:03d}.png")
        kinds = f"{KINDS[number % 3]},{KINDS[0] if number % 3 == 1 else ''}"
        rows.append(f"{number},{letter}mon,Seed Pokémon,{kinds},1")
    (folder / "images" / "031.png").write_bytes(b"<html>")
    (folder / "pokedex_(Update_05.20).csv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "pokemon.csv").write_text("Name,Type1,Type2\namon,Fire,\n", encoding="utf-8")


def _small(folder: Path) -> None:
    """Pictures of 64 pixels, each with a text beside it."""
    folder.mkdir()
    for seed in range(26):
        picture(seed, 64, 64).save(folder / f"{seed:02d}.png")
        (folder / f"{seed:02d}.txt").write_text(
            f"a {('red', 'blue')[seed % 2]} thing number {string.ascii_lowercase[seed]}"
        )


def _file(image: Image.Image, form: str = "PNG") -> bytes:
    written = io.BytesIO()
    image.save(written, form)
    return written.getvalue()

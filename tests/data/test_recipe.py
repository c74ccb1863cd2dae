"""Recipes, on a made-up set with the columns and the irregularities of the published ones."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from data import tables
from data.imagefolder import ImageFolder
from data.recipe import RecipeConfig, make
from tests.data.endpoint import serving
from tests.data.pictures import built, picture, why

POKEDEX = """,pokedex_number,name,japanese_name,generation,species,type_1,type_2,height_m
0,1,Bulbasaur,Fushigidane (フシギダネ),1,Seed Pokémon,Grass,Poison,0.7
1,4,Charmander,Hitokage (ヒトカゲ),1,Lizard Pokémon,Fire,,0.6
2,6,Charizard,Lizardon,1,Flame Pokémon,Fire,Flying,1.7
3,6,Mega Charizard X,Lizardon,1,Flame Pokémon,Fire,Dragon,1.7
4,25,Pikachu,Pikachu,1,Mouse Pokémon,Electric,,0.4
5,29,Nidoran♀,Nidoran♀,1,Poison Pin Pokémon,Poison,,0.4
6,83,Farfetch'd,Kamonegi,1,Wild Duck Pokémon,Normal,Flying,0.8
7,122,Mr. Mime,Barrierd,1,Barrier Pokémon,Psychic,Fairy,1.3
"""
POKEMON = """Name,Type1,Type2
bulbasaur,Grass,Poison
pikachu,Electric,
mew,Psychic,
mystery,,
"""


def _bytes(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()


@pytest.fixture
def pokemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images by number and by name in two folders, good and bad, and two tables."""
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path / "runs"))
    root = tmp_path / "pokemon"
    whole = _bytes(picture(4, 60, 60))
    deep = Image.fromarray(np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20))
    frames = [picture(seed, 20, 20) for seed in (50, 51)]
    files = {
        "images/001.png": whole,
        "images/4.jpg": _bytes(picture(5, 40, 40).convert("CMYK"), "JPEG"),
        "images/6-mega-x.webp": _bytes(picture(6, 40, 30).convert("RGBA"), "WEBP", lossless=True),
        "images/025.gif": _bytes(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "images/29.png": _bytes(deep),
        "images/30.png": _bytes(picture(7)),
        "images/83.png": whole[: len(whole) // 2],
        "images/122.png": _bytes(picture(8, 8, 8)),
        "more/Bulbasaur.png": whole,
        "more/bulbasaur (2).png": _bytes(picture(9)),
        "more/mr-mime.png": _bytes(picture(10).quantize(8)),
        "more/mew.png": _bytes(picture(11)),
        "more/mystery.png": _bytes(picture(12)),
        "more/missingno.png": _bytes(picture(13)),
        "more/farfetchd.png": b"<html>",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "pokedex_(Update_04.20).csv").write_text("old", encoding="utf-8")
    (root / "pokedex_(Update_05.20).csv").write_text(POKEDEX, encoding="utf-8")
    (root / "pokemon.csv").write_text(POKEMON, encoding="utf-8")
    (root / "names.json").write_text(json.dumps({"151": "Mew", "0": "Mystery"}), encoding="utf-8")
    return root


def recipe(root: Path, *overrides: str) -> RecipeConfig:
    files = ("images=[images, more]", "names=names.json", "size=16", f"root={root}")
    return RecipeConfig.load("configs/data/pokemon.yaml", [*files, *overrides])


def test_pokemon(pokemon: Path) -> None:
    report = make(recipe(pokemon))
    assert {name: row["text"] for name, (row, _) in built(report).items()} == {
        "images/001.png": "Bulbasaur, a Seed Pokémon of type Grass and Poison",
        "images/4.jpg": "Charmander, a Lizard Pokémon of type Fire",
        "images/6-mega-x.webp": "Charizard, a Flame Pokémon of type Fire and Flying",
        "images/025.gif": "Pikachu, a Mouse Pokémon of type Electric",
        "images/29.png": "Nidoran♀, a Poison Pin Pokémon of type Poison",
        "more/bulbasaur (2).png": "Bulbasaur, a Seed Pokémon of type Grass and Poison",
        "more/mr-mime.png": "Mr. Mime, a Barrier Pokémon of type Psychic and Fairy",
        "more/mew.png": "Mew, a Pokémon of type Psychic",
    }
    assert why(report) == {
        "images/30.png": "no table knows this name or number",
        "more/missingno.png": "no table knows this name or number",
        "images/83.png": "damaged or truncated image",
        "images/122.png": "smaller than 16 pixels",
        "more/Bulbasaur.png (same as images/001.png)": "same pixels as another image",
        "more/farfetchd.png": "not an image",
        "more/mystery.png": "image without a caption",
    }
    assert report.folder.name == "pokemon" and ImageFolder(report.folder).images().shape[1:] == (16, 16, 3)
    book, text = (tables.read(report.folder / f"labels.{kind}") for kind in ("xlsx", "csv"))
    assert book == text and len(book) == 8
    assert {row["key"] for row in book} == {"1", "4", "6", "25", "29", "122", "151"}
    assert all((report.folder / row["file_name"]).is_file() for row in book)


def test_captions_by_an_endpoint_and_a_build_that_goes_on(pokemon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with serving(left=4) as server:
        asked = f"caption={{endpoint: {{model: m, url: '{server.url}', retries: 0, per_minute: 1000000}}}}"
        with pytest.raises(BadInput, match="out of order"):
            make(recipe(pokemon, asked))
        assert not (pokemon.parent / "runs" / "data" / "pokemon").exists()
        server.left = 100
        report = make(recipe(pokemon, asked))
        assert len(server.asked) == sum(report.rows.values()) == 9
    assert all(row["text"].startswith("brightness") for row, _ in built(report).values())  # type: ignore[attr-defined]


def test_the_splits_are_80_10_10_in_every_stratum(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "images").mkdir(parents=True)
    kinds = ["Fire", "Water", "Grass"]
    lines = ["number,kind"]
    for number in range(60):
        picture(number).save(root / "images" / f"{number:03d}.png")
        lines.append(f"{number},{kinds[number % 3]}")
    (root / "t.csv").write_text("\n".join(lines))
    values = {"name": "s", "root": str(root), "out": str(tmp_path / "out"), "tables": [{"file": "t.csv", "number": "number"}],
              "images": ["images"], "caption": {"column": "kind"}, "stratify": "kind", "size": 16}  # fmt: skip
    report = make(RecipeConfig.parse(values, "test"))
    assert report.rows == {"train": 48, "validation": 6, "test": 6}
    assert Counter(ImageFolder(report.folder, "test").captions()) == {"Fire": 2, "Water": 2, "Grass": 2}


def _hub_like(folder: Path) -> None:
    images = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    texts = ["a man with a headband", "  ", "ナルト " * 80, "nin\tja\u0000cafe\u0301", "a girl"]
    content = {"image": [picture(seed, 30, 30) for seed in range(5)], "text": texts}
    folder.mkdir(parents=True)
    datasets.Dataset.from_dict(content, images).to_parquet(folder / "train-00000-of-00001.parquet")


def test_naruto_from_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    file = Path(__file__).parents[2] / "configs" / "data" / "naruto.yaml"
    _hub_like(tmp_path / "some" / "naruto")
    for source in ("hub=some/naruto", f"hub=null root={tmp_path}/some/naruto"):
        chosen = [*source.split(), f"out=out-{source[:5]}-{len(source)}", "size=16"]
        report = make(RecipeConfig.load(file, chosen))
        texts = {str(row["text"]) for row, _ in built(report).values()}
        assert texts == {"a man with a headband", " ".join(["ナルト"] * 60), "nin ja café", "a girl"}
        assert list(why(report).values()) == ["image without a caption"]


def test_a_plain_folder_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(3):
        picture(seed).save(tmp_path / "in" / f"{seed}.png")
        (tmp_path / "in" / f"{seed}.txt").write_text(f"picture {seed}")
    command = [
        "data",
        "build",
        "configs/data/folder.yaml",
        f"root={tmp_path}/in",
        f"out={tmp_path}/out",
        "--size",
        "16",
    ]
    assert CliRunner().invoke(ippo.app, command).exit_code == 0
    assert len(ImageFolder(tmp_path / "out")) == 2 and len(ImageFolder(tmp_path / "out", "validation")) == 1


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("root=/nowhere", "no folder /nowhere/images"),
        ("tables=[{file: none.csv, name: Name}]", "no table .*none.csv"),
        ("tables=[{file: pokemon.csv, name: Nam}]", "no column 'Nam'; did you mean 'Name'"),
        ("tables=[{file: pokemon.csv}]", "needs the column of its numbers or of its names"),
        ("names=pokemon.csv", "not a JSON object"),
        ("caption={column: txt}", "no column 'txt'"),
        ("caption={templates: ['{name.x}']}", "'name.x' is not the name of a column"),
        ("caption={templates: ['{name']}", "caption template"),
        ("caption={column: name, blip: {}}", "come from one source"),
        ("stratify=type1", "no column 'type1' to stratify by; did you mean 'type_1'"),
        ("fit=squeeze", "fit"),
        ("name=../x", "name: '../x' is no plain name"),
        ("capton=3", "did you mean 'caption'"),
    ],
)
def test_what_does_not_fit_is_named(pokemon: Path, override: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        make(recipe(pokemon, override))
    assert "\n" not in str(caught.value)

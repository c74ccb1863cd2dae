"""The line of a tiny versatile folder: encoders, both teachers, both students, each saved with what was there before."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models import folder as folders
from models.labels import Seen, Wish
from tests import tiny
from training import launch
from training.context_choice import ContextChoice, ContextsConfig
from training.contexts import Contexts
from training.examples import examples
from training.run.draws import Draws

THINGS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 70, 220)}
GROUNDS = {"white": (255, 255, 255), "grey": (128, 128, 128)}
LOOP = {"steps": 2, "batch": 4, "validate_every": 2, "log_every": 1}
RATE = {"rate": 1e-3, "warmup": 0}
COLUMNS = ["text", "text_fr"]


@pytest.fixture
def icons(tmp_path: Path) -> Path:
    """Three things in two styles (whole, hollow) on two grounds, 16 pixels; all but the last style of the last thing."""
    folder = tmp_path / "icons"
    for split in ("train", "validation"):
        (folder / split).mkdir(parents=True)
        rows: list[dict[str, str]] = []
        for thing, colour in THINGS.items():
            for style in ("whole", "hollow"):
                for ground, behind in GROUNDS.items():
                    pixels = np.full((16, 16, 3), behind, np.uint8)
                    pixels[4:12, 4:12] = colour
                    if style == "hollow":
                        pixels[6:10, 6:10] = behind
                    name = f"{len(rows):03d}.png"
                    Image.fromarray(pixels).save(folder / split / name)
                    captions = {"text": f"{thing} on {ground}", "text_fr": f"{thing} sur {ground}"}
                    rows.append({"file_name": name, **captions, "emoji": thing, "style": style, "ground": ground})
        (folder / split / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def train(method: str, run: str, folder: Path, **values: Any) -> dict[str, float]:
    file = folder / f"{run}.yaml"
    given = {"run": run, "loop": LOOP, "optimizer": RATE, "captions": COLUMNS, **values}
    file.write_text(
        yaml.safe_dump({key: value for key, value in given.items() if value is not None or key == "min_snr_gamma"})
    )
    return launch.launch(method, file)


def test_every_stage_of_the_line_leaves_a_folder_that_the_next_one_opens(icons: Path, runs: Path) -> None:
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    figures = train(
        "context-clip", "clip", runs, data=str(icons), merges=10, length=10, tokens=2,
        text=tower, vision={**tower, "image_size": 16, "patch_size": 8},
    )  # fmt: skip
    assert {"score", "retrieval", "content", "style"} <= figures.keys()
    tiny.vae().save_pretrained(runs / "vae")
    unet = {**tiny.UNET, "sample_size": 4, "in_channels": 4, "out_channels": 4}
    base = {
        "family": "versatile_diffusion", "vae": str(runs / "vae"), "clip": "clip", "columns": COLUMNS,
        "image_unet": unet, "text_unet": {"channels": 8, "width": 16, "layers": 1, "heads": 2},
    }  # fmt: skip
    train("teacher", "image-teacher", runs, data=str(icons), base=base, train_conditioner=True)
    student = {"data": str(icons), "pairs": {"count": 4, "steps": 2}, "warmup": 2, "warmup_optimizer": RATE}
    train("student", "image-student", runs, teacher="image-teacher", **student)
    text = {"flow": "image-to-text", "data": str(icons)}
    train("teacher", "text-teacher", runs, base="image-student", train_conditioner=True, min_snr_gamma=None, **text)
    game = {"discriminator": RATE, "width": 8}
    terms = {"adversarial": game, "distillation": {"weight": 0.5}, "loop": {**LOOP, "steps": 4}}
    train("student", "student", runs, teacher="text-teacher", **{**student, **text, **terms})
    both = folders.load(runs / "student" / "model")
    assert both.is_student and both.flow("image-to-text").is_student
    picture = np.zeros((16, 16, 3), np.uint8)
    assert both.generate([Wish("red", picture)], [0]).shape == (1, 16, 16, 3)
    assert both.flow("image-to-text").generate([Seen(picture, "text")], [0]).shape == (1, 10)
    before, after = (folders.load(runs / name / "model").denoiser.state_dict() for name in ("image-student", "student"))
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow  # five methods, each twice
def test_every_method_goes_on_where_it_stopped_bit_for_bit(icons: Path, runs: Path) -> None:
    constant = {**RATE, "schedule": "constant"}
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}

    def twice(method: str, run: str, **values: Any) -> None:
        loop = {**LOOP, "checkpoint_minutes": 0}
        for name, stops in ((run, (4,)), (f"{run}-again", (2, 4))):
            for steps in stops:
                given = {"data": str(icons), "optimizer": constant, "loop": {**loop, "steps": steps}}
                train(method, name, runs, **{**given, **values})
        whole, again = (load_file(runs / name / "checkpoint-4" / "state.safetensors") for name in (run, f"{run}-again"))
        assert whole.keys() == again.keys() and all(torch.equal(whole[key], again[key]) for key in whole), run

    vision = {**tower, "image_size": 16, "patch_size": 8}
    twice("context-clip", "clip", merges=10, length=10, tokens=2, text=tower, vision=vision)
    twice("autoregressive-captioner", "captioner", clip="clip", columns=COLUMNS, layers=1, heads=2, captions=None)
    tiny.vae().save_pretrained(runs / "vae")
    base = {
        "family": "versatile_diffusion", "vae": str(runs / "vae"), "clip": "clip", "columns": COLUMNS,
        "image_unet": {**tiny.UNET, "sample_size": 4, "in_channels": 4, "out_channels": 4},
        "text_unet": {"channels": 8, "width": 16, "layers": 1, "heads": 2},
    }  # fmt: skip
    twice("teacher", "image", base=base, train_conditioner=True)
    twice("teacher", "text", base="image", flow="image-to-text", train_conditioner=True, min_snr_gamma=None)
    pairs = {"count": 4, "steps": 2}
    twice("student", "both", teacher="text", flow="image-to-text", pairs=pairs, warmup=2, warmup_optimizer=constant)


@pytest.fixture
def contexts(icons: Path, runs: Path) -> Contexts:
    conditioner = tiny.versatile_teacher().conditioner
    images = ImageFolder(icons, "train")
    choice = ContextChoice(images, COLUMNS, ContextsConfig(plain=["text"]))
    return Contexts(choice, images, conditioner)  # type: ignore[arg-type]


def test_cross_pairs_take_content_and_style_from_other_pictures(contexts: Contexts) -> None:
    kinds, choice = set(), contexts.choice
    for index in range(12):
        for numbers in np.random.default_rng(index).random((60, 6)):
            shown = choice.at(index, numbers)
            kinds.add((bool(shown.text), shown.content is not None, shown.style is not None))
            if numbers[0] < 0.3:
                assert shown.text and shown.mix == 1 and shown.content is None is shown.style
            elif numbers[0] < 0.55:
                assert shown.content is not None and shown.style is not None and not shown.text
                assert choice.things[shown.content] == choice.things[index] != choice.things[shown.style]
                assert choice.styles[shown.style] == choice.styles[index] != choice.styles[shown.content]
                assert choice.grounds[shown.content] == choice.grounds[index] and shown.mix == 0
            elif shown.content not in (None, index):  # an edit
                assert shown.content is not None and shown.style is None and 0.2 <= shown.mix <= 0.8
                differs = choice.grounds[shown.content] != choice.grounds[index]
                assert (f"on {choice.grounds[index]}" in shown.text) == differs
    assert kinds == {(True, False, False), (False, True, True), (True, False, True), (True, True, False)}


def test_style_and_ground_are_said_without_the_thing(icons: Path) -> None:
    config = ContextsConfig(plain=["text"], caption=0, cross=0, variation=0, styled=0, edit=0, unnamed=1)
    choice = ContextChoice(ImageFolder(icons, "train"), COLUMNS, config)
    for index in range(12):
        shown = choice.at(index, np.full(6, 0.5))
        assert shown.text == f"{choice.styles[index]}, on {choice.grounds[index]}" and shown.mix == 1
        assert choice.things[index] not in shown.text and shown.content is None is shown.style


def test_rows_are_drawn_for_each_sample_alone(contexts: Contexts) -> None:
    draws = Draws.at(0, 1, range(8), torch.device("cpu"))
    rows = contexts.draw(range(8), draws)
    alone = contexts.draw([3], Draws.at(0, 1, [3], torch.device("cpu")))
    assert torch.equal(rows[3:4], alone)
    assert contexts.ids.shape == (12, 4, rows.shape[1]) and len(contexts.texts[0]) == 12


def test_a_model_is_scored_on_combinations_that_training_has(contexts: Contexts) -> None:
    held_out = copy.copy(contexts)
    held_out.choice = copy.copy(contexts.choice)
    held_out.choice.styles = [style if index < 8 else "engraved" for index, style in enumerate(contexts.choice.styles)]
    scored = contexts.scored(held_out, 100)
    assert (scored.held_out, scored.unknown, scored.train) == ([*range(8)], [8, 9, 10, 11], [])
    held_out.choice.styles = ["engraved"] * 12
    scored = contexts.scored(held_out, 100)
    assert scored.held_out == [] and len(scored.unknown) == 12 and scored.train


def test_a_set_in_which_style_cannot_be_told_from_content_is_refused(icons: Path, runs: Path) -> None:
    rows = [json.loads(line) for line in (icons / "train" / "metadata.jsonl").read_text().splitlines()]
    (icons / "train" / "metadata.jsonl").write_text(
        "".join(json.dumps({**row, "style": row["emoji"]}) + "\n" for row in rows)
    )
    with pytest.raises(BadInput, match="every emoji has one style, so content and style cannot be told apart"):
        examples(tiny.versatile_teacher(), ImageFolder(icons, "train"), COLUMNS)
    held_out = icons / "validation" / "metadata.jsonl"
    held_out.write_text(held_out.read_text().splitlines()[0] + "\n")  # of which no more is asked
    assert len(examples(tiny.versatile_teacher(), ImageFolder(icons, "validation"), COLUMNS)) == 1
    with pytest.raises(BadInput, match=r"the shares of contexts add up to 1.2, not to 1"):
        ContextsConfig.parse({"caption": 0.5}, "test")


def test_captions_are_samples_of_their_own_told_or_as_any(icons: Path, runs: Path) -> None:
    text = tiny.versatile_teacher().flow("image-to-text")
    found = examples(text, ImageFolder(icons, "train"), COLUMNS)
    (targets,) = found.latents().parts
    assert len(found) == 24 and targets.values.shape == (24, *text.latent_shape)
    assert found.rows.ids.shape[:2] == (24, 2)
    assert found.rows.ids[:, 0, -1].tolist() == [0, 1] * 12 and set(found.rows.ids[:, 1, -1].tolist()) == {2}
    (line,) = found.rows.cut(len)  # type: ignore[arg-type]
    assert line.startswith("24 of 24 captions are longer than the 8 tokens that are read, and lose their end, such as ")
    rows = [json.loads(line) for line in (icons / "train" / "metadata.jsonl").read_text().splitlines()]
    rows[1]["text"] = " "
    (icons / "train" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadInput, match=r"column 'text' of .* says nothing in 1 of 12 rows; accepted: text in each"):
        examples(text, ImageFolder(icons, "train"), COLUMNS)
    decoded = text.autoencoder.decode(targets.values)
    expected = text.autoencoder.tokenizer(["red on white"], padding="max_length", truncation=True)["input_ids"]  # type: ignore[operator]
    assert decoded[0].tolist() == expected[0]

"""The published flows are fine-tuned and distilled, from captions, pictures or both; neither undoes what the other learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models import folder as folders
from models import optimus
from models.labels import Seen, Wish
from tests import tiny
from tests.models import tiny_published
from tests.training.conftest import write_set
from training import launch
from training.context_choice import ContextChoice, ContextsConfig, OwnContexts
from training.contexts import Contexts
from training.examples import examples

LOOP = {"steps": 2, "batch": 4, "validate_every": 2, "log_every": 1}
RATE = {"rate": 1e-3, "warmup": 0}
SHARES = {"caption": 0.4, "variation": 0.3, "both": 0.3, "cross": 0, "styled": 0, "edit": 0}


def train(method: str, run: str, folder: Path, **values: Any) -> None:
    file = folder / f"{run}.yaml"
    common = {"run": run, "loop": LOOP, "optimizer": RATE, "contexts": SHARES, "flow": "image-text-to-image"}
    file.write_text(yaml.safe_dump({**common, **values}))
    launch.launch(method, file)


@pytest.mark.slow  # three trainings
def test_teacher_and_one_step_student_of_the_image_flow(runs: Path, tmp_path: Path) -> None:
    data, base = str(write_set(tmp_path / "set", 8)), tiny_published.write(tmp_path / "base")
    tiny_published.write_optimus(base / optimus.FOLDER)
    train("teacher", "teacher", runs, data=data, base=str(base))
    before, teacher = folders.load(base), folders.load(runs / "teacher" / "model")
    first, learnt = (one.denoiser.state_dict()["conv_in.weight"] for one in (before, teacher))
    assert not torch.equal(first, learnt)
    picture = np.zeros((16, 16, 3), np.uint8)
    assert teacher.flow("image-to-text").generate([Seen(picture)], [1], 2, 1.0).shape == (1, optimus.LONGEST)
    with pytest.warns(UserWarning, match="has become a student, and is left out"):
        train(
            "student", "student", runs, data=data, teacher="teacher", prediction="v_prediction", warmup=2,
            warmup_optimizer=RATE, pairs={"count": 4, "steps": 2, "guidance": 7.5}, distillation={"weight": 0.5},
            adversarial={"discriminator": RATE, "width": 8}, loop={**LOOP, "steps": 4},
        )  # fmt: skip
    student = folders.load(runs / "student" / "model")
    assert student.is_student and not student.siblings and student.schedule.prediction_type == "v_prediction"
    wishes = [Wish("red"), Wish(content=picture), Wish("red", picture, mix=0.3)]
    drawn = student.generate(wishes, [1, 1, 1])
    assert drawn.shape == (3, 16, 16, 3) and len({one.tobytes() for one in drawn}) == 3


@pytest.mark.slow  # two trainings
def test_teacher_and_one_step_student_of_the_text_flow(runs: Path, tmp_path: Path) -> None:
    data, base = str(write_set(tmp_path / "set", 8)), tiny_published.write(tmp_path / "base")
    tiny_published.write_optimus(base / optimus.FOLDER)
    text: dict[str, Any] = {"flow": "image-to-text", "data": data, "captions": ["text", "text_fr"]}
    train("teacher", "text-teacher", runs, base=str(base), **text)
    before, teacher = folders.load(base), folders.load(runs / "text-teacher" / "model")
    first, learnt = (one.flow("image-to-text").denoiser.state_dict()["conv_in.weight"] for one in (before, teacher))
    assert not torch.equal(first, learnt)
    wish = Wish("red", np.zeros((16, 16, 3), np.uint8), mix=0.4)
    assert torch.equal(before.sample([wish], [1], 2, 2.0), teacher.sample([wish], [1], 2, 2.0))
    train(
        "student", "text-student", runs, teacher="text-teacher", prediction="v_prediction", warmup=2,
        warmup_optimizer=RATE, pairs={"count": 4, "steps": 2, "guidance": 7.5}, distillation={"weight": 0.5},
        adversarial={"discriminator": RATE, "width": 8}, loop={**LOOP, "steps": 4}, **text,
    )  # fmt: skip
    image = folders.load(runs / "text-student" / "model")
    student = image.flow("image-to-text")
    assert student.is_student and not image.is_student and student.schedule.prediction_type == "v_prediction"
    assert torch.equal(before.sample([wish], [1], 2, 2.0), image.sample([wish], [1], 2, 2.0))
    ids = student.generate([Seen(wish.content), "red", wish], [1, 1, 1])
    assert ids.shape == (3, optimus.LONGEST)
    with pytest.raises(BadInput, match="accepted: no lora"):
        train("teacher", "text-lora", runs, base=str(base), lora={"rank": 2}, **text)


def test_captions_are_written_from_pictures_texts_or_both(runs: Path, tmp_path: Path) -> None:
    base = tiny_published.write(tmp_path / "base")
    tiny_published.write_optimus(base / optimus.FOLDER)
    text = folders.load(base, "image-to-text")
    images = ImageFolder(write_set(tmp_path / "set", 8), "train")
    found = examples(text, images, ["text", "text_fr"], ContextsConfig(**SHARES))  # type: ignore[arg-type]
    rows, count = cast(Contexts, found.rows), len(images)
    said = cast(OwnContexts, rows.choice).said
    assert len(found) == len(said) == 2 * count and said[6:8] == ["yellow", "jaune"]
    latents = found.latents()[[6, 7]]
    words: Any = text.autoencoder
    assert torch.allclose(latents, words.encode(words.read(["yellow", "jaune"])), atol=1e-5)
    kinds = set()
    for numbers in np.random.default_rng(0).random((40, 6)):
        shown = rows.choice.at(7, numbers)
        assert shown.content in (None, 3) and shown.text in ("", "jaune")
        kinds.add((bool(shown.text), shown.content is not None))
    assert kinds == {(True, False), (False, True), (True, True)}
    alone = cast(Contexts, examples(text, images, ["text"]).rows)
    assert alone.choice.at(3, np.full(6, 0.5)).text == ""
    with pytest.raises(
        BadInput, match="written from caption, variation and both; set cross, styled, edit, unnamed to 0"
    ):
        examples(text, images, ["text"], ContextsConfig())


def test_contexts_of_any_captioned_pictures(runs: Path, tmp_path: Path) -> None:
    conditioner = folders.load(tiny_published.write(tmp_path / "base")).conditioner
    images = ImageFolder(write_set(tmp_path / "set", 8), "train")
    choice = ContextChoice(images, ["text", "text_fr"], ContextsConfig(**SHARES))  # type: ignore[arg-type]
    contexts = Contexts(choice, images, conditioner)  # type: ignore[arg-type]
    kinds = set()
    for numbers in np.random.default_rng(0).random((60, 6)):
        shown = choice.at(3, numbers)
        assert shown.content in (None, 3) and shown.text in ("", "yellow", "jaune")
        assert shown.content is None or shown.text == "" or 0.2 <= shown.mix <= 0.8
        kinds.add((bool(shown.text), shown.content is not None, shown.style is not None))
    assert kinds == {(True, False, False), (False, True, True), (True, True, False)}
    assert contexts.cut(conditioner.beyond) == []
    choice.captions = [["a fox in the snow"] * 2, ["red"] * 2]
    (line,) = contexts.cut(conditioner.beyond)
    assert line.startswith(f"2 of 4 captions are longer than the {tiny.TOKENS} tokens")
    assert line.endswith("such as 'the snow' of 'a fox in the snow'")
    with pytest.raises(BadInput, match="emoji"):
        ContextChoice(images, ["text"], ContextsConfig())

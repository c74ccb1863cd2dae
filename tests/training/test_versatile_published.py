"""The published image flow is fine-tuned and distilled, with captions, pictures or both; the text flow stays or is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from base.errors import BadInput
from data.imagefolder import ImageFolder
from models import folder as folders
from models import optimus
from models.labels import Seen, Wish
from tests.models import tiny_published
from tests.training.conftest import write_set
from training import launch
from training.contexts import Contexts, ContextsConfig

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
    with pytest.raises(BadInput, match="the text flow of a published Versatile Diffusion is not trained here"):
        train("teacher", "text", runs, data=data, base=str(base), flow="image-to-text")


def test_contexts_of_any_captioned_pictures(runs: Path, tmp_path: Path) -> None:
    conditioner = folders.load(tiny_published.write(tmp_path / "base")).conditioner
    images = ImageFolder(write_set(tmp_path / "set", 8), "train")
    contexts = Contexts(images, ["text", "text_fr"], ContextsConfig(**SHARES), conditioner)  # type: ignore[arg-type]
    kinds = set()
    for numbers in np.random.default_rng(0).random((60, 6)):
        shown = contexts.choose(3, numbers)
        assert shown.content in (None, 3) and shown.text in ("", "yellow", "jaune")
        assert shown.content is None or shown.text == "" or 0.2 <= shown.mix <= 0.8
        kinds.add((bool(shown.text), shown.content is not None, shown.style is not None))
    assert kinds == {(True, False, False), (False, True, True), (True, True, False)}
    with pytest.raises(BadInput, match="emoji"):
        Contexts(images, ["text"], ContextsConfig(), conditioner)  # type: ignore[arg-type]

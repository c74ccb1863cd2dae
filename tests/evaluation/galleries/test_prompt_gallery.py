"""The gallery on tiny networks: nothing is left out, and the walk starts and ends at its first prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.galleries import prompt_gallery
from models import folder
from tests import tiny


def test_the_walk_passes_through_what_the_student_draws(tiny_student: Path) -> None:
    student, prompts = folder.load(str(tiny_student)), ["cat", "dog", "fox"]
    walked = prompt_gallery.walk(student, prompts, frames=4)
    assert len(walked) == 12
    drawn = student.generate(prompts, [0, 1, 2])
    for place, image in enumerate(drawn):
        expected = Image.fromarray(image).resize(prompt_gallery.SHOWN, Image.Resampling.BICUBIC)
        apart = np.abs(np.asarray(walked[4 * place], int) - np.asarray(expected, int))
        assert apart.max() <= 2  # of 255: batches of other sizes round otherwise
    assert np.asarray(walked[2] != walked[0]).any()


def test_it_writes_every_prompt_of_the_file(tiny_bundle: Path, tmp_path: Path) -> None:
    folder.save(tiny.teacher(), tmp_path / "teacher")
    (tmp_path / "prompts.txt").write_text("\n".join(f"prompt {letter}" for letter in "abcdefghij"))
    out = tmp_path / "out"
    prompt_gallery.main(tmp_path / "prompts.txt", tiny_bundle, str(tmp_path / "teacher"), out, steps=2, legs=2)
    with Image.open(out / "prompts.png") as prompts, Image.open(out / "seeds.png") as seeds:
        assert prompts.height > prompts.width / 2  # two bands of two rows
        assert seeds.height > seeds.width / 3  # three bands of one row
    with Image.open(out / "walk.gif") as walk:
        assert walk.n_frames == 2 * prompt_gallery.FRAMES  # type: ignore[attr-defined]

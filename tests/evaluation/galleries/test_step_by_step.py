"""Drawing from a pipeline in torch: the same images watched or not, and an animation of every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from evaluation.galleries import step_by_step
from evaluation.galleries.step_by_step import SamplingOptions
from evaluation.pages.gif import animate
from models.pipeline import Pipeline
from tests import tiny

TEACHER, STUDENT = tiny.attribute_teacher(), tiny.attribute_student()
INPUTS, SEEDS = ["Ape, Fez=2", ""], [3, 4]


@pytest.mark.parametrize(
    ("pipeline", "way", "timesteps"),
    [
        (TEACHER, SamplingOptions(4, 1.5), [999, 749, 499, 249]),
        (TEACHER, SamplingOptions(4, 1.5, "dpm-solver++"), [999, 749, 499, 249]),
        (TEACHER, SamplingOptions(4, 1.5, "ddpm"), [999, 749, 499, 249]),
        (STUDENT, SamplingOptions(), [999]),
        (STUDENT, SamplingOptions(2), [999, 499]),
    ],
)
def test_every_step_is_shown_and_changes_nothing(
    pipeline: Pipeline, way: SamplingOptions, timesteps: list[int]
) -> None:
    seen = []
    watched = step_by_step.draw(pipeline, INPUTS, SEEDS, way, lambda *step: seen.append(step))
    assert np.array_equal(watched, step_by_step.draw(pipeline, INPUTS, SEEDS, way))
    assert [timestep for timestep, _, _ in seen] == timesteps
    assert all(sample.shape == x0.shape == (2, 8, 8, 3) for _, sample, x0 in seen)
    assert np.array_equal(seen[-1][2], watched), "what is seen in the last sample is what is drawn"


def test_the_animation_has_a_picture_for_each_step_and_rests_on_the_last(tmp_path: Path) -> None:
    pictures = step_by_step.frames(TEACHER, INPUTS, SEEDS, SamplingOptions(12))
    assert len(pictures) == 12 and len({picture.size for picture in pictures}) == 1
    out = animate(pictures, tmp_path / "a.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
    with Image.open(out) as opened:
        assert opened.n_frames == 12 and opened.info["loop"] == 0  # type: ignore[attr-defined]
        opened.seek(0)
        first = opened.info["duration"]
        opened.seek(11)
        assert opened.info["duration"] > first


@pytest.mark.parametrize(
    ("pipeline", "way", "message"),
    [
        (TEACHER, SamplingOptions(1001), "a teacher does not draw in 1001 steps; accepted: 1 to 1000"),
        (TEACHER, SamplingOptions(0), "accepted: 1 to 1000"),
        (STUDENT, SamplingOptions(5), "a student does not draw in 5 steps; accepted: 1, 2, 3, 4"),
        (TEACHER, SamplingOptions(2, sampler="euler"), "no sampler 'euler'; accepted: ddim, dpm-solver"),
    ],
)
def test_what_a_pipeline_does_not_take_is_refused(pipeline: Pipeline, way: SamplingOptions, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        step_by_step.draw(pipeline, INPUTS, SEEDS, way)
    with pytest.raises(BadInput, match="seeds -1 to 4 are out of range"):
        step_by_step.draw(pipeline, INPUTS, [-1, 4], SamplingOptions(1))


def test_an_animation_is_a_gif_in_a_folder(tmp_path: Path) -> None:
    pictures = step_by_step.frames(STUDENT, [""], [0], SamplingOptions())
    for out, message in ((tmp_path / "a.png", "an animation is a .gif"), (tmp_path / "no" / "a.gif", "is no folder")):
        with pytest.raises(BadInput, match=message):
            animate(pictures, out)

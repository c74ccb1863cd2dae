"""Drawing with any pipeline, at once and step by step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from base.errors import BadInput
from models import folder
from models.pipeline import Pipeline
from models.task import task_of
from studio import drawing
from studio.drawing import SamplingSettings
from tests import tiny

Write = Callable[[str, int], Path]


@pytest.mark.parametrize(
    ("pipeline", "values", "wanted"),
    [
        (tiny.teacher, ["a cat"], "a cat"),
        (tiny.pixel_teacher, ["blue"], "blue"),
        (tiny.attribute_teacher, ["Ape", 2.0, "", 1.0, "Pipe", 0.5], {"Ape": 2.0, "Pipe": 0.5}),
    ],
)
def test_what_is_asked_for_follows_the_pipeline(
    pipeline: Callable[[], Pipeline], values: list[object], wanted: object
) -> None:
    opened = pipeline()
    input = task_of(opened).control().read(values)
    assert input == wanted
    images = drawing.generate(opened, input, [1, 2], SamplingSettings(teacher_steps=2))
    assert len(images) == 2


def test_a_trace_keeps_every_step_and_ends_in_what_is_drawn(write_run: Write) -> None:
    run = write_run("a", 100)
    folder.save(tiny.pixel_teacher(), run / "model")
    settings = SamplingSettings(teacher_steps=4)
    (drawn,) = drawing.draw("a", "red", [3], settings).images
    trace = drawing.trace("a", "red", 3, settings)
    assert len(trace) == 4
    assert np.array_equal(trace[-1].x0, drawn) and not np.array_equal(trace[0].sample, drawn)


def test_a_model_of_a_run_is_opened_again_when_it_was_trained_on(write_run: Write) -> None:
    run = write_run("a", 100)
    folder.save(tiny.pixel_student(), run / "model")
    drawn = drawing.draw("a", "red", [1, 2, 3], SamplingSettings())
    assert drawn.images.shape == (3, 16, 16, 3) and drawn.description == "1 step" and drawn.seconds > 0
    folder.save(tiny.pixel_teacher(1), run / "model")
    assert drawing.draw("a", "red", [1], SamplingSettings(2)).description == "2 steps, ddim, guidance 2"
    with pytest.raises(BadInput, match="label 'violet' is unknown"):
        drawing.draw("a", "violet", [1], SamplingSettings(2))
    shutil.rmtree(run)
    with pytest.raises(BadInput, match="the model 'a' is gone"):
        drawing.draw("a", "red", [1], SamplingSettings())

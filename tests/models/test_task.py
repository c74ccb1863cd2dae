"""Every task's descriptor beside the conditioners that take its inputs."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from base.errors import BadInput
from models import folder as folders
from models import optimus
from models.controls import Choice, Control, Pickers, TextBox
from models.labels import Seen, Wish
from models.pipeline import Pipeline
from models.task import Vocabulary, doing, task_named, task_names, task_of
from runtime.networks import conditioner_arrays
from runtime.tokenize import DTYPES
from tests import tiny
from tests.models import tiny_published


def unconditional() -> Pipeline:
    return tiny.pixel_teacher(classes=())


def captioner() -> Pipeline:
    return tiny.versatile_teacher().flow("image-to-text")


def reader() -> Pipeline:
    with tempfile.TemporaryDirectory() as folder:
        base = tiny_published.write(Path(folder) / "base")
        tiny_published.write_optimus(base / optimus.FOLDER)
        return folders.load(base, "image-to-text")


PIPELINES = [
    tiny.teacher,
    tiny.pixel_teacher,
    tiny.attribute_teacher,
    unconditional,
    tiny.versatile_teacher,
    captioner,
    reader,
]
TYPED = {
    "text-to-image": "a cat",
    "class-to-image": 2,
    "attributes-to-image": {"Fez": 2.5, "Man": 0, "Ape": 1},
    "unconditional-image-generation": "",
    "image-text-to-image": "a cat",
    "image-to-text": "",
    "image-text-to-text": "a cat",
}


@pytest.fixture(scope="module", params=PIPELINES, ids=lambda make: make.__name__)
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    make: Callable[[], Pipeline] = request.param
    return make()


def test_there_is_a_pipeline_for_every_task_here() -> None:
    assert {make().task for make in PIPELINES} == {*task_names()} == {*TYPED}


def test_examples_and_the_null_condition_are_rows_as_the_conditioner_makes_them(pipeline: Pipeline) -> None:
    task = task_of(pipeline)
    inputs = ["", *task.examples(9)]
    assert len(inputs) == 10 and inputs[1:4] == task.examples(3)
    rows = pipeline.conditioner.tokenize(inputs)
    taken = conditioner_arrays(pipeline, rows)[task.conditioner_inputs[0]]
    assert taken.numpy().dtype == DTYPES[task.conditioner_inputs[0]]
    if not task.tokenized and not task.images:
        expected = np.array([task.row(input) for input in inputs])
        assert torch.equal(torch.from_numpy(expected).to(taken.dtype), taken)


def test_what_is_parsed_is_shown_and_read_again(pipeline: Pipeline) -> None:
    task = task_of(pipeline)
    parsed = task.parse(TYPED[task.name])
    assert task.parse(task.text(parsed)) == parsed == task.parse(parsed)
    assert task.text(task.text(parsed)) == task.text(parsed)
    assert task.shown(parsed) == dict.fromkeys(task.keys(), task.text(parsed)) and task.keys() == pipeline.inputs


def test_attributes_are_parsed_in_the_order_of_the_slots() -> None:
    task = task_of(tiny.attribute_teacher())
    parsed = task.parse({"Fez": 2.5, "Man": 0, "Ape": 1})
    assert parsed == {"Ape": 1.0, "Fez": 2.5} and task.text(parsed) == "Ape, Fez=2.5"
    assert task.parse({}) == task.parse("") == {} and task.row({}) == task.row("") == [0.0] * 6


@pytest.mark.parametrize("name", task_names())
def test_nothing_is_the_null_condition_of_every_task(name: str) -> None:
    task = task_named(name)(Vocabulary(("red", "blue"), tiny.SLOTS))
    assert task.text(task.parse("")) == "" and task.parse(task.parse("")) == task.parse("")


def test_blanks_are_no_prompt() -> None:
    assert task_named("text-to-image")().parse(" \n ") == ""


def test_a_suggestion_is_an_input(pipeline: Pipeline) -> None:
    known = task_of(pipeline)
    captions = ("an owl on blue", "a fox") if known.tokenized else ()
    task = type(known)(dataclasses.replace(known.vocabulary, captions=captions))
    said = isinstance(task.control(), TextBox | Pickers)
    assert [task.parse(text) for text in task.suggestions()] or not said
    assert task.suggestions() == [*captions] or not captions
    assert not task.unsuggested()


def test_a_model_that_names_no_set_suggests_nothing_and_says_so(pipeline: Pipeline) -> None:
    task = task_of(pipeline)
    assert ("does not say which captions" in task.unsuggested()) == task.tokenized
    assert not (task.tokenized and task.suggestions())


@pytest.mark.parametrize(
    ("task", "value", "says"),
    [
        ("text-to-image", 5, "a prompt must be text, got 5"),
        ("text-to-image", "a \ud83d", "half of a surrogate pair"),
        ("class-to-image", " ", "label ' ' is unknown; accepted: blue, red"),
        ("class-to-image", 2, "label 2 is out of range; accepted: 0 to 1"),
        ("attributes-to-image", {"Cap": 4}, "weight 4 of attribute 'Cap' is refused; accepted: 0 to 3"),
    ],
)
def test_whatever_is_no_input_is_refused_in_one_line(task: str, value: object, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        task_named(task)(Vocabulary(("red", "blue"), tiny.SLOTS)).parse(value)


def test_a_task_that_nobody_knows_is_named() -> None:
    with pytest.raises(BadInput, match="unknown task 'text-to-imag'; did you mean 'text-to-image'"):
        task_named("text-to-imag")


def test_controls_read_their_widgets() -> None:
    assert TextBox("Prompt").read(["a cat"]) == "a cat" and TextBox("Prompt").read([None]) == ""
    assert Control().read([]) == ""
    assert Pickers(slots=tiny.SLOTS).read(["Ape", 2, "", 1, None, 1]) == {"Ape": 2.0}
    assert Choice(choices=("a",) * 20).listed and not Choice(choices=("a",) * 21).listed


def test_what_is_seen_read_or_both_is_said() -> None:
    task = task_named("image-text-to-text")()
    picture = np.zeros((16, 16, 3), np.uint8)
    both, seen = task.joined("a cat", {"image": picture}), task.joined("", {"image": picture})
    assert isinstance(both, Wish) and both.share == 0.5 and isinstance(seen, Wish) and seen.share == 0.0
    assert task.parse(both) is both and task.text(both) == "a cat" and task.text(Seen(picture)) == ""
    with pytest.raises(BadInput, match="nothing to write about; accepted: image, prompt, or both"):
        task.joined("  ", {})
    assert doing("image-to-text", ["text-to-image", task.name]) == task.name
    assert doing("text-to-image", ["image-text-to-image", task.name]) is None

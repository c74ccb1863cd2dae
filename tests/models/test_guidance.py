"""Composed guidance on a real tiny UNet: the formula, one batch, weights that mean what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import BadInput
from metrics.sharpness import psnr
from models import ddpm
from models import folder as folders
from models.parts import predict
from models.pipeline import Pipeline
from tests import tiny
from tests.models.test_ddpm import from_parts

TEACHER = tiny.attribute_teacher()
weight = st.floats(0, 3, width=32)
wanted = st.fixed_dictionaries({}, optional={"Man": weight, "Fez": weight, "Pipe": weight})


def output(pipeline: Pipeline, sample: torch.Tensor, attributes: object) -> torch.Tensor:
    return predict(pipeline.denoiser, sample, 500, pipeline.condition([attributes]))  # type: ignore[list-item]


@torch.no_grad()
@settings(max_examples=25, deadline=None)
@given(st.lists(wanted, min_size=1, max_size=4), st.floats(0.5, 2))
def test_composed_guidance_is_the_formula(batch: list[dict[str, float]], guidance: float) -> None:
    """`null + Σ wᵢ·(condᵢ − null)`, pass by pass, for samples of different attributes in one batch."""
    sample = torch.randn(len(batch), 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = TEACHER.denoise(TEACHER.condition(batch), guidance)(sample, 500)
    for row, weights in enumerate(batch):
        own = sample[row : row + 1]
        null = output(TEACHER, own, "")
        terms = [weight * (output(TEACHER, own, [name]) - null) for name, weight in weights.items()]
        expected = null + guidance * torch.stack([torch.zeros_like(null), *terms]).sum(dim=0)
        assert torch.allclose(found[row : row + 1], expected, atol=1e-4)


@torch.no_grad()
def test_a_step_is_one_pass_over_null_and_all_conditions() -> None:
    sizes: list[int] = []
    handle = TEACHER.denoiser.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    sample = torch.randn(3, 3, 8, 8)
    TEACHER.denoise(TEACHER.condition(["Man, Fez, Pipe", "Ape", ""]), 1.0)(sample, 500)
    handle.remove()
    assert sizes == [3 + 4], "three null passes, four conditions, nothing for what is left free"


@torch.no_grad()
def test_every_sample_has_its_own_timestep() -> None:
    sample, times = torch.randn(2, 3, 8, 8), torch.tensor([900, 100])
    both = TEACHER.denoise(TEACHER.condition(["Man, Fez", "Pipe=2"]), 1.5)(sample, times)
    for row, attributes in enumerate(["Man, Fez", "Pipe=2"]):
        alone = TEACHER.denoise(TEACHER.condition([attributes]), 1.5)(sample[row : row + 1], int(times[row]))
        assert torch.allclose(both[row : row + 1], alone, atol=1e-5)


@torch.no_grad()
def test_weight_zero_is_the_null_condition() -> None:
    for pipeline in (TEACHER, tiny.attribute_student()):
        free, zero = pipeline.condition([""]), pipeline.condition([{"Man": 0, "Fez": 0.0}])
        assert torch.equal(free.encoder_hidden_states, zero.encoder_hidden_states)
        guidance = 1.0 if pipeline is TEACHER else None
        drawn = [pipeline.generate([nothing], [3], 2, guidance) for nothing in ("", {"Man": 0.0}, [])]
        assert np.array_equal(drawn[0], drawn[1]) and np.array_equal(drawn[0], drawn[2])


def test_tokens_are_weighted_embeddings_a_slot_each_and_one_over_all() -> None:
    conditioner = TEACHER.conditioner
    hidden = TEACHER.condition([{"Ape": 1, "Fez": 2.5}]).encoder_hidden_states[0]
    null, rows = (
        conditioner.null,
        dict(zip(("Man", "Ape", "Cap", "Crown", "Fez", "Pipe"), conditioner.embedding, strict=True)),
    )
    assert torch.allclose(hidden[0], null[0] + rows["Ape"])
    assert torch.allclose(hidden[1], null[1] + 2.5 * rows["Fez"])
    assert torch.equal(hidden[2], null[2])
    assert torch.allclose(hidden[3], null[3] + rows["Ape"] + 2.5 * rows["Fez"])


def test_the_student_feels_its_weights_in_one_pass() -> None:
    student = tiny.attribute_student()
    weights = student.conditioner.tokenize([{"Man": 1, "Fez": 2}]).requires_grad_(True)
    sample = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    predict(student.denoiser, sample, 999, student.conditioner(weights)).square().sum().backward()
    assert weights.grad is not None and bool((weights.grad != 0).all())
    light, heavy = (student.generate([{"Man": 1, "Fez": weight}], [3]) for weight in (0.5, 3))
    assert not np.array_equal(light, heavy)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_saved_and_opened_draws_the_same(tmp_path: Path, dtype: torch.dtype) -> None:
    pipeline = tiny.attribute_student()
    inputs = ["Ape, Crown=2", {"Pipe": 0.5}, ""]
    before = pipeline.generate(inputs, [1, 2, 3])
    folders.save(pipeline, tmp_path / "student", dtype)
    opened = folders.load(tmp_path / "student")
    assert [*opened.slots] == [*tiny.SLOTS], "the order is that of the weights"
    assert (opened.slots, opened.inputs, opened.task) == (tiny.SLOTS, ("attributes",), "attributes-to-image")
    assert psnr(opened.generate(inputs, [1, 2, 3]), before) > 40
    assert set(folders.weights(pipeline)) == {"conditioner", "denoiser", "autoencoder"}


def test_parts_make_a_pipeline_of_attributes() -> None:
    made = from_parts(attributes={"type": ["A", "B"], "hat": ["C"]})
    assert made.slots == {"type": ("A", "B"), "hat": ("C",)} and made.classes == ()
    assert isinstance(made.conditioner, ddpm.AttributeConditioner)
    for wrong, message in (
        ({"attributes": {"a": ["A"]}, "classes": 2}, "exclude each other"),
        ({"attributes": {"a": ["A"], "b": ["A"]}}, "distinct"),
        ({"attributes": {"a": ["A=B"]}}, "without comma and equals sign"),
    ):
        with pytest.raises(BadInput, match=message):
            from_parts(**wrong)


def test_what_is_no_attribute_is_refused() -> None:
    with pytest.raises(BadInput, match="did you mean 'Crown'"):
        TEACHER.generate(["Crwn"], [0], 2, 1.0)


def test_weights_are_read_in_the_precision_of_the_table() -> None:
    conditioner = tiny.attribute_teacher().conditioner.half()
    weights = conditioner.tokenize(["Ape, Fez=2"])
    conditioning = conditioner(weights)
    assert conditioning.encoder_hidden_states.dtype == torch.float16
    assert torch.equal(conditioning.weights, weights), "guidance keeps them as they were asked for"

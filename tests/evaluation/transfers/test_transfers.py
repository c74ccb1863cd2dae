"""Images asked for by pictures, judged: of a source that draws what is right, of one that copies, and of a tiny student."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation import evaluation, image_sets
from evaluation.effort import Effort
from evaluation.pages import report_page
from evaluation.subjects import Subjects
from evaluation.transfers.asked_by_pictures import MIXES, mixes, transfers, variations
from evaluation.transfers.edits import AskedEdit, by_hand, edits
from evaluation.transfers.principal_styles import by_components
from evaluation.transfers.styled_images import StyledImages, StyledReals
from evaluation.transfers.transfer_baselines import recoloured
from evaluation.transfers.transfer_evaluation import evaluate_transfers
from evaluation.transfers.transfer_figures import EDIT, MIX, TRANSFER, VARIATION, rank_correlation
from evaluation.transfers.transfer_rivals import Rivals
from metrics import attribute_accuracy, judge_network
from metrics.judge_network import Judge, JudgeConfig
from models import folder as folders
from models.labels import Input, Wish
from models.pixel_tensors import from_uint8
from tests import tiny
from tests.evaluation.pages.page_reader import fetched
from tests.evaluation.styled_set import GROUNDS, LACKING, SLOTS, STYLES, THINGS, draw, write_styled

EFFORT = Effort(images=10, captions=8, guidances=(1.0,), samplers=("ddim",), sweep=4, prompts=2, seeds=2)


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_styled(tmp_path_factory.mktemp("styled") / "set")


@pytest.fixture(scope="module")
def reals(styled: Path) -> StyledReals:
    return image_sets.open_styled(str(styled))


@pytest.fixture(scope="module")
def judge() -> Judge:
    """Trained on every picture that there can be."""
    torch.manual_seed(0)
    every = [(thing, style, ground) for thing in THINGS for style in STYLES for ground in GROUNDS]
    labels = sum(len(slot) + 1 for slot in SLOTS)
    judge = Judge(JudgeConfig(labels, channels=(16, 32), width=32, slots=SLOTS))
    images = from_uint8(np.stack([draw(*row) for row in every]))
    targets = attribute_accuracy.slot_indices(every, SLOTS)
    optimizer = torch.optim.Adam(judge.parameters(), 1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        attribute_accuracy.attribute_loss(judge, images, targets, smoothing=0.0).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return judge.eval()


def _told(picture: np.ndarray) -> tuple[str, str, str]:
    every = [(thing, style, ground) for thing in THINGS for style in STYLES for ground in GROUNDS]
    return next(row for row in every if np.array_equal(draw(*row), picture))


def right(wishes: Sequence[Input], seeds: Sequence[int]) -> np.ndarray:
    """What every wish asks for; the prompt counts from the middle of the mix on."""
    drawn = []
    for wish in wishes:
        wish = wish if isinstance(wish, Wish) else Wish(str(wish))
        thing, style, ground = ("dog", "whole", "white") if wish.content is None else _told(wish.content)
        if wish.style is not None:
            style = _told(wish.style)[1]
        if wish.prompt and wish.share >= 0.5:
            thing = next((name for name in THINGS if name in wish.prompt), thing)
            style = next((name for name in STYLES if name in wish.prompt), style)
            ground = next((name for name in GROUNDS if name in wish.prompt), ground)
        drawn.append(draw(thing, style, ground))
    return np.stack(drawn)


def copying(wishes: Sequence[Input], seeds: Sequence[int]) -> np.ndarray:
    return np.stack([wish.content if isinstance(wish, Wish) else draw("dog", "whole", "white") for wish in wishes])


def test_wishes_show_other_pictures_of_the_thing_and_of_the_style(reals: StyledReals) -> None:
    asked = transfers(reals.combinations, reals.train)
    assert asked is not None and len(asked.wishes) == 2
    assert {(thing, style) for thing, style in zip(asked.right.things, asked.right.styles, strict=True)} == {LACKING}
    for content, style, ground in zip(asked.content, asked.style, asked.right.grounds, strict=True):
        assert _told(content) == ("dog", "whole", ground)
        assert _told(style)[0] != "dog" and _told(style)[1:] == ("hollow", ground)
    alone = reals.train.rows([i for i, thing in enumerate(reals.train.things) if thing == "dog"])
    assert transfers(reals.combinations, alone) is None, "no other thing has the style"
    assert all(np.array_equal(wish.content, wish.style) for wish in variations(reals.held_out).wishes)  # type: ignore[attr-defined]
    mixed = mixes(reals.held_out)(0.25)
    assert all(one != other for one, other in zip(mixed.right.things, mixed.others, strict=True))
    assert {wish.mix for wish in mixed.wishes} == {0.25}  # type: ignore[attr-defined]


def test_what_is_right_and_what_copies_are_told_apart(reals: StyledReals, judge: Judge) -> None:
    rivals = Rivals(caption=lambda images: [_told(image)[0] for image in images])
    found, grids = evaluate_transfers(judge, reals, {"teacher": right, "student": copying}, EFFORT, rivals)
    teacher, student = found.teacher, found.students[0]
    assert teacher[TRANSFER].both == 1 and student[TRANSFER].both == 0 and student[TRANSFER].thing == 1
    assert teacher[VARIATION].kept.both == 1 and teacher[VARIATION].apart == 0 == student[VARIATION].apart
    assert list(teacher[MIX].prompt.values()) == [0, 0, 1, 1, 1] and set(student[MIX].picture.values()) == {1}
    for kind in ("ground", "style"):
        assert teacher[EDIT][kind].both == 1 and student[EDIT][kind].asked == 0 and student[EDIT][kind].kept == 1
    assert any("another ground 0.000 (the teacher's 1.000)" in line for line in found.warnings())
    lines = {line.name: line for line in found.lines}
    assert lines["teacher, caption and redraw"][EDIT]["ground"].asked == 1
    assert 0 < lines["teacher, caption and redraw"][EDIT]["style"].both < 1, "the ground was not in the caption"
    assert lines["content as it is"][EDIT]["style"].kept == 1
    assert lines["the pictures themselves"][TRANSFER].both == 1
    assert lines["content as it is"][TRANSFER].thing == lines["style picture as it is"][TRANSFER].style == 1
    assert lines["style picture as it is"][TRANSFER].both == 0 == lines["content as it is"][TRANSFER].both
    assert lines["teacher, in words"][TRANSFER].thing == 1
    assert [sheet.rows[0][0] for sheet in found.sheets()] == ["the pictures themselves"] * 3 + ["teacher"]
    curves = report_page.mix_curves(found)["prompt's thing over mix"]
    assert curves["teacher"] == [(0.0, 0.0), (0.25, 0.0), (0.5, 1.0), (0.75, 1.0), (1.0, 1.0)] and len(curves) == 2
    assert (
        set(grids) == {"variations", "style transfer", "edit ground", "edit style", "mix"}
        and len(json.dumps(found.as_json())) > 100
    )


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_rank_correlation_asks_for_order_alone(values: list[float]) -> None:
    correlation = rank_correlation(values)
    if len(set(values)) < 2:
        assert math.isnan(correlation)
        return
    assert -1 - 1e-9 <= correlation <= 1 + 1e-9
    assert correlation == pytest.approx(-rank_correlation([-value for value in values]))
    if len(set(values)) == len(values):
        assert rank_correlation(sorted(values)) == pytest.approx(1)


def test_colours_are_those_of_the_other_picture() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(80, 120, (1, 8, 8, 3), np.uint8), rng.integers(120, 180, (1, 8, 8, 3), np.uint8)
    moved = recoloured(one, other)
    assert np.allclose(moved.mean(axis=(1, 2)), other.mean(axis=(1, 2)), atol=0.6)
    assert np.allclose(moved.std(axis=(1, 2)), other.std(axis=(1, 2)), atol=0.6)
    assert np.array_equal(recoloured(one, one), one) and not recoloured(one, np.zeros_like(one)).any()


@pytest.mark.slow  # every figure of a flow that draws
def test_a_flow_that_takes_pictures_is_asked_by_pictures(styled: Path, judge: Judge, tmp_path: Path) -> None:
    judge_network.save(judge, tmp_path / "judge")
    folders.save(tiny.versatile_teacher(), tmp_path / "teacher")
    folders.save(tiny.versatile_student(), tmp_path / "student")
    names = [str(tmp_path / part) for part in ("student", "teacher", "judge")]
    found = evaluation.evaluate(Subjects(*names, str(styled), steps=2, student_steps=(1,)), EFFORT)
    assert found.transfers is not None and not found.compositions
    assert [len(line[MIX].prompt) for line in (found.transfers.teacher, *found.transfers.students)] == [len(MIXES)] * 2
    page = report_page.html(found)
    assert fetched(page) == [] and "Style transfer: content of one picture, style of another" in page
    evaluation.save(found, tmp_path / "out")
    assert (
        json.loads((tmp_path / "out" / "quality.json").read_text())["transfers"][0]["name"] == "the pictures themselves"
    )
    assert (tmp_path / "out" / "style-transfer.png").is_file()


def test_the_papers_way_gives_tokens_for_a_flow_that_sees_patches(reals: StyledReals) -> None:
    pipeline = tiny.versatile_teacher()
    asked = transfers(reals.combinations, reals.train)
    principal = by_components(pipeline)
    assert asked is not None and principal is not None
    wishes = principal(asked.content, asked.style)
    encoder = pipeline.conditioner.image_encoder  # type: ignore[attr-defined]
    assert [wish.content.shape for wish in wishes] == [(encoder.tokens // 2, encoder.width)] * 2  # type: ignore[attr-defined]
    turned = principal(asked.style, asked.content)
    assert not np.allclose(wishes[0].style, turned[0].style), "what is content and what is style makes a difference"  # type: ignore[attr-defined]
    assert pipeline.generate(wishes, [0, 1], 1, 1.0).shape == (2, 16, 16, 3)
    assert by_components(pipeline.flow("image-to-text")) is not None and by_components(tiny.teacher()) is None


def test_edits_ask_for_one_thing_and_leave_the_rest(reals: StyledReals) -> None:
    asked = edits(reals.held_out, reals.train)
    assert {kind: len(edit.wishes) for kind, edit in asked.items()} == {"ground": 10, "style": 8}
    for kind, edit in asked.items():
        for row, (wish, image) in enumerate(zip(edit.wishes, edit.given.images, strict=True)):
            before, after = (
                {"thing": part.things[row], "style": part.styles[row], "ground": part.grounds[row]}
                for part in (edit.given, edit.right)
            )
            assert [name for name in before if before[name] != after[name]] == [kind]
            assert after[kind] in wish.prompt and wish.mix == 0.5 and np.array_equal(wish.content, image)  # type: ignore[attr-defined]
            assert (wish.style is not None) == (kind == "ground")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("caption", "kind", "changed"),
    [
        ("dog on grey", "ground", "dog on white"),
        ("dog, whole, on grey", "ground", "dog, whole, on white"),
        ("dog", "ground", "dog on white"),
        ("dog, whole, on grey", "style", "dog, hollow, on grey"),
        ("dog, on grey", "style", "dog, hollow, on grey"),
    ],
)
def test_a_caption_is_changed_by_hand(caption: str, kind: str, changed: str) -> None:
    blank = np.zeros((1, 16, 16, 3), np.uint8)
    given = StyledImages(blank, ("dog",), ("whole",), ("grey",), ("",))
    right = StyledImages(blank, ("dog",), ("hollow",), ("white",), ("",))
    assert by_hand([caption], kind, AskedEdit(("",), right, given)) == [changed]

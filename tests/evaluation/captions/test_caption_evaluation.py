"""An evaluation of captions, from a tiny versatile folder to figures, pictures and a page; what its baselines find."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest

from base.errors import BadInput
from commands.evaluate import evaluate as command
from evaluation.captions import caption_subjects as sources
from evaluation.captions.caption_baselines import REFERENCES, baselines
from evaluation.captions.caption_evaluation import evaluate
from evaluation.captions.caption_figures import CHRF, CIDER, COLUMNS, EXACT, READ_BACK, SAID, WORDS
from evaluation.captions.caption_reference import CaptionReference, SourceCaptions, common_start
from evaluation.effort import Effort
from evaluation.line import measure
from evaluation.subjects import Subjects
from metrics import judge_network
from models import folder as folders
from models import optimus
from models.scheduler_configs import student_scheduler
from tests import tiny
from tests.evaluation.pages.page_reader import fetched
from tests.evaluation.styled_set import THINGS, untrained_judge, write_styled
from tests.models import tiny_published
from tests.versatile_bundle import write_versatile

COLUMN = tiny.COLUMNS
FIGURES = (EXACT, COLUMNS, SAID, WORDS, CHRF, CIDER, READ_BACK)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, a judge, a teacher and a student of both flows."""
    root = tmp_path_factory.mktemp("captions")
    write_styled(root / "set")
    judge_network.save(untrained_judge(), root / "judge")
    folders.save(tiny.versatile_teacher(), root / "teacher")
    folders.save(tiny.versatile_student(), root / "student")
    tiny.captioner().save(root / "captioner")
    return root


@pytest.fixture(scope="module")
def reference(place: Path) -> CaptionReference:
    return CaptionReference(sources.open_captioned(str(place / "set"), COLUMN), untrained_judge(), 20)


def test_kinds_of_picture_and_of_caption_take_turns(reference: CaptionReference) -> None:
    assert {kind: len(asked.columns) for kind, asked in reference.asked.items()} == {
        "seen": 10,
        "unseen-combination": 2,
    }
    seen = reference.asked["seen"]
    assert seen.columns == ("text",) * 5 + ("text_fr",) * 5
    for caption, column, (thing, _, _) in zip(
        seen.pictures.captions, seen.columns, seen.pictures.attributes, strict=True
    ):
        assert thing in caption and caption.startswith("le ") == (column == "text_fr")
    assert reference.named["text"] == dict(enumerate(THINGS)), "the words with which all captions begin"
    assert len(reference) == 12


def test_what_is_right_has_every_figure(reference: CaptionReference) -> None:
    right = {kind: asked.pictures.captions for kind, asked in reference.asked.items()}
    shouted = {kind: [f"The {text.upper()}!" for text in texts] for kind, texts in right.items()}
    line = measure("right", SourceCaptions(reference, shouted), FIGURES)
    assert line.n == 12 and line[READ_BACK] == {}
    for figure in (EXACT, SAID, WORDS, CHRF):
        assert line[figure] == {"seen": 1.0, "unseen-combination": 1.0}
    assert line[COLUMNS] == {"text": 1.0, "text_fr": 1.0} and line[CIDER]["seen"] > 2
    wrong = {kind: ["zebra"] * len(texts) for kind, texts in right.items()}
    line = measure("wrong", SourceCaptions(reference, wrong), FIGURES)
    assert line[EXACT]["seen"] == line[WORDS]["seen"] == line[CIDER]["seen"] == 0


def test_captions_are_read_back_by_the_things_that_are_drawn(reference: CaptionReference) -> None:
    right = {kind: asked.pictures.captions for kind, asked in reference.asked.items()}
    images = {kind: asked.pictures.images for kind, asked in reference.asked.items()}
    own = measure("reals", SourceCaptions(reference, right, images), (READ_BACK,))[READ_BACK]["seen"]
    blank = {kind: np.zeros_like(pixels) for kind, pixels in images.items()}
    assert own > measure("blank", SourceCaptions(reference, right, blank), (READ_BACK,))[READ_BACK]["seen"]


def test_retrieval_finds_the_same_picture_where_it_was_trained_on(reference: CaptionReference) -> None:
    flat = {"pixels": lambda images: images.reshape(len(images), -1).astype(float)}
    written = baselines(reference, flat, {})
    assert [*written] == [
        REFERENCES, "most frequent caption", "judge's answer", "nearest training picture, judge",
        "nearest training picture, pixels",
    ]  # fmt: skip
    assert written["nearest training picture, pixels"]["seen"] == written[REFERENCES]["seen"]
    found = measure("retrieval", SourceCaptions(reference, written["nearest training picture, pixels"]), (SAID, EXACT))
    assert found[EXACT]["seen"] == 1
    assert len(set(written["most frequent caption"]["seen"])) == 2, "one of each kind of caption"


def test_a_name_is_what_all_captions_begin_with() -> None:
    assert common_start([["cat", "on", "blue"], ["cat"], ["cat", "hollow"]]) == ["cat"]
    assert common_start([["chat"], ["dog"]]) == [] == common_start([])


def test_a_flow_that_writes_is_evaluated_to_a_page(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command(
        data=str(place / "set"), judge=str(place / "judge"), teacher=str(place / "teacher"),
        student=str(place / "student"), out=out, flow="image-to-text", steps=2, student_steps="1", images=4, captions=4,
        sweep=4, guidances="1,2", samplers="ddim", captioner=str(place / "captioner"),
    )  # fmt: skip
    page = Path(capsys.readouterr().out.strip())
    shown = page.read_text()
    assert page == out / "captions.html" and fetched(shown) == []
    figures = json.loads((out / "captions.json").read_text())
    names = [line["name"] for line in figures["lines"]]
    assert (
        names[0] == REFERENCES
        and names[-3].startswith("autoregressive, 0.0")
        and names[-2].startswith("teacher, 2 steps, guidance ")
        and names[-1] == "student, 1 step"
    )
    assert "nearest training picture, the flow's encoder" in names and set(figures["sweep"]) == {"1", "2"}
    assert figures["lines"][0]["exact"]["seen"] == 1 and 0 <= figures["lines"][-1]["read_back"]["seen"] <= 1
    assert all(escape(name) in shown for name in names) and [one["by"] for one in figures["timings"]] == names[-3:]
    written = [json.loads(line) for line in (out / "captions.jsonl").read_text().splitlines()]
    assert len(written) == 6 and written[0].keys() == {"kind", *names}
    assert "recognises names the thing as often as student, 1 step" in (out / "captions.md").read_text()
    assert {file.name for file in out.glob("*.png")} == {"captions-seen.png", "captions-unseen-combination.png"}


def test_the_published_text_flow_is_evaluated_beside_the_sets_captions(place: Path, tmp_path: Path) -> None:
    """It knows no kinds of caption, sees local tokens, and its folder draws only as a teacher."""
    base = tiny_published.write(tmp_path / "teacher")
    tiny_published.write_optimus(base / optimus.FOLDER)
    text = folders.load(base, "image-to-text")
    folders.save(replace(text, scheduler=student_scheduler(text.scheduler)), tmp_path / "student")
    student, judge, data = str(tmp_path / "student"), str(place / "judge"), str(place / "set")
    subjects = Subjects(student, str(base), judge, data, flow="image-to-text", steps=1, student_steps=(1,))
    result = evaluate(subjects, Effort(4, 4, (1.0,), ("ddim",), sweep=4))
    writes = [title for title in result.written if title.startswith(("teacher", "student"))]
    assert writes == ["teacher, 1 steps, guidance 1, ddim", "student, 1 step"] == [*result.writers]
    for kind, right in result.written[REFERENCES].items():
        assert all(len(result.written[title][kind]) == len(right) for title in writes)
        assert any(result.written["student, 1 step"][kind]), "letters at random are still letters"
    (line,) = result.comparison.students
    assert line[READ_BACK] == {} and 0 <= line[WORDS]["seen"] <= 1
    (see,) = sources.open_seer(text).values()
    assert see(np.zeros((2, 16, 16, 3), np.uint8)).shape == (2, tiny_published.WIDTH), "the class token alone"


def test_a_bundle_is_shown_pictures_of_its_own_size(place: Path, tmp_path: Path) -> None:
    bundle = str(write_versatile(tmp_path / "bundle"))
    subjects = Subjects(bundle, "no teacher", "no judge", str(place / "set"), backend="eager", student_steps=(1,))
    (write,) = sources.student_writers(subjects).values()
    large = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), np.uint8)
    assert len(write(large, ["text", "text_fr", "text"], [0, 1, 2])) == 3


def test_what_has_no_such_flow_or_caption_is_refused_in_one_line(place: Path, tiny_student: Path) -> None:
    def subjects(**changes: str) -> Subjects:
        names = {part: str(place / part) for part in ("student", "teacher", "judge")} | {"data": str(place / "set")}
        return Subjects(**{**names, "flow": "image-to-text", **changes})  # type: ignore[arg-type]

    with pytest.raises(BadInput, match="no flow 'image-to-text'"):
        sources.student_writers(subjects(student=str(tiny_student)))
    with pytest.raises(BadInput, match="is no student"):
        sources.student_writers(subjects(student=str(place / "teacher")))
    with pytest.raises(BadInput, match="has no column 'text_fr_style'"):
        sources.open_captioned(str(place / "set"), ["text", "text_fr_style"])
    with pytest.raises(BadInput, match="is no captioner of ippo train autoregressive-captioner"):
        sources.captioner_writers(subjects(captioner=str(place / "judge")))
    columns = ("text", "text_style")
    captioner = tiny.captioner(columns)
    with pytest.raises(BadInput, match="the captioner writes no 'text_fr'"):
        captioner.write([np.zeros((16, 16, 3), np.uint8)], ["text_fr"])
    assert sources.open_draw(subjects(student=str(place / "teacher"))) is None

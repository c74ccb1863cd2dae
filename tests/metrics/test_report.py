"""The report on tiny pipelines of the real classes, and on generators whose figures are known."""

import io
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from metrics import tables
from metrics.captioned import Captioned
from metrics.features import Images, features
from metrics.judge import Judge, JudgeConfig, judge_loss
from metrics.report import Effort, Reals, Restored, evaluate
from metrics.validity import blurred, examine
from models.pipeline import Pipeline
from tests import tiny

EFFORT = Effort(images=24, captions=8, guidances=(1.0, 2.0), sweep=10, prompts=2, seeds=3, batch=7)
COLOURS = {"red": (210, 40, 40), "green": (40, 200, 40), "blue": (60, 60, 220), "grey": (128, 128, 128)}


def picture(label: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    """Label 0 to 3: a noisy square in one of four corners, on its own colour."""
    rng = np.random.default_rng(seed)
    image = np.zeros((16, 16, 3)) + list(COLOURS.values())[label]
    row, column = divmod(label, 2)
    image[1 + 7 * row : 8 + 7 * row, 1 + 7 * column : 8 + 7 * column] = rng.integers(0, 256, (7, 7, 1))
    return image.astype(np.uint8)


def captions() -> list[str]:
    return [f"square on {name}" for name in COLOURS]


def real(count: int, first_seed: int) -> Captioned:
    labels = np.arange(count) % 4
    images = np.stack([picture(label, first_seed + place) for place, label in enumerate(labels)])
    return Captioned(
        images, tuple(captions()[label] for label in labels), labels, tuple(list(COLOURS)[i] for i in labels)
    )


def reals() -> Reals:
    train, held_out = real(40, 0), real(32, 1000)
    return Reals(train, held_out, {"training captions": train, "held-out captions": held_out})


def perfect(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
    return np.stack([picture(captions().index(p), 5000 + s) for p, s in zip(prompts, seeds, strict=True)])


@pytest.fixture(scope="module")
def judge() -> Judge:
    network, train = Judge(JudgeConfig(labels=4, channels=(8, 16, 16), width=16)), real(40, 0)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    images, labels = torch.from_numpy(train.images).permute(0, 3, 1, 2) / 127.5 - 1, torch.from_numpy(train.labels)
    for _ in range(30):
        optimizer.zero_grad()
        judge_loss(network, images, labels).backward()
        optimizer.step()
    return network.eval()


def test_a_perfect_teacher_and_a_student_that_ignores_seed_and_prompt(judge: Judge) -> None:
    asked: list[tuple[str, int]] = []

    def collapsed(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
        asked.extend(zip(prompts, seeds, strict=True))
        return blurred(np.repeat(picture(0, 1)[None], len(prompts), axis=0), 1.0)

    report = evaluate(judge, reals(), lambda guidance: perfect, collapsed, lambda images: images, EFFORT)
    floor, teacher, student = report.lines
    assert [line.n for line in report.lines] == [24, 24, 24]
    assert len(asked) == 24 + 2 * 8 + 2 * 3
    assert max(len(batch) for batch in (asked[:7], asked[7:14])) <= EFFORT.batch
    assert student.fd > 5 * max(teacher.fd, floor.fd)
    assert student.kid.mean > teacher.kid.mean + student.kid.deviation
    assert student.recall < teacher.recall
    assert teacher.ground == floor.ground == 1.0
    assert student.ground == pytest.approx(0.25)
    assert teacher.spread is not None and teacher.spread > 1
    assert student.spread == 0
    assert floor.spread is None
    assert teacher.detail == pytest.approx(1, abs=0.2)
    assert student.detail < 0.6
    assert student.identified["training captions"].top1 == pytest.approx(0.25)
    assert teacher.identified["training captions"].top1 > 0.9
    assert report.autoencoder == Restored(float("inf"), 1.0, pytest.approx(0, abs=1e-9))


def draw(pipeline: Pipeline, guidance: float | None = None):  # type: ignore[no-untyped-def]
    steps = 2 if guidance is not None else 1
    return lambda prompts, seeds: pipeline.generate(prompts, seeds, steps, guidance)


def test_tiny_pipelines_are_judged_saved_and_shown(judge: Judge, tmp_path: Path) -> None:
    teacher, student = tiny.teacher(), tiny.student()
    report = evaluate(judge, reals(), lambda guidance: draw(teacher, guidance), draw(student), None, EFFORT)
    again = evaluate(judge, reals(), lambda guidance: draw(teacher, guidance), draw(student), None, EFFORT)
    assert report == again
    assert set(report.sweep) == {1.0, 2.0}
    assert report.sweep[report.guidance] == min(report.sweep.values())
    assert report.lines[0].fd < min(line.fd for line in report.lines[1:])
    assert report.autoencoder is None

    report.save(tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["lines"][2]["fd"] == report.lines[2].fd
    assert saved["verdict"]["valid"] is report.validity.valid

    text = io.StringIO()
    Console(file=text, width=200).print(tables.rich_table(report))
    for shown in (text.getvalue(), tables.markdown(report)):
        assert f"{report.lines[2].fd:.4f}" in shown and "student, 1 step" in shown
    assert tables.markdown(report).splitlines()[1].count("---") == len(tables.cells(report)[0])


def test_a_judge_of_texture_is_valid_beside_a_good_teacher_and_not_beside_a_bad_one(judge: Judge) -> None:
    held_out = real(64, 1000)
    extract = partial(features, judge)
    good = examine(extract, held_out.images, held_out.labels, teacher=1e-3)
    bad = examine(extract, held_out.images, held_out.labels, teacher=1e3)
    assert good.rises and good.valid
    assert bad.rises and not bad.valid
    assert good.margin == pytest.approx(good.blur[1] / 1e-3)

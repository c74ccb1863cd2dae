"""Measuring tiny pipelines of the real classes, and generators whose figures are known."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from rich.console import Console

from evaluation.bench import Bench
from evaluation.draw import Draw
from evaluation.effort import Effort
from evaluation.figures import (
    BACKGROUND,
    DETAIL,
    DIVERSITY,
    FIDELITY,
    IDENTIFIED,
    NEAREST,
    RECOGNISED,
    SIMILARITY,
    SPREAD,
    fd,
)
from evaluation.pages import report_tables
from evaluation.reference import Instruments, Reals
from evaluation.remarks import notes, warnings
from evaluation.report import Report, Restored
from metrics.features import Images, features
from metrics.judge_network import Judge, JudgeConfig, judge_loss
from metrics.labelled_images import LabelledImages
from metrics.lpips import Lpips
from metrics.validity import blurred, examine
from models.pipeline import Pipeline
from tests import tiny

EFFORT = Effort(images=24, captions=8, guidances=(1.0, 2.0), samplers=("ddim",), sweep=10, prompts=2, seeds=3, batch=7)
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


def real(count: int, first_seed: int) -> LabelledImages:
    labels = np.arange(count) % 4
    images = np.stack([picture(label, first_seed + place) for place, label in enumerate(labels)])
    return LabelledImages(
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


class Seeing(torch.nn.Module):
    """A network that sees captions: colours in, and the colour that a caption names."""

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("nothing", torch.nn.Parameter(torch.zeros(1)))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(images[:, :, 0].mean(dim=2), dim=1)

    features = embed

    def texts(self, said: Sequence[str]) -> torch.Tensor:
        colours = torch.tensor([COLOURS[caption.split()[-1]] for caption in said]) / 127.5 - 1
        return torch.nn.functional.normalize(colours, dim=1)


def perceptual() -> Lpips:
    """Random, but its heads are not negative, as the trained ones'."""
    torch.manual_seed(0)
    network = Lpips("alex", [4] * 5).eval()
    with torch.no_grad():
        for head in range(5):
            network.get_submodule(f"lin{head}").weight.abs_()
    return network


def measured(judge: Judge, teacher: Draw, student: Draw, effort: Effort = EFFORT) -> Report:
    tools = Instruments(judge, {"seeing": Seeing()}, {"lpips": perceptual()})
    bench = Bench(tools, reals(), effort)
    return bench.report(lambda guidance, sampler: teacher, {"student, 1 step": student}, lambda images: images // 2 * 2)


def test_a_perfect_teacher_and_a_student_that_ignores_seed_and_prompt(judge: Judge) -> None:
    asked: list[tuple[str, int]] = []

    def collapsed(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
        assert len(prompts) <= EFFORT.batch
        asked.extend(zip(prompts, seeds, strict=True))
        return blurred(np.repeat(picture(0, 1)[None], len(prompts), axis=0), 1.0)

    report = measured(judge, perfect, collapsed)
    floor, teacher, student = report.lines
    assert [line.n for line in report.lines] == [24, 24, 24]
    assert len(asked) == 24 + 2 * 8 + 2 * 3
    assert set(teacher[FIDELITY]) == {"judge", "seeing"}
    assert fd(student) > 5 * max(fd(teacher), fd(floor))
    assert (
        student[FIDELITY]["judge"].kid.mean
        > teacher[FIDELITY]["judge"].kid.mean + student[FIDELITY]["judge"].kid.deviation
    )
    assert teacher[FIDELITY]["judge"].fd_deviation > 0
    assert student[FIDELITY]["judge"].recall < teacher[FIDELITY]["judge"].recall
    assert teacher[RECOGNISED] == floor[RECOGNISED] == 1.0
    assert student[RECOGNISED] == pytest.approx(0.25)
    assert teacher[BACKGROUND] == floor[BACKGROUND] == 1.0
    assert student[BACKGROUND] == pytest.approx(0.25)
    assert (teacher[SPREAD] or 0) > 1
    assert student[SPREAD] == 0
    assert floor[SPREAD] is None and floor[DIVERSITY] == {}
    assert set(teacher[DIVERSITY]) == {"judge", "seeing", "lpips"}
    assert teacher[DIVERSITY]["judge"] > 0.01 and teacher[DIVERSITY]["lpips"] > 0
    assert student[DIVERSITY]["judge"] == pytest.approx(0, abs=1e-3) and student[DIVERSITY]["lpips"] == 0
    assert teacher[DETAIL] == pytest.approx(1, abs=0.2)
    assert student[DETAIL] < 0.6
    assert student[IDENTIFIED]["training captions"].top1 == pytest.approx(0.25)
    assert teacher[IDENTIFIED]["training captions"].top1 > 0.9
    assert teacher[SIMILARITY]["seeing"].own > 0.99 > (teacher[SIMILARITY]["seeing"].shuffled or 1)
    assert student[SIMILARITY]["seeing"].own < teacher[SIMILARITY]["seeing"].own
    halved = 10 * np.log10(255**2 / (49 / 256 / 2))  # half of the 49 noisy pixels of 256 were odd
    assert report.autoencoder == Restored(
        pytest.approx(halved, abs=0.5), pytest.approx(1, abs=0.05), pytest.approx(0, abs=1e-2)
    )
    assert Bench(Instruments(judge), reals(), EFFORT).restored(lambda images: images.copy()) is None

    said = " ".join(warnings(report))
    assert "below 0.8 is collapse" in said and "softer" in said and "recall" in said
    assert "teacher, guidance" not in said


def test_a_student_like_its_teacher_is_warned_of_nothing(judge: Judge) -> None:
    report = measured(judge, perfect, perfect)
    assert warnings(replace(report, validity=replace(report.validity, teacher=1e-9))) == []


def test_a_student_that_repeats_training_images_is_caught(judge: Judge) -> None:
    train = reals().train

    def memory(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
        rows = [captions().index(prompt) + 4 * (seed % 10) for prompt, seed in zip(prompts, seeds, strict=True)]
        return train.images[rows]

    report = measured(judge, perfect, memory)
    assert (report.teacher[NEAREST] or 0) > 0.5
    assert report.students[0][NEAREST] == pytest.approx(0, abs=1e-3)
    assert "may repeat what it was trained on" in " ".join(warnings(report))
    bench = Bench(Instruments(judge), reals(), EFFORT)
    indices, apart = bench.reference.neighbours(train.images[[7, 3]], 2)
    assert indices[:, 0].tolist() == [7, 3]
    assert apart[:, 0] == pytest.approx(0, abs=1e-3) and (apart[:, 1] > 0.01).all()


def test_labels_that_the_judge_does_not_know_are_not_counted(judge: Judge) -> None:
    known = reals()
    shifted = replace(known, held_out=replace(known.held_out, labels=known.held_out.labels + 4))
    assert Bench(Instruments(judge), shifted, EFFORT).line("teacher", perfect)[RECOGNISED] is None


def draw(pipeline: Pipeline, guidance: float | None = None, sampler: str = "ddim", steps: int = 2) -> Draw:
    return lambda prompts, seeds: pipeline.generate(prompts, seeds, steps, guidance, sampler)


def test_tiny_pipelines_are_judged_saved_and_shown(judge: Judge) -> None:
    teacher, student = tiny.teacher(), tiny.student()
    effort = replace(EFFORT, samplers=("ddim", "dpm-solver++"))
    students = {f"student, {steps} steps": draw(student, steps=steps) for steps in (1, 2)}
    first, again = (
        Bench(Instruments(judge), reals(), effort).report(lambda *setting: draw(teacher, *setting, 4), students)
        for _ in range(2)
    )
    assert first == again
    assert {(point.guidance, point.sampler) for point in first.sweep} == {
        (guidance, sampler) for guidance in (1.0, 2.0) for sampler in ("ddim", "dpm-solver++")
    }
    assert len({point.fd for point in first.sweep}) == 4
    assert first.best.fd == min(point.fd for point in first.sweep)
    assert f"{first.best.guidance:g}, {first.best.sampler}" in first.teacher.name
    assert fd(first.floor) < min(fd(line) for line in first.lines[1:])
    assert first.autoencoder is None

    saved = json.loads(json.dumps(first.as_json(), allow_nan=False))
    assert saved["lines"][2]["fidelity"]["judge"]["fd"] == fd(first.students[0])
    assert saved["verdict"]["valid"] is first.validity.valid
    assert saved["best"]["guidance"] == first.best.guidance

    text = io.StringIO()
    Console(file=text, width=300).print(report_tables.rich_table(first))
    shown = (text.getvalue(), report_tables.markdown(first))
    for page in shown:
        assert f"{fd(first.students[1]):.4g}" in page and "student, 2 steps" in page and "FD (judge)" in page
        assert all(warning[:40] in page for warning in warnings(first)) and all(
            note[:40] in page for note in notes(first)
        )
    for sheet in report_tables.sheets(first):
        assert all(len(row) == len(sheet.heads) for row in sheet.rows)


def test_a_judge_of_texture_is_valid_beside_a_good_teacher_and_not_beside_a_bad_one(judge: Judge) -> None:
    held_out = real(64, 1000)
    extract = partial(features, judge)
    good = examine(extract, held_out.images, held_out.labels, teacher=1e-3)
    bad = examine(extract, held_out.images, held_out.labels, teacher=1e3)
    assert good.rises and good.valid
    assert bad.rises and not bad.valid
    assert good.margin == pytest.approx(good.blur[1] / 1e-3)


def test_three_pictures_of_a_label_each_can_be_spoilt(judge: Judge) -> None:
    assert np.isfinite(examine(partial(features, judge), real(3, 1000).images, np.arange(3), teacher=1.0).dropped).all()

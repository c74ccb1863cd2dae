"""An evaluation from folders on disk to files on disk, on tiny pipelines: figures, grids, one page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from base.errors import BadInput
from commands.evaluate import evaluate as command
from evaluation import evaluation, image_sets
from evaluation import subjects as sources
from evaluation.effort import LEAST, Effort, parse_guidances
from evaluation.figures import BACKGROUND, fd
from evaluation.pages import report_page
from evaluation.subjects import Subjects
from metrics import judge_network
from metrics.distances import NEIGHBOURS
from metrics.judge_network import Judge, JudgeConfig
from models import folder
from tests import tiny
from tests.evaluation.pages.page_reader import fetched

COLOURS = {"white": (255, 255, 255), "red": (200, 60, 60)}
SIZES = {"train": 12, "validation": 8, "test": 8}
PAIRS = {"training-captions.png", "held-out-captions.png", "French-captions.png"}
GRIDS = PAIRS | {"autoencoder.png", "seeds.png", "neighbours.png"}
EFFORT = Effort(images=12, captions=4, guidances=(1.0, 2.0), samplers=("dpm-solver++",), sweep=6, prompts=2, seeds=2)


def write_set(root: Path, captions: bool = True, side: int = 16) -> Path:
    """Four labels on two backgrounds; the last label only in the test split."""
    rng = np.random.default_rng(0)
    for split, count in SIZES.items():
        (root / split).mkdir(parents=True)
        rows = []
        for place in range(count):
            label = 3 if split == "test" and place % 2 else place % 3
            background = "red" if place % 2 else "white"
            pixels = np.zeros((side, side, 3), np.uint8) + np.array(COLOURS[background], np.uint8)
            pixels[3:13, 3:13] = rng.integers(0, 255, (10, 10, 1))
            Image.fromarray(pixels).save(root / split / f"{place}.png")
            kind = "seen" if split != "test" else "unseen-emoji" if label == 3 else "unseen-background"
            row = {"file_name": f"{place}.png", "label": label}
            if captions:
                text = f"thing {'abcd'[label]}" + (f" on {background}" if place % 4 < 2 else "")
                row |= {"text": text, "text_fr": f"chose {'abcd'[label]}", "background": background, "kind": kind}
            rows.append(row)
        (root / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher and a judge."""
    root = tmp_path_factory.mktemp("networks")
    judge_network.save(Judge(JudgeConfig(labels=4, channels=(8, 8), width=8)), root / "judge")
    folder.save(tiny.teacher(), root / "teacher")
    return root


def test_distances_come_from_known_labels_and_captions_from_the_test_split(image_set: Path) -> None:
    reals = image_sets.open_reals(str(image_set))
    assert (len(reals.train), len(reals.held_out)) == (12, 8 + 4)
    assert 3 not in reals.held_out.labels
    assert set(reals.caption_sets) == {"training captions", "held-out captions", "French captions"}
    assert 3 in reals.caption_sets["held-out captions"].labels
    assert reals.train.backgrounds == ("white", "red", None, None) * 3


def test_the_benchmark_writes_what_a_model_card_shows(
    image_set: Path, networks: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command(
        data=str(image_set), judge=str(networks / "judge"), teacher=str(networks / "teacher"), student=str(tiny_bundle),
        out=out, backend="ort", steps=2, student_steps="1", images=12, captions=4, sweep=6, guidances="1,2",
        samplers="ddim", page=False,
    )  # fmt: skip
    printed = json.loads(Path(capsys.readouterr().out.strip()).read_text())
    assert printed["lines"][2]["n"] == 12
    assert printed["autoencoder"]["psnr"] > 0
    assert printed["timings"] == []
    assert "French captions" in printed["lines"][2]["identified"]
    assert "student, 1 step" in (out / "quality.md").read_text()
    assert {file.name for file in out.iterdir()} == GRIDS | {"quality.json", "quality.md"}


def test_other_words_for_the_training_images_are_a_set_of_their_own(image_set: Path) -> None:
    reals = image_sets.open_reals(str(image_set))
    french = reals.caption_sets["French captions"]
    assert french.captions == tuple(f"chose {'abcd'[label]}" for label in reals.train.labels)
    assert french.images is reals.train.images
    assert list(french.even(5).labels) == list(reals.train.even(5).labels)  # the same images are asked for


@pytest.mark.parametrize("captions", [True, False], ids=["captions", "labels alone"])
def test_the_page_holds_everything_and_fetches_nothing(
    captions: bool, networks: Path, tiny_student: Path, tmp_path: Path
) -> None:
    data = str(write_set(tmp_path / "set", captions))
    judge_folder = str(networks / "judge")
    extra = f"judge:{networks / 'judge'}"
    subjects = Subjects(
        str(tiny_student), str(networks / "teacher"), judge_folder, data, None, (extra,), "auto", 3, (1, 4)
    )
    found = evaluation.evaluate(subjects, EFFORT, rounds=1)
    page = report_page.html(found)
    assert fetched(page) == []
    assert page.count("<img ") == 5 and page.count("<svg ") >= 1
    for shown in ("teacher, 3 steps", "student, 1 step", "student, 4 steps", "dpm-solver++", f"FD ({extra})"):
        assert shown in page
    assert f"{fd(found.report.students[1]):.4g} ±" in page
    assert found.facts["N"].startswith("12 for distances, 6 at each point")
    assert [timing.by for timing in found.timings] == [line.name for line in found.report.lines[1:]]
    assert found.facts["versions"].split(",")[0] in page
    if not captions:
        assert image_sets.open_reals(data).train.captions[:4] == ("0", "1", "2", "0")
        assert found.report.teacher[BACKGROUND] is None


def test_a_student_is_a_bundle_or_a_folder(tiny_bundle: Path, tiny_student: Path) -> None:
    """The bundle is that student's: both draw the same picture, up to fp16."""
    for steps, title in ((1, "student, 1 step"), (2, "student, 2 steps")):
        by_bundle = sources.student_draws(str(tiny_bundle), (steps,), "ort")[title](["a cat"], [3])
        by_folder = sources.student_draws(str(tiny_student), (steps,))[title](["a cat"], [3])
        assert by_bundle.shape == by_folder.shape == (1, 16, 16, 3)
        assert np.abs(by_bundle.astype(int) - by_folder).max() <= 6


def test_what_makes_no_sense_is_refused_in_one_line(networks: Path, tiny_student: Path, image_set: Path) -> None:
    teacher, judge_folder = str(networks / "teacher"), str(networks / "judge")

    def subjects(**changes: object) -> Subjects:
        return Subjects(
            **{"student": str(tiny_student), "teacher": teacher, "judge": judge_folder, "data": str(image_set)}
            | changes
        )  # type: ignore[arg-type]

    with pytest.raises(BadInput, match="is no student"):
        sources.student_draws(teacher)
    with pytest.raises(BadInput, match="is a student; a teacher"):
        sources.open_teacher(subjects(teacher=str(tiny_student)))
    with pytest.raises(BadInput, match="students draw in 1, 2, 3, 4 steps, not in '5'"):
        sources.parse_steps("1,5")
    with pytest.raises(BadInput, match="where are its weights"):
        sources.open_instruments(subjects(features=("clip",)))
    with pytest.raises(BadInput, match="no feature network 'vit'"):
        sources.open_instruments(subjects(features=("vit:x",)))
    with pytest.raises(BadInput, match="holds no lpips"):
        sources.open_instruments(subjects(features=(f"lpips:{networks}",)))
    with pytest.raises(BadInput, match="are not numbers"):
        parse_guidances("1,two")
    with pytest.raises(BadInput, match="no sampler 'euler'; accepted: ddim, dpm-solver"):
        evaluation.evaluate(subjects(), Effort(samplers=("euler",)))
    with pytest.raises(BadInput, match=f"at least {NEIGHBOURS + 1}"):
        evaluation.evaluate(subjects(), Effort(images=LEAST - 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("judge", r"knows 7 labels, .* trains 3: train a judge of this set"),
        ("slots", "has other attributes than its judge"),
        ("typed", "cannot be read"),
        ("task", "is for text-to-image, .* for class-to-image"),
        ("names", "know other names, such as 'green'"),
        ("captions", "is not what .* was trained on: column 'text': label 'thing"),
        ("size", "images of .* are 32x32 pixels"),
    ],
)
def test_what_does_not_belong_together_is_told_before_anything_is_drawn(
    networks: Path, tiny_student: Path, image_set: Path, tmp_path: Path, change: str, said: str
) -> None:
    judge, data, student, teacher, typed = networks / "judge", image_set, tiny_student, networks / "teacher", None
    if change in ("judge", "slots", "typed"):
        slots = {"judge": (), "slots": (("a", "b"),), "typed": (("thing",),)}[change]
        judge = tmp_path / "judge"
        judge_network.save(Judge(JudgeConfig(labels=7, channels=(8, 8), width=8, slots=slots)), judge)
    if change in ("slots", "typed"):
        data = write_set(tmp_path / "data")
        (data / "slots.json").write_text(json.dumps({"thing": ["thing"]}))
        typed = tmp_path / "nowhere.tsv"
    if change in ("task", "names", "captions"):
        data, teacher = write_set(tmp_path / "data", captions=change == "captions"), tmp_path / "classes"
        folder.save(tiny.pixel_teacher(), teacher)
    if change == "names":
        student = tmp_path / "student"
        folder.save(tiny.pixel_student(classes=("red", "blue", "yellow", "pink")), student)
    if change == "size":
        data = write_set(tmp_path / "large", side=32)
    with pytest.raises(BadInput, match=said):
        evaluation.evaluate(Subjects(str(student), str(teacher), str(judge), str(data), typed=typed), EFFORT)


def test_a_run_shows_its_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    lines = [{"step": step, "generator/total": 1 / step, "seconds": step} for step in range(1, 30)]
    (tmp_path / "mine" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = report_page.training("mine")
    assert re.findall(r'aria-label="([^"]*)"', shown) == ["generator/total"]
    assert report_page.training("another") == ""
